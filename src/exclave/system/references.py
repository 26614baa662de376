"""Trust: reviewed. Checks what the tables of a description say of each other: names, calls, groups, rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exclave.system.errors import listing, nearest, quote
from exclave.system.locate import KeyPath
from exclave.system.model import MONOLITH, SIGNALLER_LIMIT, Description, Exclave, Region
from exclave.system.table import Report
from exclave.system.targets import TargetError, parse_target


def check(report: Report, description: Description) -> None:
    """Report every reference that does not fit."""
    _shared_names(report, description)
    _uses(report, description)
    _cycles(report, description)
    _conclaves(report, description)
    for region in description.regions.values():
        _region(report, description, region)
    _notifications(report, description)
    _restarts(report, description)
    for index, rule in enumerate(description.never):
        _domain(report, description, ("never", index, "from"), rule.source)
        _target(report, description, ("never", index, "reach"), rule.reach)
    for index, claim in enumerate(description.only):
        for place, source in enumerate(claim.sources):
            _domain(report, description, ("only", index, "from", place), source)
        _target(report, description, ("only", index, "reach"), claim.reach)


def _restarts(report: Report, description: Description) -> None:
    """Refuse a restart of who holds what others would keep the old end of."""
    for name, entry in description.components.items():
        if entry.restart == "never":
            continue
        key = (*description.table(name), "restart")
        for region in description.regions.values():
            if region.owner == name and region.type == "SHARED_RO":
                cause = f'{name} cannot be restarted: readers of the region "{region.name}" hold its memory'
                report.error(key, cause, 'write restart = "never", or let another exclave own it', value=True)
        for notification in description.notifications.values():
            if name in (*notification.signal, notification.wait):
                cause = (
                    f'{name} cannot be restarted: the notification "{notification.name}" would end with it'
                )
                report.error(key, cause, 'write restart = "never"', value=True)


def _target(report: Report, description: Description, path: KeyPath, text: str) -> None:
    try:
        parse_target(description, text)
    except TargetError as error:
        report.error(path, error.cause, error.fix, value=True)


def _shared_names(report: Report, description: Description) -> None:
    for name in description.drivers:
        if name in description.exclaves:
            line = report.line(("exclave", name))
            cause = f'"{name}" is the name of an exclave and of a driver'
            report.error(("driver", name), cause, f"rename one; the exclave is on line {line}")


def _unknown(
    report: Report, path: KeyPath, what: str, name: str, known: Iterable[str], hint: str | None = None
) -> None:
    """Report a name that is not among `known`."""
    choices = sorted(known)
    near = nearest(name, choices)
    if hint is not None:
        fix = hint
    elif near is not None:
        fix = f'did you mean "{near}"?'
    elif choices:
        fix = f"there {'is' if len(choices) == 1 else 'are'} {listing(choices)}"
    else:
        fix = f"add [exclave.{name}]"
    report.error(path, f"there is no {what} {quote(name)}", fix, value=True)


def _domain(report: Report, description: Description, path: KeyPath, name: str) -> bool:
    """Report a name that is no domain; tell whether it is one."""
    if name in description.domains:
        return True
    _unknown(report, path, "domain", name, description.domains)
    return False


def _uses(report: Report, description: Description) -> None:
    components = description.components
    for domain in description.domains:
        for index, use in enumerate(description.uses(domain)):
            path: KeyPath = (*description.table(domain), "use", index)
            if use.target == MONOLITH:
                fix = "turn it round: let the monolith use it, or let it signal a notification"
                report.error(path, f"{domain} cannot use the monolith: nobody can call it", fix, value=True)
            elif use.target == domain:
                report.error(
                    path, f"{domain} uses itself", "remove it; a method can call another directly", value=True
                )
            elif use.target not in components:
                hint = None
                if use.target in description.regions:
                    hint = f'a region is shared, not used: add "{domain}" to shared in [region.{use.target}]'
                elif use.target in description.notifications:
                    hint = f'add "{domain}" to signal in [notification.{use.target}]'
                elif use.target in description.conclaves:
                    hint = f"use the exclaves in it: {listing(description.conclaves[use.target].members)}"
                _unknown(report, path, "exclave or driver", use.target, set(components) - {domain}, hint)


def _cycles(report: Report, description: Description) -> None:
    """Report each circle of calls once; the walk is depth first, in the order of the file."""
    components = description.components
    finished: set[str] = set()
    for start in components:
        cycle = _cycle_from(start, components, finished)
        if cycle is None:
            continue
        hops = []
        for index, name in enumerate(cycle):
            target = cycle[(index + 1) % len(cycle)]
            line = report.line(use_path(description, name, target))
            hops.append(f"{name} uses {target} (line {line})")
        cause = f"calls go in a circle: {', '.join(hops)}"
        fix = "remove one of these uses; a notification can carry news the other way"
        report.error(use_path(description, cycle[0], cycle[1]), cause, fix, value=True)


def _cycle_from(start: str, components: Mapping[str, Exclave], finished: set[str]) -> list[str] | None:
    """Return a circle of at least two components that is reached from `start`, or None; without recursion."""
    route: list[str] = []
    stack = [(start, False)]
    while stack:
        name, left = stack.pop()
        if left:
            route.pop()
            finished.add(name)
            continue
        if name in route:
            finished.update(route)
            return route[route.index(name) :]
        if name in finished:
            continue
        route.append(name)
        stack.append((name, True))
        for use in reversed(components[name].use):
            if use.target in components and use.target != name:
                stack.append((use.target, False))
    return None


def use_path(description: Description, domain: str, target: str) -> KeyPath:
    """Return the key path of the entry by which `domain` uses `target`."""
    for index, use in enumerate(description.uses(domain)):
        if use.target == target:
            return (*description.table(domain), "use", index)
    return description.table(domain)


def _conclaves(report: Report, description: Description) -> None:
    home: dict[str, tuple[str, int]] = {}
    for name, conclave in description.conclaves.items():
        table = ("conclave", name)
        members = tuple(member for member in conclave.members if member != MONOLITH)
        for index, member in enumerate(conclave.members):
            path = (*table, "members", index)
            if member == MONOLITH:
                report.error(
                    path,
                    "the monolith cannot be in a conclave",
                    'write it as the host: host = "monolith"',
                    value=True,
                )
            elif member not in description.components:
                _unknown(report, path, "exclave or driver", member, description.components)
            elif member in home:
                other, line = home[member]
                cause = f'"{member}" is in two conclaves, {other} and {name}'
                report.error(path, cause, f"remove it from one; the other is on line {line}", value=True)
            else:
                home[member] = (name, report.line(path))
        if _domain(report, description, (*table, "host"), conclave.host) and conclave.host in members:
            cause = f'"{conclave.host}" is host and member of [conclave.{name}]'
            report.error((*table, "host"), cause, "a conclave is attached to a domain outside it", value=True)


def _region(report: Report, description: Description, region: Region) -> None:
    table = ("region", region.name)
    _domain(report, description, (*table, "owner"), region.owner)
    for index, name in enumerate(region.shared):
        path = (*table, "shared", index)
        if name == region.owner:
            report.error(
                path,
                f'"{name}" owns [region.{region.name}] and shares it',
                "remove it from shared",
                value=True,
            )
        else:
            _domain(report, description, path, name)
    if region.type == "EXCLAVE_PRIVATE":
        if region.shared:
            cause = f"[region.{region.name}] is EXCLAVE_PRIVATE and shared"
            fix = 'remove shared, or write type = "SHARED_RO"'
            report.error((*table, "shared"), cause, fix, value=True)
        if region.owner == MONOLITH or region.owner in description.drivers:
            owner = "the monolith" if region.owner == MONOLITH else f'the driver "{region.owner}"'
            cause = f"[region.{region.name}] is EXCLAVE_PRIVATE and owned by {owner}"
            report.error((*table, "owner"), cause, "let an exclave own it", value=True)
    elif not region.shared:
        cause = f"[region.{region.name}] is {region.type} and shared with nobody"
        report.warning(table, cause, 'add shared = ["monolith"], or write type = "EXCLAVE_PRIVATE"')


def _notifications(report: Report, description: Description) -> None:
    for name, notification in description.notifications.items():
        table = ("notification", name)
        for index, signaller in enumerate(notification.signal):
            _domain(report, description, (*table, "signal", index), signaller)
        _domain(report, description, (*table, "wait"), notification.wait)
        if notification.wait in notification.signal:
            cause = f'"{notification.wait}" both signals and waits for [notification.{name}]'
            index = notification.signal.index(notification.wait)
            report.error((*table, "signal", index), cause, "remove it from signal", value=True)
        if len(notification.signal) > SIGNALLER_LIMIT:
            cause = f"[notification.{name}] has {len(notification.signal)} signallers"
            fix = f"at most {SIGNALLER_LIMIT} fit, one badge bit each: make a second notification"
            report.error((*table, "signal"), cause, fix, value=True)
