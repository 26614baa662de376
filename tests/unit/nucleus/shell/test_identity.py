"""Every domain of every running system has a host uid of its own."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.nucleus.shell.identity import (
    BLOCK,
    BLOCKS,
    FIRST,
    Identities,
    Range,
    SubordinateIds,
    _allotment,
    mapped_range,
)


@dataclass
class Owner:
    """Who reserves."""

    uid: int = 0
    gid: int = 0
    subordinate: SubordinateIds | None = None


USER = Owner(1000, 1000, SubordinateIds(Range(100000, 4 * BLOCK), Range(200000, 4 * BLOCK)))


def test_two_systems_never_share_a_uid(tmp_path: Path) -> None:
    systems = [Identities.reserve(USER, str(tmp_path)) for _ in range(4)]
    uids = [system.of(name).uid for system in systems for name in ("signer", "ledger")]
    assert len(set(uids)) == len(uids)
    assert all(100000 <= uid < 100000 + 4 * BLOCK for uid in uids)
    with pytest.raises(OSError, match="no free block") as caught:
        Identities.reserve(USER, str(tmp_path))
    assert caught.value.errno == errno.EAGAIN
    systems[2].close()
    again = Identities.reserve(USER, str(tmp_path))
    assert again.of("signer").uid == systems[2].of("signer").uid
    for system in (*systems, again):
        system.close()


def test_a_restarted_domain_keeps_its_identity(tmp_path: Path) -> None:
    ids = Identities.reserve(USER, str(tmp_path))
    first, other = ids.of("signer"), ids.of("ledger")
    assert ids.of("signer") == first != other
    assert first.distinct
    ids.close()


def test_the_monolith_of_a_user_keeps_his_uid(tmp_path: Path) -> None:
    ids = Identities.reserve(USER, str(tmp_path))
    own = ids.of("monolith", own=True)
    assert (own.uid, own.gid, own.distinct) == (1000, 1000, False)
    ids.close()


def test_a_user_without_an_allotment_has_only_his_own_uid() -> None:
    ids = Identities.reserve(Owner(1000, 1001))
    assert (ids.of("signer").uid, ids.of("signer").gid, ids.of("signer").distinct) == (1000, 1001, False)


def test_the_domains_of_a_system_are_bounded(tmp_path: Path) -> None:
    ids = Identities.reserve(USER, str(tmp_path))
    uids = {ids.of(f"d{index}").uid for index in range(BLOCK)}
    assert len(uids) == BLOCK
    with pytest.raises(OSError, match="at most") as caught:
        ids.of("one-more")
    assert caught.value.errno == errno.EDQUOT
    ids.close()


def test_root_uses_the_documented_range() -> None:
    assert mapped_range("         0          0 4294967295\n") == Range(FIRST, BLOCK * BLOCKS)


@given(st.lists(st.tuples(st.integers(0, 2**31), st.integers(1, 2**31)), min_size=1, max_size=5))
def test_the_range_is_mapped_and_never_0(mappings: list[tuple[int, int]]) -> None:
    text = "".join(f"{inside} 100000 {count}\n" for inside, count in mappings)
    try:
        found = mapped_range(text)
    except OSError:
        assert max(count for _, count in mappings) <= 2 * BLOCK
        return
    assert found.count >= BLOCK
    assert found.count % BLOCK == 0
    assert found.first > 0
    assert any(
        inside <= found.first and found.first + found.count <= inside + count for inside, count in mappings
    )


def test_a_container_with_one_uid_has_none_to_give() -> None:
    with pytest.raises(OSError, match="fewer than 512"):
        mapped_range("0 1000 1\n")


@given(st.text(max_size=200))
def test_any_text_as_allotments_is_read_or_ignored(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("subuid") / "subuid"
    path.write_text(text, "utf-8", "surrogatepass")
    found = _allotment(str(path), ("user",))
    assert found is None or (found.first > 0 and found.count >= BLOCK)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("user:100000:65536", Range(100000, 65536)),
        ("1000:100000:65536", Range(100000, 65536)),
        ("other:100000:65536", None),
        ("user:100000:255", None),
        ("user:0:65536", None),
        ("user:-5:65536", None),
        ("user:100000", None),
    ],
)
def test_allotments(tmp_path: Path, line: str, expected: Range | None) -> None:
    (tmp_path / "subuid").write_text(f"# comment\n{line}\n")
    assert _allotment(str(tmp_path / "subuid"), ("user", "1000")) == expected
