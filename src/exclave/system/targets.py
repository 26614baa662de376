"""Trust: reviewed. Targets: what a `never` rule and `explain` speak of.

A target is "signer" (its endpoint), "signer.secrets.NAME", "region.NAME", "notification.NAME", "network" or
"path:PATH". Its canonical text is the id of a node of the graph.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from exclave.system.domains import resolve
from exclave.system.errors import listing, nearest, quote
from exclave.system.model import MONOLITH, Description

FORMS = '"signer", "signer.secrets.NAME", "region.NAME", "notification.NAME", "network" or "path:/DIR"'


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that can be reached: its kind, the node's id, and the component it belongs to, if any."""

    kind: str
    node: str
    owner: str | None = None


class TargetError(Exception):
    """A target that does not exist or has no meaning."""

    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.fix = fix


def endpoint(component: str) -> str:
    """Return the node of a component's endpoint."""
    return f"{component}.endpoint"


def parse_target(description: Description, text: str) -> Target:
    """Find what a target's text names.

    Raises:
        TargetError: nothing (the rule's fault); it holds a cause and a fix.
    """
    if text == "network":
        return Target(kind="network", node="network")
    if text.startswith("path:"):
        path = text.removeprefix("path:")
        if not path or "\x00" in path:
            raise TargetError(
                f"the target {quote(text)} names no path", 'write, for instance, "path:/etc/shop"'
            )
        return Target(kind="path", node=f"path:{resolve(description.directory, path)}")
    head, dot, rest = text.partition(".")
    if not dot:
        return _endpoint(description, head)
    if head == "region" and head not in description.components:
        return _named(text, "region", rest, description.regions)
    if head == "notification" and head not in description.components:
        return _named(text, "notification", rest, description.notifications)
    if head == MONOLITH:
        raise TargetError(
            f"there is no target {quote(text)}: the monolith has no secrets", f"a target is {FORMS}"
        )
    if head not in description.components:
        raise _unknown("exclave or driver", head, description.components, text)
    word, dot, secret = rest.partition(".")
    if rest == "endpoint":
        return _endpoint(description, head)
    if word != "secrets" or not dot:
        near = f"{head}.secrets.{rest}" if rest in description.components[head].secrets else None
        raise TargetError(
            f"there is no target {quote(text)}", f'did you mean "{near}"?' if near else f"a target is {FORMS}"
        )
    secrets = description.components[head].secrets
    if secret not in secrets:
        if not secrets:
            raise TargetError(
                f"{head} has no secrets",
                f"add secrets = [{quote(secret)}] to [{'.'.join(description.table(head))}]",
            )
        raise _unknown(f"secret of {head}", secret, secrets, text, prefix=f"{head}.secrets.")
    return Target(kind="secret", node=text, owner=head)


def _endpoint(description: Description, name: str) -> Target:
    if name == MONOLITH:
        fix = "remove the rule, or name something that the monolith has, for instance a path"
        raise TargetError("the monolith cannot be reached: nobody can call it", fix)
    if name in description.components:
        return Target(kind="endpoint", node=endpoint(name), owner=name)
    for kind, known in (("region", description.regions), ("notification", description.notifications)):
        if name in known:
            raise TargetError(f"there is no exclave {quote(name)}", f'did you mean "{kind}.{name}"?')
    raise _unknown("exclave or driver", name, {*description.components, "network"}, name)


def _named(text: str, kind: str, name: str, known: Iterable[str]) -> Target:
    if name in known:
        return Target(kind=kind, node=text)
    raise _unknown(kind, name, known, text, prefix=f"{kind}.")


def _unknown(what: str, name: str, known: Iterable[str], text: str, prefix: str = "") -> TargetError:
    choices = sorted(known)
    near = nearest(name, choices)
    if near is not None:
        fix = f'did you mean "{prefix}{near}{text.removeprefix(name) if not prefix else ""}"?'
    elif choices:
        fix = f"there {'is' if len(choices) == 1 else 'are'} {listing(choices)}"
    else:
        fix = f"a target is {FORMS}"
    return TargetError(f"there is no {what} {quote(name)}", fix)
