"""Trust: reviewed.

Signs statements for the shop's exclaves: the only domain in which the signing key exists.

Rules:
 1. A signature always covers who asked for it. The name comes from the caller's badge, so nobody can have
    a statement signed in another's name.
"""

from __future__ import annotations

from exclave import Caller, Component, protected
from exclave.keys import Ed25519Key


class Signer(Component):
    """Holds the Ed25519 key of the shop's receipts."""

    def init(self) -> None:
        """Take the key; it stays in secret memory."""
        self.key = Ed25519Key(self.secrets["signing-key"])

    @protected
    def sign(self, caller: Caller, statement: str) -> tuple[str, bytes]:
        """Sign `statement` in the caller's name.

        Returns:
            What was signed ("NAME: STATEMENT") and its 64-byte Ed25519 signature.
        """
        signed = f"{caller.name}: {statement}"
        return signed, self.key.sign(signed.encode())

    @protected
    def public_key(self) -> bytes:
        """The 32-byte key that verifies the signatures."""
        return self.key.public_key
