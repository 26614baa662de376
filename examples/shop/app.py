"""Trust: hostile.

The shop's web server: an ordinary program, with a dependency nobody has read. It runs as the monolith, and
whoever takes it over has the order book and two capabilities: ask the vault, ask the till.
"""

from __future__ import annotations

import html
import os
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import prettyprice

import exclave
from book import Book
from till import AlreadyPaid, LimitExceeded, Till
from vault import TooManyTries, Vault

CATALOGUE: Final = {"teapot": 24_00, "kettle": 59_90, "samovar": 310_00, "tea-house": 9_800_00}
BODY_LIMIT: Final = 64 * 1024
PAGE: Final = "<!doctype html><title>Shop</title><h1>{title}</h1><p>{text}</p>"

book = Book(Path("var/shop.sqlite"))
vault = exclave.connect("vault", Vault)
till = exclave.connect("till", Till)
till_lock = Lock()
next_order = book.last_number() + 1


class Shop(BaseHTTPRequestHandler):
    """Answers one customer's requests."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Pages and receipts."""
        match urlsplit(self.path).path.strip("/").split("/"):
            case [""]:
                items = ", ".join(f"{name} {self.price(cents)}" for name, cents in CATALOGUE.items())
                self.page("Shop", items)
            case ["item", name] if name in CATALOGUE:
                self.page(name, self.price(CATALOGUE[name]))
            case ["receipt", number] if number.isdecimal() and (customer := self.customer()):
                receipt = book.receipt_of(int(number), customer)
                if receipt is None:
                    self.answer(HTTPStatus.NOT_FOUND, {"error": "no such order of yours"})
                else:
                    self.answer(HTTPStatus.OK, {"receipt": receipt[0], "signature": receipt[1].hex()})
            case ["receipt-key"]:
                self.answer(HTTPStatus.OK, {"ed25519": till.receipt_key().hex()})
            case ["health"]:
                self.answer(HTTPStatus.OK, {"status": "ok"})
            case _:
                self.answer(HTTPStatus.NOT_FOUND, {"error": "no such page"})

    def do_POST(self) -> None:
        """Register, log in, buy."""
        length = int(self.headers.get("Content-Length", "0"))
        if not 0 <= length <= BODY_LIMIT:
            self.close_connection = True
            self.answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "too long"})
            return
        form = {key: values[0] for key, values in parse_qs(self.rfile.read(length).decode()).items()}
        match urlsplit(self.path).path:
            case "/register":
                self.register(form.get("name", ""), form.get("password", ""))
            case "/login":
                self.login(form.get("name", ""), form.get("password", ""))
            case "/buy":
                self.buy(form.get("item", ""), int(form.get("quantity", "1")))
            case _:
                self.answer(HTTPStatus.NOT_FOUND, {"error": "no such page"})

    def register(self, name: str, password: str) -> None:
        """Enter a customer, with a record that only the vault can check."""
        if not name or len(password) < 8 or not book.add_customer(name, vault.enrol(password)):
            self.answer(HTTPStatus.CONFLICT, {"error": "the name is taken, or the password short"})
        else:
            self.answer(HTTPStatus.CREATED, {"name": name})

    def login(self, name: str, password: str) -> None:
        """Open a session for the right password."""
        record = book.record_of(name)
        try:
            if record is None or not vault.verify(record, password):
                self.answer(HTTPStatus.FORBIDDEN, {"error": "wrong name or password"})
            else:
                self.answer(HTTPStatus.OK, {"token": book.open_session(name)})
        except TooManyTries as refusal:
            self.answer(HTTPStatus.TOO_MANY_REQUESTS, {"error": str(refusal)})

    def buy(self, item: str, quantity: int) -> None:
        """Pay for an order of the customer who is logged in."""
        global next_order
        customer = self.customer()
        if customer is None or item not in CATALOGUE:
            self.answer(HTTPStatus.FORBIDDEN, {"error": "log in, and choose from the catalogue"})
            return
        try:
            with till_lock:
                number = next_order
                signed, signature = till.pay(number, CATALOGUE[item] * quantity)
                next_order += 1
            book.add_receipt(number, customer, signed, signature)
            self.answer(
                HTTPStatus.CREATED, {"order": number, "receipt": signed, "signature": signature.hex()}
            )
        except (LimitExceeded, AlreadyPaid) as refusal:
            self.answer(HTTPStatus.PAYMENT_REQUIRED, {"error": str(refusal)})

    def price(self, cents: int) -> str:
        """A price as this customer writes prices."""
        return prettyprice.format_price(cents, self.headers.get("Accept-Language", "en"))

    def customer(self) -> str | None:
        """Who is logged in."""
        return book.customer_of(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def page(self, title: str, text: str) -> None:
        """Send an HTML page."""
        body = PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
        self.send(HTTPStatus.OK, "text/html; charset=utf-8", body)

    def answer(self, status: HTTPStatus, value: dict[str, object]) -> None:
        """Send a JSON object."""
        self.send(status, "application/json", msgspec.json.encode(value))

    def send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        """Send a response."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep standard error for faults."""


if __name__ == "__main__":
    port = int(os.environ.get("SHOP_PORT", "8780"))
    server = ThreadingHTTPServer(("127.0.0.1", port), Shop)
    server.serve_forever()
