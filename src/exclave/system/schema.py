"""Trust: reviewed. The form of exclave.toml as msgspec types, for its JSON Schema (editors use it).

Rules:
1. It is never stricter than the decoder: what the decoder accepts, the schema accepts.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}$", description="a name")]
Text = Annotated[str, Meta(min_length=1, max_length=4096)]
Secret = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Size = Annotated[str, Meta(pattern=r"^[0-9]{1,15}[KMGT]?$", examples=["256M"])] | int
Duration = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h)$", examples=["5s"])]
Port = Annotated[int, Meta(ge=1, le=65535)]
ComponentName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.]+:[A-Za-z0-9_]+$", examples=["signer:Signer"])]


class _Table(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What all tables share."""


class SystemTable(_Table, kw_only=True):
    """The system as a whole."""

    name: Name
    secrets: Text | UnsetType = UNSET


class UseTable(_Table, kw_only=True):
    """An endpoint capability with chosen rights."""

    exclave: Name
    rights: list[Literal["call", "frame"]] | UnsetType = UNSET


class ExclaveTable(_Table, kw_only=True):
    """A component in a domain of its own."""

    component: ComponentName
    secrets: list[Secret] | UnsetType = UNSET
    generate: dict[Secret, Annotated[int, Meta(ge=16, le=4096)]] | UnsetType = UNSET
    packages: list[Text] | UnsetType = UNSET
    use: list[Name | UseTable] | UnsetType = UNSET
    memory: Size | UnsetType = UNSET
    budget: Duration | UnsetType = UNSET
    restart: Literal["never", "always"] | UnsetType = UNSET
    placement: Literal["exclave"] | UnsetType = UNSET


class DriverTable(ExclaveTable, kw_only=True):
    """A component that is also given device nodes."""

    devices: list[Text] | UnsetType = UNSET


class NetworkTable(_Table, kw_only=True):
    """TCP ports only."""

    listen: list[Port] | UnsetType = UNSET
    connect: list[Port] | UnsetType = UNSET


class MonolithTable(_Table, kw_only=True):
    """The big program and everything that it is given."""

    command: list[Text]
    program: Text | UnsetType = UNSET
    use: list[Name | UseTable] | UnsetType = UNSET
    network: bool | NetworkTable | UnsetType = UNSET
    read: list[Text] | UnsetType = UNSET
    write: list[Text] | UnsetType = UNSET
    devices: list[Text] | UnsetType = UNSET
    environment: dict[str, str] | UnsetType = UNSET
    pass_environment: list[Text] | UnsetType = UNSET
    memory: Size | UnsetType = UNSET


class ConclaveTable(_Table, kw_only=True):
    """Exclaves that start and stop together."""

    members: list[Name]
    host: Name | UnsetType = UNSET


class RegionTable(_Table, kw_only=True):
    """Memory that domains share."""

    size: Size
    type: Literal["SHARED_RO", "SHARED_RW", "EXCLAVE_PRIVATE"]
    owner: Name
    shared: list[Name] | UnsetType = UNSET


class NotificationTable(_Table, kw_only=True):
    """A set of bits, one per signaller."""

    signal: list[Name]
    wait: Name


class NeverTable(_Table, kw_only=True, rename={"source": "from"}):
    """A claim that `exclave check` decides."""

    source: Name
    reach: Text


class OnlyTable(_Table, kw_only=True, rename={"sources": "from"}):
    """A claim that nobody else can reach something."""

    sources: list[Name]
    reach: Text


class DescriptionFile(_Table, kw_only=True):
    """A system description, exclave.toml."""

    system: SystemTable
    monolith: MonolithTable
    exclave: dict[str, ExclaveTable] | UnsetType = UNSET
    driver: dict[str, DriverTable] | UnsetType = UNSET
    conclave: dict[str, ConclaveTable] | UnsetType = UNSET
    region: dict[str, RegionTable] | UnsetType = UNSET
    notification: dict[str, NotificationTable] | UnsetType = UNSET
    never: list[NeverTable] | UnsetType = UNSET
    only: list[OnlyTable] | UnsetType = UNSET


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (2020-12) of a description."""
    schema: dict[str, object] = msgspec.json.schema(DescriptionFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "exclave.toml", **schema}
