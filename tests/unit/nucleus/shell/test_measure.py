from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.nucleus.shell import measure as subject
from exclave.nucleus.shell.measure import (
    MeasureError,
    closure,
    distribution_files,
    imports,
    measure,
    own_files,
    read_file,
)

Write = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files below a directory and return it."""

    def writer(files: Mapping[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path

    return writer


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install a distribution, as a wheel is, into a directory on sys.path."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def installer(name: str, files: Mapping[str, str], requires: tuple[str, ...] = ()) -> Path:
        information = f"{name.replace('-', '_')}-1.0.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
        everything = {**files, f"{information}/METADATA": metadata}
        for relative, text in everything.items():
            path = site / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        record = "".join(f"{relative},,\n" for relative in (*everything, f"{information}/RECORD"))
        (site / information / "RECORD").write_text(record)
        return site

    return installer


def names(directory: Path, module: str) -> set[str]:
    return set(own_files(directory, module))


def test_module_alone_is_its_bytes(write: Write) -> None:
    root = write({"signer.py": "x = 1\n", "other.py": "y = 2\n"})
    assert own_files(root, "signer") == {"signer.py": b"x = 1\n"}


def test_imports_are_followed_transitively_and_through_cycles(write: Write) -> None:
    root = write({"a.py": "import b", "b.py": "from c import thing", "c.py": "import a", "d.py": ""})
    assert names(root, "a") == {"a.py", "b.py", "c.py"}


def test_imports_anywhere_in_a_module_are_followed(write: Write) -> None:
    text = """
def late():
    import in_function
class C:
    from in_class import thing
if False:
    import in_branch
try:
    import in_try
except ImportError:
    import in_except
