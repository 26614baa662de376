"""Trust: hostile.

The shop's order book: customers, sessions and receipts in one SQLite file. Part of the app, and lost with it.
"""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from threading import Lock
from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS customer (name TEXT PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS session (token TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS receipt (number INTEGER PRIMARY KEY, name TEXT, signed TEXT, signature BLOB);
"""


class Book:
    """One SQLite file, used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(SCHEMA)

    def add_customer(self, name: str, record: bytes) -> bool:
        """Enter a new customer; False when the name is taken."""
        with self._lock:
            done = self._db.execute("INSERT OR IGNORE INTO customer VALUES (?, ?)", (name, record))
            return done.rowcount == 1

    def record_of(self, name: str) -> bytes | None:
        """The password record of a customer."""
        with self._lock:
            row = self._db.execute("SELECT record FROM customer WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None

    def open_session(self, name: str) -> str:
        """Log a customer in; returns the session's token."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._db.execute("INSERT INTO session VALUES (?, ?)", (token, name))
        return token

    def customer_of(self, token: str) -> str | None:
        """Whose session this token is."""
        with self._lock:
            row = self._db.execute("SELECT name FROM session WHERE token = ?", (token,)).fetchone()
        return str(row[0]) if row else None

    def last_number(self) -> int:
        """The highest order number in the book."""
        with self._lock:
            return int(self._db.execute("SELECT coalesce(max(number), 0) FROM receipt").fetchone()[0])

    def add_receipt(self, number: int, name: str, signed: str, signature: bytes) -> None:
        """Enter a paid order."""
        with self._lock:
            self._db.execute("INSERT INTO receipt VALUES (?, ?, ?, ?)", (number, name, signed, signature))

    def receipt_of(self, number: int, name: str) -> tuple[str, bytes] | None:
        """The receipt of a customer's order."""
        query = "SELECT signed, signature FROM receipt WHERE number = ? AND name = ?"
        with self._lock:
            row = self._db.execute(query, (number, name)).fetchone()
        return (str(row[0]), bytes(row[1])) if row else None
