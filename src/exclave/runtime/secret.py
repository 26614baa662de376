"""Trust: outside.

Secrets of an exclave: bytes that live in secret memory, which the kernel maps for this process alone
(memfd_secret(2)), and are never copied to the Python heap by this module.

Rules:
 1. repr, str, hash and pickle of a Secret show nothing of its content.
 2. bytes(secret) is not offered: a copy on the heap must be written out as bytes(secret.view()).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn


class Secret:
    """One secret in secret memory.

    Args:
        name: as in the description.
        memory: exactly the secret's bytes, in secret memory.
    """

    __slots__ = ("_memory", "name")

    def __init__(self, name: str, memory: memoryview) -> None:
        self.name = name
        self._memory = memory

    def view(self) -> memoryview:
        """A read-only view of the bytes, for a function that takes a buffer and makes no copy."""
        return self._memory.toreadonly()

    def __len__(self) -> int:
        return len(self._memory)

    def __repr__(self) -> str:
        return f"<Secret {self.name!r}, {len(self)} bytes>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"the secret {self.name!r} cannot be serialised")


class Secrets(Mapping[str, Secret]):
    """The secrets that the description gives to this exclave, by name."""

    def __init__(self, secrets: dict[str, Secret]) -> None:
        self._secrets = secrets

    def __getitem__(self, name: str) -> Secret:
        try:
            return self._secrets[name]
        except KeyError:
            have = ", ".join(sorted(self._secrets)) or "none"
            raise KeyError(
                f'no secret "{name}" was given to this exclave (it has: {have}); '
                "name it in `secrets` of its table in exclave.toml"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)
