"""The attempts that a domain can be asked to make, by name."""

from __future__ import annotations

from collections.abc import Callable

Attempt = Callable[[dict[str, str]], str]
ATTEMPTS: dict[str, Attempt] = {}


def attempt(function: Attempt) -> Attempt:
    """Register an attempt under its function's name."""
    ATTEMPTS[function.__name__] = function
    return function
