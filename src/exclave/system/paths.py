"""Trust: reviewed. Checks the paths a description grants: they exist, and nothing precious is inside them.

Rules:
1. Precious are: secrets, the description, its lock file, the code of components, the Python that runs them,
   the nucleus's own files, and sockets that start programs outside.
2. What the monolith may write, it may have replaced by a symbolic link in an earlier run; no path of the
   description goes through such a link.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from exclave.system import modules
from exclave.system.containment import holds, links_followed, overlap
from exclave.system.description import Source, secret_candidates, secret_directories
from exclave.system.errors import listing, quoted_path
from exclave.system.grants import Grant, grants, python_directories
from exclave.system.locate import KeyPath
from exclave.system.model import Description
from exclave.system.table import Report

CONTROL = (
    "/run/docker.sock",
    "/run/containerd",
    "/run/crio",
    "/run/dbus",
    "/run/podman",
    "/run/systemd",
    "/run/user",
    "/tmp/.X11-unix",
)
"""Places whose sockets start programs outside of the monolith, or type into them, for whoever connects."""

OWN = ("/run/exclave", "/var/lib/exclave")
"""Where a nucleus that runs as root keeps its sockets and its log."""

PERSONAL = (".ssh", ".gnupg", ".aws", ".kube", ".netrc", ".git-credentials", ".config/gcloud", ".docker")
"""What of an operator's home directory is worth a warning."""


def check(report: Report, source: Source, environment: Mapping[str, str]) -> None:
    """Report every path that does not exist or gives too much."""
    description = source.description
    granted = list(grants(description))
    for grant in granted:
        _exists(report, grant)
        _control(report, grant, environment)
        _personal(report, grant, environment)
    _secrets(report, description, granted, environment)
    _writable(report, description, granted)
    _links(report, source, granted)


def _exists(report: Report, grant: Grant) -> None:
    if grant.word == "program":
        if not os.path.isdir(grant.path):  # noqa: PTH112
            report.error(
                grant.key,
                f"the program directory {grant.shown} does not exist",
                "name a directory",
                value=True,
            )
    elif not os.path.exists(grant.path):  # noqa: PTH110
        fix = "create it with mkdir -p, or remove the grant"
        if "/~" in grant.path:
            fix = "~ is not expanded: write the whole path"
        report.error(grant.key, f'the path {grant.shown} of "{grant.word}" does not exist', fix, value=True)


def _control(report: Report, grant: Grant, environment: Mapping[str, str]) -> None:
    if holds("/proc", grant.path):
        cause = f'"{grant.word}" grants {grant.shown}, which shows other processes'
        fix = "remove it; a domain has its own view of its processes"
        report.error(grant.key, cause, fix, value=True)
        return
    agent = environment.get("SSH_AUTH_SOCK", "")
    sockets = [path for path in (*CONTROL, agent) if path.startswith("/") and _overlaps(grant, path)]
    if sockets:
        cause = f'"{grant.word}" grants {grant.shown}: sockets in {quoted_path(sockets[0])} act outside'
        report.error(grant.key, cause, "grant a directory without control sockets", value=True)
        return
    state = environment.get("XDG_STATE_HOME") or f"{environment.get('HOME', '')}/.local/state"
    own = [path for path in (*OWN, f"{state}/exclave") if _overlaps(grant, path)]
    if own:
        where = quoted_path(own[0])
        cause = f'"{grant.word}" grants {grant.shown}, which holds the nucleus\'s own files in {where}'
        report.error(grant.key, cause, "grant a smaller directory", value=True)


def _overlaps(grant: Grant, path: str) -> bool:
    return overlap(grant.path, os.path.realpath(path))


def _personal(report: Report, grant: Grant, environment: Mapping[str, str]) -> None:
    """Warn of a grant that holds an operator's own keys."""
    home = environment.get("HOME", "")
    places = (f"{home}/{name}" for name in PERSONAL) if home.startswith("/") else ()
    found = [path for path in places if os.path.exists(path) and _overlaps(grant, path)]  # noqa: PTH110
    if found:
        cause = f'"{grant.word}" grants {grant.shown}, with the operator\'s own {quoted_path(found[0])}'
        report.warning(grant.key, cause, "grant a smaller directory", value=True)


def _secrets(
    report: Report, description: Description, granted: list[Grant], environment: Mapping[str, str]
) -> None:
    holders = [(e.name, secret) for e in description.components.values() for secret in e.secrets]
    if not holders and description.system.secrets is None:
        return
    for index, directory in enumerate(secret_directories(description, environment)):
        precious = [directory]
        for exclave, secret in holders:
            # The file may be a link that leads elsewhere.
            file = secret_candidates(description, exclave, secret, environment)[index]
            precious.append(os.path.realpath(file))
        for grant in granted:
            if any(overlap(grant.path, path) for path in precious):
                where = quoted_path(directory, description.directory)
                cause = f'"{grant.word}" lets the monolith read the secrets in {where}'
                fix = f"move the secrets out of {grant.shown}, or grant a smaller directory"
                report.error(grant.key, cause, fix, value=True)


def _writable(report: Report, description: Description, granted: list[Grant]) -> None:
    precious = [(description.file, "the description"), (description.lock, "its lock file")]
    for exclave in description.components.values():
        file = modules.find(description, exclave.component)
        if file is not None:
            what = f"the code of {exclave.name}"
            precious += [(file, what), (os.path.realpath(file), what)]
    for grant in granted:
        if grant.word != "write":
            continue
        found = list(dict.fromkeys(what for path, what in precious if holds(grant.path, path)))
        python = [prefix for prefix in python_directories() if overlap(grant.path, prefix)]
        if found:
            cause = f'"write" lets the monolith change {listing(found)}'
            fix = "grant a directory that holds only what the monolith writes, for instance ./var"
            report.error(grant.key, cause, fix, value=True)
        elif python:
            where = quoted_path(python[0], description.directory)
            cause = f'"write" lets the monolith change the Python in {where}'
            report.error(grant.key, cause, "grant a directory outside of it, for instance ./var", value=True)


def _links(report: Report, source: Source, granted: list[Grant]) -> None:
    """Report a path that goes through a link which the monolith could have put there."""
    description = source.description
    writable = [grant for grant in granted if grant.word == "write"]
    for key, text in _written(source):
        # Joined as text: ".." behind a link means the parent of what the link leads to.
        for link in links_followed(f"{description.directory}/{text}" if text[0] != "/" else text):
            directory = os.path.dirname(link)  # noqa: PTH120
            place = next((grant for grant in writable if holds(grant.path, directory)), None)
            if place is not None:
                path, shown = (quoted_path(name, description.directory) for name in (text, link))
                cause = f"{path} goes through the link {shown}, which the monolith can change"
                fix = f"name what it leads to, or a path outside of {place.shown}"
                report.error(key, cause, fix, value=True)
                break


def _written(source: Source) -> Iterator[tuple[KeyPath, str]]:
    """Give each path of the description as it was written, before links were followed."""
    description = source.description
    keys: list[KeyPath] = [("system", "secrets"), ("monolith", "program")]
    keys += [("monolith", "read", index) for index in range(len(description.monolith.read))]
    keys += [("monolith", "write", index) for index in range(len(description.monolith.write))]
    for key in keys:
        text = source.raw(*key)
        if isinstance(text, str):
            yield key, text
    for exclave in description.components.values():
        file = modules.find(description, exclave.component)
        if file is not None:
            yield (*description.table(exclave.name), "component"), file
