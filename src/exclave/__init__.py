"""Trust: outside.

exclave: move keys, passcodes and payments out of reach of the program that uses them.

A component is a class whose protected methods other domains may call; `connect` gives a client of one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from exclave.abi.exceptions import ComponentError, DeadlineExceeded, ExclaveError, Fault, Refused, Revoked
    from exclave.abi.interface import Caller, protected
    from exclave.runtime.component import Component
    from exclave.runtime.connect import connect
    from exclave.runtime.deadline import deadline
    from exclave.runtime.notification import Notification, notification
    from exclave.runtime.region import region
    from exclave.runtime.secret import Secret

__all__ = [
    "Caller",
    "Component",
    "ComponentError",
    "DeadlineExceeded",
    "ExclaveError",
    "Fault",
    "Notification",
    "Refused",
    "Revoked",
    "Secret",
    "connect",
    "deadline",
    "notification",
    "protected",
    "region",
]

_HOMES: Final = {
    "exclave.abi.exceptions": (
        "ComponentError",
        "DeadlineExceeded",
        "ExclaveError",
        "Fault",
        "Refused",
        "Revoked",
    ),
    "exclave.abi.interface": ("Caller", "protected"),
    "exclave.runtime.component": ("Component",),
    "exclave.runtime.connect": ("connect",),
    "exclave.runtime.deadline": ("deadline",),
    "exclave.runtime.notification": ("Notification", "notification"),
    "exclave.runtime.region": ("region",),
    "exclave.runtime.secret": ("Secret",),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    # Each part is imported when it is first used: the nucleus and the command line need none of them.
    if name in ("aio", "keys"):
        return importlib.import_module(f"exclave.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'exclave' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
