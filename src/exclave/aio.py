"""Trust: outside.

The asyncio side of the public API: `await exclave.aio.connect("signer", Signer)`.
"""

from __future__ import annotations

from exclave.runtime.aio import AsyncProxy
from exclave.runtime.connect import connect_async as connect

__all__ = ["AsyncProxy", "connect"]
