"""Trust: reviewed. Reads the tables of domains: [exclave.NAME], [driver.NAME] and [monolith]."""

from __future__ import annotations

import os

from exclave.abi.rights import ENDPOINT_RIGHTS, WRITE, WRITE_GRANT
from exclave.system import names
from exclave.system.errors import nearest, quote
from exclave.system.model import (
    DEFAULT_BUDGET,
    DEFAULT_MEMORY,
    Component,
    Driver,
    Exclave,
    Monolith,
    Network,
    Use,
)
from exclave.system.table import Table, describe, is_text
from exclave.system.units import format_duration, format_size, parse_duration, parse_size

MEMORY_LEAST = 64 << 20
MEMORY_LIMIT = 1 << 40
BUDGET_LEAST = 0.001
BUDGET_LIMIT = 24 * 3600.0

_ADVICE = {
    "network": "only the monolith may have the network; an exclave is reached by calls",
    "read": "only the monolith may read files; give an exclave what it needs by a call or as a secret",
    "write": "only the monolith may write files",
    "secret": 'did you mean "secrets"?',
    "command": 'an exclave runs a class: write component = "module:Class"',
}
_DRIVER_ONLY = "only a driver has devices: write [driver.NAME] instead of [exclave.NAME]"


def exclave(table: Table, name: str) -> Exclave:
    """Read [exclave.NAME]."""
    read = _component_keys(table, name)
    table.finish({**_ADVICE, "devices": _DRIVER_ONLY})
    return read


def driver(table: Table, name: str) -> Driver:
    """Read [driver.NAME]."""
    read = _component_keys(table, name)
    devices = _devices(table)
    table.finish(_ADVICE)
    return Driver(
        name=name,
        component=read.component,
        secrets=read.secrets,
        generate=read.generate,
        packages=read.packages,
        use=read.use,
        memory=read.memory,
        budget=read.budget,
        restart=read.restart,
        placement=read.placement,
        devices=devices,
    )


def _component_keys(table: Table, name: str) -> Exclave:
    text = table.string(
        "component",
        wanted="a module and a class",
        example='component = "signer:Signer"',
        pattern=names.COMPONENT,
        needed=True,
    )
    module, _, attribute = (text or "component:Component").partition(":")
    placement = table.string("placement", wanted='"exclave"', example='placement = "exclave"')
    if placement not in (None, "exclave"):
        table.wrong(
            "placement",
            f"unknown placement {quote(placement or '')} in {table.title}",
            'write placement = "exclave"',
        )
    restart = table.string("restart", wanted='"never" or "always"', example='restart = "always"')
    if restart not in (None, "never", "always"):
        cause = f"unknown restart {quote(restart or '')} in {table.title}"
        table.wrong("restart", cause, 'write restart = "never" or restart = "always"')
    memory = size(table, "memory", MEMORY_LEAST, MEMORY_LIMIT, 'memory = "256M"')
    secrets = table.strings(
        "secrets", wanted="secret name", example='secrets = ["signing-key"]', pattern=names.SECRET
    )
    return Exclave(
        name=name,
        component=Component(module=module, attribute=attribute),
        secrets=secrets,
        generate=_generate(table, secrets),
        packages=_packages(table),
        use=_uses(table),
        memory=DEFAULT_MEMORY if memory is None else memory,
        budget=_budget(table),
        restart="always" if restart == "always" else "never",
    )


def monolith(table: Table, directory: str) -> Monolith:
    """Read [monolith]; relative paths start from `directory`."""
    command = table.strings(
        "command",
        wanted="word",
        example='command = ["python", "app.py"]',
        needed=True,
        distinct=False,
    )
    if table.get("command") == []:
        table.wrong(
            "command",
            f'"command" in {table.title} is empty',
            'write, for instance, command = ["python", "app.py"]',
        )
    program = path(table, "program", directory, 'program = "./app"')
    read = Monolith(
        command=command,
        program=directory if program is None else program,
        use=_uses(table),
        network=_network(table),
        read=_paths(table, "read", directory),
        write=_paths(table, "write", directory),
        devices=_devices(table),
        environment=_environment(table),
        pass_environment=table.strings(
            "pass_environment",
            wanted="variable name",
            example='pass_environment = ["DATABASE_URL"]',
            pattern=names.VARIABLE,
        ),
        memory=size(table, "memory", MEMORY_LEAST, MEMORY_LIMIT, 'memory = "4G"'),
    )
    table.finish(
        {
            "secrets": "the monolith cannot have secrets: give them to an exclave",
            "component": 'the monolith runs a command: write command = ["python", "app.py"]',
            "env": 'did you mean "environment"?',
        }
    )
    return read


