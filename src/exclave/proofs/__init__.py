"""Proofs: the core of the nucleus, executed for all states and all arguments.

Trust: reviewed.
Purpose: state the theorems and prove them over the source that runs; nothing that runs imports this.
"""
