"""Trust: outside.

Public name of the cryptography on secrets: see runtime.keys.
"""

from __future__ import annotations

from exclave.runtime.keys import Ed25519Key, argon2id, verify_ed25519

__all__ = ["Ed25519Key", "argon2id", "verify_ed25519"]
