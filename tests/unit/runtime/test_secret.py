from __future__ import annotations

import copy
import json
import pickle

import pytest

from exclave.linux import calls
from exclave.runtime.secret import Secret, Secrets

CONTENT = b"correct horse battery staple"


@pytest.fixture
def secret() -> Secret:
    memory = calls.secret_memory(len(CONTENT)).view[: len(CONTENT)]
    memory[:] = CONTENT
    return Secret("key", memory)


def test_content_is_seen_through_a_read_only_view(secret: Secret) -> None:
    view = secret.view()
    assert view == CONTENT
    assert view.readonly
    assert len(secret) == len(CONTENT)
    with pytest.raises(TypeError, match="read-only memory"):
        view[0] = 1


def test_view_is_no_copy(secret: Secret) -> None:
    view = secret.view()
    secret._memory[0:1] = b"X"
    assert bytes(view[:1]) == b"X"


def test_nothing_that_prints_a_secret_shows_it(secret: Secret) -> None:
    secrets = Secrets({"key": secret})
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        "%s %r" % (secret, secret),  # noqa: UP031 - this way of printing, too
        repr(secrets),
        str(dict(secrets)),
        repr([secret]),
        repr(vars(type(secret))),
        repr(secret.view()),
        repr(dir(secret)),
    ]
    assert shown[0] == "<Secret 'key', 28 bytes>"
    for text in shown:
        assert "correct" not in text
        assert "horse" not in text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_secret_cannot_be_pickled(secret: Secret, protocol: int) -> None:
    with pytest.raises(TypeError, match="the secret 'key' cannot be serialised"):
        pickle.dumps(secret, protocol)


def test_secret_cannot_be_copied_or_turned_into_json(secret: Secret) -> None:
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be serialised"):
            copied(secret)
    with pytest.raises(TypeError):
        json.dumps({"key": secret})


def test_secret_is_no_sequence_of_its_bytes(secret: Secret) -> None:
    with pytest.raises(TypeError):
        bytes(secret)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        list(secret)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        secret[0]  # type: ignore[index]
    assert not hasattr(secret, "__dict__")


def test_secrets_compare_and_hash_by_identity_not_by_content(secret: Secret) -> None:
    same = Secret("key", secret._memory)
    assert secret != same
    assert len({secret, same}) == 2


def test_secrets_are_found_by_name(secret: Secret) -> None:
    secrets = Secrets({"key": secret})
    assert secrets["key"] is secret
    assert list(secrets) == ["key"]
    assert len(secrets) == 1
    assert secrets.get("other") is None
    assert "other" not in secrets


@pytest.mark.parametrize(("have", "text"), [({}, "it has: none"), ({"a": 1, "b": 2}, "it has: a, b")])
def test_missing_secret_names_those_that_are_there(secret: Secret, have: dict[str, int], text: str) -> None:
    secrets = Secrets(dict.fromkeys(have, secret))
    with pytest.raises(KeyError, match=f'no secret "other" was given to this exclave .{text}.*`secrets`'):
        secrets["other"]
