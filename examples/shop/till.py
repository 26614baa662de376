"""Trust: reviewed.

Pays, within limits that live here and nowhere else.

Rules:
 1. Whoever holds this capability can pay, up to PER_PAYMENT at once and PER_DAY in all. A thief inside the
    app can do no more than that.
 2. An order is paid once: order numbers only go up.
 3. The receipt is signed last, by the signer, in this component's name.
"""

from __future__ import annotations

import time
from typing import Final

from exclave import Component, ComponentError, connect, protected
from signer import Signer

PER_PAYMENT: Final = 500_00
PER_DAY: Final = 5_000_00
DAY: Final = 86_400.0


class LimitExceeded(ComponentError):
    """The payment is not one that this till makes."""


class AlreadyPaid(ComponentError):
    """This order, or a later one, has been paid."""


class Till(Component):
    """Holds the day's total and the highest order number paid."""

    def init(self) -> None:
        """Open for the first day."""
        self.signer = connect("signer", Signer)
        self.opened = time.monotonic()
        self.total = 0
        self.last_order = 0

    @protected(raises=[LimitExceeded, AlreadyPaid])
    def pay(self, order: int, amount: int) -> tuple[str, bytes]:
        """Pay `amount` cents for `order`.

        Returns:
            The receipt: what the signer signed, and the signature.

        Raises:
            LimitExceeded: the amount is not positive, or above what is left; the caller's fault.
            AlreadyPaid: the order number is not a new one; the caller's fault.
        """
        if time.monotonic() - self.opened >= DAY:
            self.opened, self.total = time.monotonic(), 0
        if not 0 < amount <= PER_PAYMENT:
            raise LimitExceeded(f"one payment is 1 to {PER_PAYMENT} cents, this is {amount}")
        if self.total + amount > PER_DAY:
            raise LimitExceeded(f"{PER_DAY - self.total} cents are left today, this is {amount}")
        if order <= self.last_order:
            raise AlreadyPaid(f"order {order} comes before {self.last_order}, which is paid")
        self.total += amount
        self.last_order = order
        return self.signer.sign(f"paid {amount} cents for order {order}")

    @protected
    def receipt_key(self) -> bytes:
        """The 32-byte Ed25519 key that verifies receipts."""
        return self.signer.public_key()