def path(table: Table, key: str, directory: str, example: str) -> str | None:
    """Read one path and make it absolute and real."""
    text = table.string(key, wanted="a path", example=example)
    return None if text is None else resolve(directory, text)


def resolve(directory: str, text: str) -> str:
    """Make a path of the description absolute and real; relative ones start from its directory."""
    return os.path.realpath(os.path.join(directory, text))  # noqa: PTH118 - joins text, as open(2) would see it


def size(table: Table, key: str, least: int, limit: int, example: str, *, needed: bool = False) -> int | None:
    """Read a size in bytes within least..limit; None when it is absent or wrong."""
    value = table.get(key)
    if value is None:
        if needed:
            table.missing(key, example)
        return None
    found: int | None = None
    if isinstance(value, str):
        found = parse_size(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value
    if found is None:
        fix = f"write a whole number and K, M, G or T, for instance {example}"
        table.mismatch(key, "a size", value, fix)
    elif not least <= found <= limit:
        bounds = f"{format_size(least)} to {format_size(limit)}"
        table.wrong(key, f'"{key}" in {table.title} is outside {bounds}', f"write, for instance, {example}")
        found = None
    return found


def _budget(table: Table) -> float:
    value = table.get("budget")
    if value is None:
        return DEFAULT_BUDGET
    found = parse_duration(value) if isinstance(value, str) else None
    if found is None:
        fix = 'write a number and ms, s, m or h, for instance budget = "5s"'
        table.mismatch("budget", "a duration", value, fix)
    elif not BUDGET_LEAST <= found <= BUDGET_LIMIT:
        bounds = f"{format_duration(BUDGET_LEAST)} to {format_duration(BUDGET_LIMIT)}"
        table.wrong(
            "budget", f'"budget" in {table.title} is outside {bounds}', 'write, for instance, budget = "5s"'
        )
    else:
        return found
    return DEFAULT_BUDGET


def _packages(table: Table) -> tuple[str, ...]:
    found = table.strings(
        "packages", wanted="distribution name", example='packages = ["pynacl"]', pattern=names.DISTRIBUTION
    )
    return tuple(names.normalised(name) for name in found)


def _devices(table: Table) -> tuple[str, ...]:
    return table.strings(
        "devices", wanted="device path", example='devices = ["/dev/null"]', pattern=names.DEVICE
    )


def _paths(table: Table, key: str, directory: str) -> tuple[str, ...]:
    found = table.strings(key, wanted="path", example=f'{key} = ["./data"]')
    return tuple(resolve(directory, text) for text in found)


def _generate(table: Table, secrets: tuple[str, ...]) -> dict[str, int]:
    """Read which secrets the nucleus makes from random bytes when they are missing, and how long."""
    example = "write, for instance, generate = { signing-key = 32 }"
    value = table.get("generate")
    if value is None:
        return {}
    if not isinstance(value, dict):
        table.mismatch("generate", "a table of secret names and lengths", value, example)
        return {}
    found: dict[str, int] = {}
    entry = Table(table.report, (*table.path, "generate"), f'"generate" of {table.title}', value)
    for name, length in value.items():
        entry.get(name)
        if name not in secrets:
            near = nearest(name, secrets)
            fix = f'did you mean "{near}"?' if near else f'add {quote(name)} to "secrets"'
            entry.wrong(name, f"{quote(name)} is no secret of {table.title}", fix)
        elif isinstance(length, bool) or not isinstance(length, int) or not 16 <= length <= 4096:
            cause = f"the length of {quote(name)} must be 16 to 4096 bytes, not {describe(length)}"
            entry.wrong(name, cause, example)
        else:
            found[name] = length
    return found


def _uses(table: Table) -> tuple[Use, ...]:
    example = 'use = ["signer"]'
    found: list[Use] = []
    first: dict[str, int] = {}
    for index, value in enumerate(table.array("use", wanted="an array of exclaves", example=example)):
        use = _use(table, index, value)
        if use is None:
            continue
        if use.target in first:
            table.repeated("use", quote(use.target), index, first[use.target])
            continue
        first[use.target] = index
        found.append(use)
    return tuple(found)


def _use(table: Table, index: int, value: object) -> Use | None:
    """Read "signer" or { exclave = "ledger", rights = ["call"] }."""
    if isinstance(value, str) and names.NAME.fullmatch(value):
        return Use(target=value, rights=WRITE_GRANT)
    if not isinstance(value, dict):
        example = 'write "signer" or { exclave = "signer", rights = ["call"] }'
        table.mismatch("use", "an exclave name or a table", value, example, index=index)
        return None
    entry = Table(table.report, (*table.path, "use", index), f'"use" of {table.title}', value)
    target = entry.string(
        "exclave", wanted="an exclave name", example='exclave = "signer"', pattern=names.NAME, needed=True
    )
    rights = WRITE_GRANT if entry.get("rights") is None else _rights(entry)
    entry.finish()
    return None if target is None else Use(target=target, rights=rights)


def _rights(entry: Table) -> int:
    words = entry.strings("rights", wanted="right", example='rights = ["call", "frame"]')
    rights = 0
    for index, word in enumerate(words):
        if word not in ENDPOINT_RIGHTS:
            near = nearest(word, ENDPOINT_RIGHTS)
            fix = f'did you mean "{near}"?' if near else f"the rights are {', '.join(ENDPOINT_RIGHTS)}"
            entry.wrong("rights", f"unknown right {quote(word)} in {entry.title}", fix, index=index)
            return WRITE
        rights |= ENDPOINT_RIGHTS[word]
    if not rights & WRITE and isinstance(entry.get("rights"), list):
        entry.wrong(
            "rights", f'the rights in {entry.title} do not include "call"', 'add "call", or remove the entry'
        )
    return rights


def _network(table: Table) -> Network:
    value = table.get("network")
    if value is None or isinstance(value, bool):
        return Network(anywhere=bool(value))
    if not isinstance(value, dict):
        example = "write network = true, or network = { listen = [8080], connect = [5432] }"
        table.mismatch("network", "true, false or a table of ports", value, example)
        return Network()
    entry = Table(table.report, (*table.path, "network"), f'"network" of {table.title}', value)
    network = Network(listen=_ports(entry, "listen"), connect=_ports(entry, "connect"))
    entry.finish()
    return network


def _ports(entry: Table, key: str) -> tuple[int, ...]:
    example = f"{key} = [8080]"
    first: dict[int, int] = {}
    for index, value in enumerate(entry.array(key, wanted="an array of TCP ports", example=example)):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
            entry.mismatch(
                key, "a TCP port, 1 to 65535", value, f"write, for instance, {example}", index=index
            )
        elif value in first:
            entry.repeated(key, f"port {value}", index, first[value])
        else:
            first[value] = index
    return tuple(first)


def _environment(table: Table) -> dict[str, str]:
    value = table.get("environment")
    example = 'write, for instance, environment = { MODE = "production" }'
    if value is None:
        return {}
    if not isinstance(value, dict):
        table.mismatch("environment", "a table of strings", value, example)
        return {}
    found: dict[str, str] = {}
    for name, text in value.items():
        path = (*table.path, "environment", name)
        if not names.VARIABLE.fullmatch(name):
            table.report.error(path, f"{quote(name)} is not a variable name", example)
        elif text != "" and not is_text(text):
            cause = f'"{name}" in "environment" must be a string, not {describe(text)}'
            table.report.error(path, cause, f'write {name} = "..."', value=True)
        elif isinstance(text, str):
            found[name] = text
    return found
