"""Descriptions as values, for tests of what the nucleus makes of them; nothing of them is on disk."""

from __future__ import annotations

from exclave.abi.rights import GRANT, WRITE
from exclave.system.description import (
    Component,
    Conclave,
    Description,
    Driver,
    Exclave,
    Monolith,
    Notification,
    Region,
    System,
    Use,
)

CALL = WRITE
FRAME = GRANT


def exclave(name: str, *use: Use, secrets: tuple[str, ...] = ()) -> Exclave:
    """An exclave of that name that runs the class NAME of the module `name`."""
    return Exclave(
        name=name, component=Component(module=name, attribute=name.title()), use=use, secrets=secrets
    )


def driver(name: str, *use: Use) -> Driver:
    """A driver of that name with one device."""
    component = Component(module=name, attribute=name.title())
    return Driver(name=name, component=component, use=use, devices=("/dev/null",))


def uses(target: str, rights: int = CALL | FRAME) -> Use:
    """An entry of `use`."""
    return Use(target=target, rights=rights)


def describe(
    *parts: Exclave | Region | Notification | Conclave,
    use: tuple[Use, ...] = (),
    directory: str = "/nonexistent",
    monolith: Monolith | None = None,
    secrets: str | None = None,
) -> Description:
    """A description of these parts.

    Args:
        parts: exclaves, drivers, regions, notifications and conclaves, in the order of the file.
        use: the monolith's, when `monolith` is not given.
        directory: where it lies.
        monolith: all of its table.
        secrets: [system] secrets.
    """
    exclaves = [part for part in parts if isinstance(part, Exclave)]
    return Description(
        file=f"{directory}/exclave.toml",
        directory=directory,
        digest=bytes(32),
        system=System(name="shop", secrets=secrets),
        monolith=monolith or Monolith(command=("python", "app.py"), program=directory, use=use),
        exclaves={part.name: part for part in exclaves if not isinstance(part, Driver)},
        drivers={part.name: part for part in exclaves if isinstance(part, Driver)},
        regions={part.name: part for part in parts if isinstance(part, Region)},
        notifications={part.name: part for part in parts if isinstance(part, Notification)},
        conclaves={part.name: part for part in parts if isinstance(part, Conclave)},
    )


def rich() -> Description:
    """A description with everything: two exclaves and a driver, regions of each type, signals, a conclave."""
    return describe(
        exclave("signer", uses("ledger", CALL)),
        exclave("ledger"),
        driver("nic", uses("ledger")),
        Region(name="orders", size=8192, type="SHARED_RO", owner="ledger", shared=("monolith", "signer")),
        Region(name="ring", size=4096, type="SHARED_RW", owner="nic", shared=("monolith",)),
        Region(name="scratch", size=4096, type="EXCLAVE_PRIVATE", owner="signer"),
        Notification(name="paid", signal=("ledger", "nic"), wait="monolith"),
        Notification(name="wake", signal=("monolith",), wait="ledger"),
        Conclave(name="payments", members=("signer", "ledger")),
        use=(uses("signer"), uses("nic", CALL)),
    )
