"""Trust: outside.

The shop's customers: they register, log in, buy and ask for receipts, over real HTTP, all through the attack,
and check each receipt's signature.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any, Final
from urllib.parse import urlencode

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

HTTP_SECONDS: Final = 20.0
CUSTOMERS: Final = ("alice", "bob")
PURCHASES: Final = 5


class Shop:
    """One keep-alive connection to the shop."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HTTP_SECONDS)

    def request(
        self, method: str, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, str]:
        """Make one request; returns status and body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = urlencode(form) if form is not None else None
        try:
            self._connection.request(method, path, body, named)
            response = self._connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def verified(key: str, receipt: str, signature: str) -> bool:
    """Whether a receipt carries the shop's signature."""
    try:
        VerifyKey(bytes.fromhex(key)).verify(receipt.encode(), bytes.fromhex(signature))
    except (BadSignatureError, ValueError):
        return False
    return True


@dataclass
class Customers:
    """Two customers, each in a thread, until told to leave."""

    port: int
    receipt_key: str
    served: int = 0
    sent: int = 0
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._leave, self._lock, self._purse = Event(), Lock(), Lock()
        self._purchases = dict.fromkeys(CUSTOMERS, PURCHASES)
        self._threads = [Thread(target=self._visit, args=(name,), name=name) for name in CUSTOMERS]
        for thread in self._threads:
            thread.start()

    def stop_buying(self) -> None:
        """From now on only look, log in and ask for receipts; when this returns, no purchase is under way."""
        with self._purse:
            self._purchases = dict.fromkeys(CUSTOMERS, 0)

    def leave(self) -> None:
        """Finish what was begun and go."""
        self._leave.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, name: str) -> None:
        shop = Shop(self.port)
        password = f"{name}'s long password"
        try:
            self._ask(shop, 201, "POST", "/register", {"name": name, "password": password})
            order = 0
            while not self._leave.is_set():
                session = self._ask(shop, 200, "POST", "/login", {"name": name, "password": password})
                bearer = f"Bearer {session.get('token', '')}"
                self._ask(shop, 200, "GET", "/health")
                order = self._buy(shop, name, bearer) or order
                receipt = self._ask(shop, 200, "GET", f"/receipt/{order}", Authorization=bearer)
                self._check(receipt, order)
                self._leave.wait(0.05)
        finally:
            shop.close()

    def _buy(self, shop: Shop, name: str, bearer: str) -> int:
        with self._purse:
            if not self._purchases[name]:
                return 0
            self._purchases[name] -= 1
            form = {"item": "teapot", "quantity": "1"}
            bought = self._ask(shop, 201, "POST", "/buy", form, Authorization=bearer)
        order = int(bought.get("order", 0))
        self._check(bought, order)
        return order

    def _ask(
        self,
        shop: Shop,
        wanted: int,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        **headers: str,
    ) -> dict[str, Any]:
        try:
            status, body = shop.request(method, path, form, **headers)
        except (OSError, http.client.HTTPException) as error:
            status, body = 0, repr(error)
        with self._lock:
            self.sent += 1
            self.served += status == wanted
            if status != wanted:
                self.complaints.append(f"{method} {path}: {status} {body[:200]}")
        return dict(json.loads(body)) if status == wanted else {}

    def _check(self, answer: dict[str, Any], order: int) -> None:
        receipt, signature = str(answer.get("receipt", "")), str(answer.get("signature", ""))
        if f"for order {order}" not in receipt or not verified(self.receipt_key, receipt, signature):
            with self._lock:
                self.complaints.append(f"order {order}: the receipt {receipt!r} does not verify")
