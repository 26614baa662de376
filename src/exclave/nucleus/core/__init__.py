"""The pure core of the nucleus.

Trust: proved.
Purpose: decide every change of authority; each operation is a total function of state, caller and arguments.
Rules:
1. An operation checks everything first and then assigns; a refusal changes nothing.
2. No loops, no recursion, no containers; integers only `+ -` and comparisons, sets only `& | == !=`.
3. Every index is range-checked before it is used, negative ones included.
4. Effects are numbers left in the caller's own row; the shell performs them.
"""
