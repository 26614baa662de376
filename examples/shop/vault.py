"""Trust: reviewed.

Turns passwords into records and checks them: the only domain in which the pepper exists.

Rules:
 1. A record is worthless without the pepper, so a stolen user table cannot be attacked at leisure.
 2. Guessing through this component is bounded: MAX_MISSES wrong passwords per record, in the life of the
    vault, and the record is locked.
"""

from __future__ import annotations

import os
from hmac import compare_digest
from typing import Final

from exclave import Component, ComponentError, protected
from exclave.keys import argon2id

MAX_MISSES: Final = 5
MAX_LOCKED: Final = 100_000
SALT_BYTES: Final = 16
RECORD_BYTES: Final = 48


class TooManyTries(ComponentError):
    """This record met too many wrong passwords; an operator has to look."""


class Vault(Component):
    """Holds the pepper that every password record depends on."""

    def init(self) -> None:
        """Take the pepper, and begin with no wrong passwords seen."""
        self.pepper = self.secrets["pepper"]
        self.misses: dict[bytes, int] = {}

    @protected
    def enrol(self, password: str) -> bytes:
        """Make the record of a new password: salt, then the peppered argon2id hash."""
        salt = os.urandom(SALT_BYTES)
        return salt + argon2id(self.pepper, password.encode(), salt)

    @protected(raises=[TooManyTries])
    def verify(self, record: bytes, password: str) -> bool:
        """Tell whether `password` is the one that `record` was made of.

        Raises:
            TooManyTries: the record is locked; whoever guessed is at fault.
        """
        if len(record) != RECORD_BYTES:
            return False
        misses = self.misses.get(record, 0)
        if misses >= MAX_MISSES or (misses == 0 and len(self.misses) >= MAX_LOCKED):
            raise TooManyTries(f"locked after {MAX_MISSES} wrong passwords")
        salt = record[:SALT_BYTES]
        if compare_digest(record, salt + argon2id(self.pepper, password.encode(), salt)):
            self.misses.pop(record, None)
            return True
        self.misses[record] = misses + 1
        return False
