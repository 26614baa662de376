"""Trust: reviewed. From the tables of a parsed file to a Description; reports what is wrong within a table.

Rules:
1. Every key of the manual is read here or in `domains`, and nothing else is accepted.
2. What concerns two tables (references, cycles, paths) is the business of `check`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exclave.system import domains, names
from exclave.system.errors import nearest, quote
from exclave.system.model import (
    MONOLITH,
    Conclave,
    Description,
    Never,
    Notification,
    Only,
    Region,
    RegionType,
    System,
)
from exclave.system.table import Report, Table, describe, tables
from exclave.system.units import format_size

PAGE = 4096
REGION_LIMIT = 1 << 32
SECTIONS = ("system", "exclave", "driver", "conclave", "region", "notification", MONOLITH, "never", "only")
TYPES: Mapping[str, RegionType] = {
    "SHARED_RO": "SHARED_RO",
    "SHARED_RW": "SHARED_RW",
    "EXCLAVE_PRIVATE": "EXCLAVE_PRIVATE",
}


def decode(
    report: Report, raw: Mapping[str, object], file: str, directory: str, digest: bytes
) -> Description:
    """Read a whole description.

    Args:
        report: collects what is wrong.
        raw: the parsed file.
        file: real path of the file.
        directory: real path of its directory, which relative paths start from.
        digest: SHA-256 of the file.

    Raises:
        DescriptionError: anything in it is wrong.
    """
    for key, value in raw.items():
        if key not in SECTIONS:
            what = (
                f"table [{key}]"
                if isinstance(value, (dict, list)) and names.NAME.fullmatch(key)
                else f"key {quote(key)}"
            )
            near = nearest(key, SECTIONS) if isinstance(value, (dict, list)) else None
            fix = (
                f'did you mean "{near}"?'
                if near
                else f"the tables of a description are {', '.join(SECTIONS)}"
            )
            report.error((key,), f"unknown {what} in the description", fix)
    description = Description(
        file=file,
        directory=directory,
        digest=digest,
        system=_system(report, raw, directory),
        exclaves={name: domains.exclave(t, name) for name, t in _named(report, raw, "exclave")},
        drivers={name: domains.driver(t, name) for name, t in _named(report, raw, "driver")},
        monolith=domains.monolith(
            _section(report, raw, MONOLITH, 'command = ["python", "app.py"]'), directory
        ),
        conclaves={name: _conclave(t, name) for name, t in _named(report, raw, "conclave")},
        regions={name: _region(t, name) for name, t in _named(report, raw, "region")},
        notifications={name: _notification(t, name) for name, t in _named(report, raw, "notification")},
        never=_never(report, raw),
        only=_only(report, raw),
    )
    report.settle()
    return description


def _section(report: Report, raw: Mapping[str, object], key: str, example: str) -> Table:
    """Return the one table [key], which must be there."""
    value = raw.get(key)
    if isinstance(value, dict):
        return Table(report, (key,), f"[{key}]", value)
    if value is None:
        report.error((), f"the table [{key}] is missing", f"add [{key}] with {example}")
    else:
        report.error(
            (key,), f'"{key}" must be a table, not {describe(value)}', f"write [{key}] with {example}"
        )
    return Table(Report(report.file, report.places), (key,), f"[{key}]", {})


def _named(report: Report, raw: Mapping[str, object], kind: str) -> list[tuple[str, Table]]:
    """Return each [kind.NAME] with its name checked."""
    found = []
    for name, data in tables(report, kind, raw.get(kind)):
        shown = name if names.NAME.fullmatch(name) else quote(name)
        table = Table(report, (kind, name), f"[{kind}.{shown}]", data)
        names.check_name(table, kind, name)
        found.append((name, table))
    return found


def _system(report: Report, raw: Mapping[str, object], directory: str) -> System:
    table = _section(report, raw, "system", 'name = "shop"')
    name = table.string(
        "name", wanted=names.NAME_FORM, example='name = "shop"', pattern=names.NAME, needed=True
    )
    secrets = domains.path(table, "secrets", directory, 'secrets = "/etc/shop/secrets"')
    table.finish()
    return System(name=name or "unnamed", secrets=secrets)


def _conclave(table: Table, name: str) -> Conclave:
    members = table.strings(
        "members",
        wanted="exclave name",
        example='members = ["signer", "ledger"]',
        pattern=names.NAME,
        needed=True,
    )
    host = table.string("host", wanted="a domain name", example=f'host = "{MONOLITH}"', pattern=names.NAME)
    if table.get("members") == []:
        table.wrong(
            "members",
            f'"members" in {table.title} is empty',
            "name at least one exclave, or remove the conclave",
        )
    table.finish()
    return Conclave(name=name, members=members, host=host or MONOLITH)


def _region(table: Table, name: str) -> Region:
    size = domains.size(table, "size", PAGE, REGION_LIMIT, 'size = "1M"', needed=True)
    if size is not None and size % PAGE:
        rounded = format_size((size // PAGE + 1) * PAGE)
        table.wrong(
            "size", f'"size" in {table.title} is not a multiple of {PAGE} bytes', f'write size = "{rounded}"'
        )
    kind = table.string("type", wanted="a frame type", example='type = "SHARED_RO"', needed=True)
    if kind is not None and kind not in TYPES:
        near = nearest(kind.upper().replace("-", "_"), TYPES)
        fix = f'did you mean "{near}"?' if near else f"the types are {', '.join(TYPES)}"
        table.wrong("type", f"unknown frame type {quote(kind)} in {table.title}", fix)
    owner = table.string(
        "owner", wanted="a domain name", example='owner = "ledger"', pattern=names.NAME, needed=True
    )
    shared = table.strings(
        "shared", wanted="domain name", example=f'shared = ["{MONOLITH}"]', pattern=names.NAME
    )
    table.finish()
    return Region(
        name=name,
        size=size or PAGE,
        type=TYPES.get(kind or "", "SHARED_RO"),
        owner=owner or MONOLITH,
        shared=shared,
    )


def _notification(table: Table, name: str) -> Notification:
    signal = table.strings(
        "signal", wanted="domain name", example='signal = ["ledger"]', pattern=names.NAME, needed=True
    )
    if table.get("signal") == []:
        table.wrong(
            "signal",
            f'"signal" in {table.title} is empty',
            "name at least one domain, or remove the notification",
        )
    wait = table.string(
        "wait", wanted="a domain name", example=f'wait = "{MONOLITH}"', pattern=names.NAME, needed=True
    )
    table.finish()
    return Notification(name=name, signal=signal, wait=wait or MONOLITH)


def _never(report: Report, raw: Mapping[str, object]) -> tuple[Never, ...]:
    rules = []
    for table in _rules(report, raw, "never"):
        source = table.string(
            "from", wanted="a domain name", example=f'from = "{MONOLITH}"', pattern=names.NAME, needed=True
        )
        reach = _reach(table)
        rules.append(Never(source=source or MONOLITH, reach=reach or MONOLITH))
    return tuple(rules)


def _only(report: Report, raw: Mapping[str, object]) -> tuple[Only, ...]:
    rules = []
    for table in _rules(report, raw, "only"):
        sources = table.strings(
            "from", wanted="domain name", example='from = ["till"]', pattern=names.NAME, needed=True
        )
        rules.append(Only(sources=sources, reach=_reach(table) or MONOLITH))
    return tuple(rules)


def _rules(report: Report, raw: Mapping[str, object], kind: str) -> Iterator[Table]:
    """The tables of [[never]] or [[only]]."""
    value = raw.get(kind, [])
    if not isinstance(value, list):
        cause = f'"{kind}" must be an array of tables, not {describe(value)}'
        report.error((kind,), cause, f"write [[{kind}]]")
        return
    for index, data in enumerate(value):
        if isinstance(data, dict):
            yield Table(report, (kind, index), f"[[{kind}]]", data)
        else:
            cause = f'each of "{kind}" must be a table, not {describe(data)}'
            report.error((kind, index), cause, f"write [[{kind}]]")


def _reach(table: Table) -> str | None:
    reach = table.string(
        "reach", wanted="a target", example='reach = "signer.secrets.signing-key"', needed=True
    )
    table.finish()
    return reach
