"""Fixtures and settings of every test.

A test decorated with `support.ordinary.both_users` runs as root and as an ordinary user; its
fixtures below give it directories that belong to the user it runs as.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from support.ordinary import IS_ROOT, User, fresh_directory, ordinary_user

SystemWriter = Callable[[Mapping[str, str]], Path]

# No database: a test must not depend on what an earlier run left. No deadline: it times.
settings.register_profile("exclave", max_examples=60, deadline=None, database=None)
settings.register_profile("ci", settings.get_profile("exclave"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "exclave")


def pytest_report_header() -> str:
    """Say which users the tests run as, since an ordinary user cannot test as root."""
    if IS_ROOT:
        return f"exclave: testing as root and as the ordinary user {ordinary_user().name}"
    return f"exclave: testing as the ordinary user {ordinary_user().name} only; root's cases need root"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, and so count in the closing line, what only root can test."""
    if IS_ROOT:
        return
    beyond = [item for item in items if item.get_closest_marker("root")]
    if beyond:
        config.hook.pytest_deselected(items=beyond)
        items[:] = [item for item in items if item not in beyond]


@pytest.fixture
def user_directory(user: User) -> Iterator[Path]:
    """A fresh directory that belongs to the user of a `both_users` test."""
    with fresh_directory(user) as path:
        yield path


@pytest.fixture
def write_system(user: User) -> Iterator[SystemWriter]:
    """A function that writes files (name to text) into a fresh directory of the user's and returns it.

    Names may contain directories. Every file and directory belongs to the user.
    """
    with ExitStack() as stack:

        def write(files: Mapping[str, str]) -> Path:
            root = stack.enter_context(fresh_directory(user))
            for name, text in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            if IS_ROOT and user == "ordinary":
                account = ordinary_user()
                for path in root.rglob("*"):
                    os.chown(path, account.uid, account.gid, follow_symlinks=False)
            return root

        yield write