"""
    names_of = ["in_function", "in_class", "in_branch", "in_try", "in_except"]
    root = write({"a.py": text} | {f"{name}.py": "" for name in names_of})
    assert names(root, "a") == {"a.py", *(f"{name}.py" for name in names_of)}


def test_package_brings_its_parents_and_not_its_other_modules(write: Write) -> None:
    root = write(
        {
            "pkg/__init__.py": "",
            "pkg/sub/__init__.py": "from . import near",
            "pkg/sub/near.py": "",
            "pkg/sub/unused.py": "",
            "pkg/sub/main.py": "from ..side import thing\nfrom ...beyond import thing",
            "pkg/side.py": "from .sub import near as n",
            "beyond.py": "",
        }
    )
    assert names(root, "pkg.sub.main") == {
        "pkg/__init__.py",
        "pkg/sub/__init__.py",
        "pkg/sub/near.py",
        "pkg/sub/main.py",
        "pkg/side.py",
        # Python refuses to go beyond the top level; at most the top level's module can be meant.
        "beyond.py",
    }


def test_relative_import_far_beyond_the_top_does_not_wrap_around(tmp_path: Path) -> None:
    found = imports(tmp_path / "c.py", "a.b.c", b"from .....x import y")
    assert found == ["a", "a.b", "a.b.c", "x", "x.y"]


def test_package_itself_imports_relative_to_itself(write: Write) -> None:
    root = write({"pkg/__init__.py": "from .inner import x", "pkg/inner.py": "", "inner.py": ""})
    assert names(root, "pkg") == {"pkg/__init__.py", "pkg/inner.py"}


def test_directory_without_init_is_a_namespace_package(write: Write) -> None:
    text = "import space.inner\nfrom space import other"
    root = write({"a.py": text, "space/inner.py": "", "space/other.py": ""})
    assert names(root, "a") == {"a.py", "space/inner.py", "space/other.py"}


def test_component_in_a_namespace_package_is_found(write: Write) -> None:
    root = write({"space/signer.py": ""})
    assert names(root, "space.signer") == {"space/signer.py"}


def test_package_wins_over_a_module_of_its_name_as_in_python(write: Write) -> None:
    both = {"signer.py": "import wrong", "signer/__init__.py": "import right"}
    root = write({**both, "right.py": "", "wrong.py": ""})
    assert names(root, "signer") == {"signer/__init__.py", "right.py"}


def test_module_beside_it_with_a_standard_name_is_not_taken(write: Write) -> None:
    root = write({"signer.py": "import json, token", "json.py": "", "token.py": "", "json/__init__.py": ""})
    assert names(root, "signer") == {"signer.py"}


@pytest.mark.parametrize("module", ["token", "json.decoder", "secrets"])
def test_component_with_a_standard_name_is_refused(write: Write, module: str) -> None:
    root = write({f"{module.replace('.', '/')}.py": ""})
    with pytest.raises(MeasureError, match="has the name of one of Python's own"):
        own_files(root, module)


def test_missing_component_names_the_file_that_was_expected(write: Write) -> None:
    with pytest.raises(MeasureError, match=r'no module "a\.b" in .*: expected a/b\.py'):
        own_files(write({}), "a.b")


def test_linked_module_is_measured_by_what_it_leads_to(write: Write, tmp_path: Path) -> None:
    root = write({"real/signer_v2.py": "import helper", "signer.py": "", "helper.py": ""})
    (root / "signer.py").unlink()
    (root / "signer.py").symlink_to("real/signer_v2.py")
    assert own_files(root, "signer")["signer.py"] == b"import helper"
    assert names(root, "signer") == {"signer.py", "helper.py"}


@pytest.mark.parametrize("text", [b"def (", b"x = '\0'", b"\xff\xfe", b"(" * 3000, b"# coding: nonsense\n"])
def test_module_that_is_not_python_is_named_with_its_line(write: Write, text: bytes) -> None:
    with pytest.raises(MeasureError, match=r"signer\.py:\d+: not valid Python"):
        own_files(write({"signer.py": text}), "signer")


@given(st.binary(max_size=80) | st.text(max_size=60).map(str.encode))
def test_imports_of_any_bytes_are_names_or_a_measure_error(data: bytes) -> None:
    try:
        found = imports(Path("x.py"), "x", data)
    except MeasureError as error:
        found = ["x"]
        assert "not valid Python" in str(error)  # noqa: PT017 - both outcomes are allowed
    assert "x" in found


@given(
    st.lists(
        st.builds(
            "{0}from {1}{2} import {3}".format,
            st.sampled_from(["", "if x:\n  "]),
            st.sampled_from(["", ".", "..", "....."]),
            st.sampled_from(["a", "b.c", "d"]),
            st.sampled_from(["e", "*", "f as g"]),
        ),
        max_size=5,
    )
)
def test_parents_of_every_imported_name_are_there_too(lines: list[str]) -> None:
    found = imports(Path("m.py"), "p.m", "\n".join(lines).encode())
    assert {"p", "p.m"} <= set(found)
    assert all(name.rpartition(".")[0] in found for name in found if "." in name)


def test_too_large_or_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "FILE_LIMIT", 10)
    (tmp_path / "ten").write_bytes(bytes(10))
    (tmp_path / "eleven").write_bytes(bytes(11))
    assert read_file(tmp_path / "ten") == bytes(10)
    with pytest.raises(MeasureError, match="eleven: over 10 bytes"):
        read_file(tmp_path / "eleven")
    with pytest.raises(MeasureError, match="missing: No such file"):
        read_file(tmp_path / "missing")
    with pytest.raises(MeasureError, match="Is a directory"):
        read_file(tmp_path)


def test_too_many_files_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "FILES_LIMIT", 2)
    root = write({"a.py": "import b, c", "b.py": "", "c.py": ""})
    with pytest.raises(MeasureError, match="imports more than 2 files of its own"):
        own_files(root, "a")


def test_digest_depends_on_every_name_and_every_byte(write: Write) -> None:
    root = write({"a.py": "import b", "b.py": "x = 1"})
    first = measure(root, "a", ())
    assert len(first.digest) == 32
    assert measure(root, "a", ()).digest == first.digest
    (root / "b.py").write_text("x = 2")
    second = measure(root, "a", ())
    assert second.digest != first.digest
    (root / "b").mkdir()
    (root / "b.py").rename(root / "b" / "__init__.py")
    assert measure(root, "a", ()).digest not in (first.digest, second.digest)


def test_hashes_name_every_file(write: Write, install: Callable[..., Path]) -> None:
    install("left", {"left.py": "1"})
    root = write({"a.py": "import left"})
    assert measure(root, "a", ("left",)).hashes() == {
        "a.py": hashlib.sha256(b"import left").hexdigest(),
        "site/left.py": hashlib.sha256(b"1").hexdigest(),
        "site/left-1.0.dist-info/METADATA": hashlib.sha256(
            b"Metadata-Version: 2.1\nName: left\nVersion: 1.0\n"
        ).hexdigest(),
        "site/left-1.0.dist-info/RECORD": hashlib.sha256(
            b"left.py,,\nleft-1.0.dist-info/METADATA,,\nleft-1.0.dist-info/RECORD,,\n"
        ).hexdigest(),
    }


def test_start_up_files_bytecode_tests_and_scripts_are_left_out(install: Callable[..., Path]) -> None:
    site = install(
        "left",
        {
            "left/__init__.py": "",
            "left/data.txt": "kept",
            "left/__pycache__/__init__.cpython-311.pyc": "",
            "left/tests/test_left.py": "",
            "left/_native.so": "kept",
            "left_init.pth": "import left",
        },
    )
    outside = site.parent / "script"
    outside.write_text("")
    record = site / "left-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text() + f"../script,,\n{outside},,\nleft/../../script,,\n")
    assert set(distribution_files("left")) == {
        "left/__init__.py",
        "left/data.txt",
        "left/_native.so",
        "left-1.0.dist-info/METADATA",
        "left-1.0.dist-info/RECORD",
    }


def test_editable_installation_is_refused(install: Callable[..., Path]) -> None:
    install("linked", {"_linked.pth": "/somewhere/else"})
    with pytest.raises(MeasureError, match='"linked" is only a link to its sources'):
        distribution_files("linked")


def test_distribution_without_a_list_of_files_is_refused(install: Callable[..., Path]) -> None:
    site = install("bare", {})
    (site / "bare-1.0.dist-info" / "RECORD").unlink()
    with pytest.raises(MeasureError, match='"bare" has no list of its files'):
        distribution_files("bare")


def test_listed_file_that_is_gone_is_named(install: Callable[..., Path]) -> None:
    site = install("left", {"left.py": ""})
    (site / "left.py").unlink()
    with pytest.raises(MeasureError, match=r"left\.py: No such file"):
        distribution_files("left")


def test_closure_follows_requirements_and_leaves_out_extras(install: Callable[..., Path]) -> None:
    for name, requires in {
        "top": (
            "Mid_dle>=1",
            'only-extra; extra == "x"',
            "only-extra ; python_version > '3' and extra=='x'",
            "gone; sys_platform == 'x'",
        ),
        "mid-dle": ("base (>=1)",),
        "base": ("top",),
        "only-extra": (),
    }.items():
        install(name, {f"{name.replace('-', '_')}_m.py": ""}, requires)
    assert closure(("Top",)) == ["base", "mid-dle", "top"]


def test_named_distribution_that_is_not_installed_is_refused(install: Callable[..., Path]) -> None:
    with pytest.raises(MeasureError, match='"no-such-thing" is not installed beside exclave; pip install'):
        closure(("No.Such_Thing",))


def test_standard_names_are_known_for_this_interpreter() -> None:
    assert {"json", "token", "secrets", "__future__"} <= sys.stdlib_module_names
