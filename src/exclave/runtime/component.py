"""What every component derives from.

Trust: reviewed.
Purpose: give a component the things that its domain was handed, before `init` runs.
Rules: 1. a component is made without arguments. 2. it receives everything before `init` and nothing after.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from exclave.abi.interface import Caller as Caller

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class Component:
    """A program that runs in a domain: a class whose `@protected` methods other domains can call.

    Attributes:
        name: the domain's name in the system description.
        secrets: the secrets of the description, by name.
        regions: the regions that it shares, by name.
        notifications: the notifications that it may signal or wait for, by name.
        uses: the components that it may call, by name.
    """

    name: str = ""
    secrets: Mapping[str, Any] = _NONE
    regions: Mapping[str, Any] = _NONE
    notifications: Mapping[str, Any] = _NONE
    uses: Mapping[str, Any] = _NONE

    def init(self) -> None:
        """Run once, before the first call, with everything above in place."""


def prepare(
    component: Component,
    *,
    name: str,
    secrets: Mapping[str, Any] = _NONE,
    regions: Mapping[str, Any] = _NONE,
    notifications: Mapping[str, Any] = _NONE,
    uses: Mapping[str, Any] = _NONE,
) -> None:
    """Hand a component what its domain was given; `init` comes next."""
    component.name = name
    component.secrets = secrets
    component.regions = regions
    component.notifications = notifications
    component.uses = uses
