"""Trust: reviewed. Checks the device nodes of drivers and of the monolith."""

from __future__ import annotations

import os

from exclave.system.errors import quote
from exclave.system.locate import KeyPath
from exclave.system.model import Description
from exclave.system.table import Report

FORBIDDEN = ("/dev/mem", "/dev/kmem", "/dev/port", "/dev/kcore")


def check(report: Report, description: Description) -> None:
    """Report every device node that is not one, or gives too much."""
    tables: list[tuple[KeyPath, tuple[str, ...]]] = [(("monolith",), description.monolith.devices)]
    tables += [(("driver", driver.name), driver.devices) for driver in description.drivers.values()]
    for table, devices in tables:
        for index, device in enumerate(devices):
            key: KeyPath = (*table, "devices", index)
            real = os.path.realpath(device)
            if real in FORBIDDEN:
                report.error(
                    key, f"{quote(device)} gives all of the machine's memory", "remove it", value=True
                )
            elif not real.startswith("/dev/"):
                report.error(
                    key, f"{quote(device)} leads out of /dev", "name the device node itself", value=True
                )
            elif not os.path.exists(real) or os.path.isdir(real):  # noqa: PTH110, PTH112
                cause = f"there is no device node {quote(device)}"
                report.error(key, cause, "load the driver that makes it, or remove it", value=True)
