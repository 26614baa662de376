"""Trust: outside.

What a component's annotations say: what may be called, with what, and when two sides differ.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Optional, assert_type

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.abi.exceptions import ComponentError
from exclave.abi.interface import RESERVED, Caller, Interface, can_cross, protected


class Colour(enum.Enum):
    RED = "red"


class Point(msgspec.Struct):
    x: int
    next: Point | None = None


@dataclasses.dataclass
class Order:
    name: str
    amount: int = 1


class Limit(ComponentError):
    pass


class Everything:
    @protected
    def zeta(self, caller: Caller, one: int, two: str = "b") -> bytes:
        return b""

    @protected
    def alpha(self) -> None:
        return None

    @protected(raises=[Limit])
    def mixed(
        self,
        point: Point,
        order: Order,
        colour: Colour,
        when: datetime.datetime,
        maybe: Optional[int],  # noqa: UP045 - one of the spellings that users have
        word: Literal["a", "b"],
        many: dict[str, list[int]],
        bounded: Annotated[int, msgspec.Meta(ge=0, le=9)],
        *,
        flag: bool = False,
    ) -> tuple[int, str]:
        return 1, ""

    def hidden(self) -> None:
        return None


def test_of_lists_the_protected_methods_in_the_order_of_their_names() -> None:
    interface = Interface.of(Everything)
    assert [method.name for method in interface.methods] == ["alpha", "mixed", "zeta"]
    assert [method.index for method in interface.methods] == [0, 1, 2]
    assert Interface.of(Everything) is interface
    assert len(interface.digest) == 16


def test_of_takes_the_caller_from_the_first_parameter_and_hides_it() -> None:
    zeta = Interface.of(Everything).by_name["zeta"]
    assert zeta.wants_caller
    assert list(zeta.signature.parameters) == ["one", "two"]
    assert not Interface.of(Everything).by_name["alpha"].wants_caller


def test_caller_is_typed_away_for_clients() -> None:
    def as_client(client: Everything) -> None:
        assert_type(client.zeta(1, "x"), bytes)
        assert_type(client.zeta(1), bytes)
        assert_type(client.alpha(), None)

    assert callable(as_client)


def test_bind_fills_in_defaults_and_keywords_in_order() -> None:
    zeta = Interface.of(Everything).by_name["zeta"]
    assert zeta.bind((1,), {}) == (1, "b")
    assert zeta.bind((), {"two": "x", "one": 2}) == (2, "x")
    with pytest.raises(TypeError, match=r"zeta\(one: .*missing a required argument: 'one'"):
        zeta.bind((), {})
    with pytest.raises(TypeError, match="unexpected keyword argument 'caller'"):
        zeta.bind((1,), {"caller": "me"})


def _decode(method: str, *arguments: object) -> tuple[Any, ...]:
    return Interface.of(Everything).by_name[method].arguments.decode(msgspec.msgpack.encode(arguments))


def test_arguments_of_the_declared_types_arrive_as_such() -> None:
    now = datetime.datetime(2024, 5, 6, tzinfo=datetime.UTC)
    sent = (Point(1, Point(2)), Order("x"), Colour.RED, now, None, "a", {"k": [1]}, 9, True)
    assert _decode("mixed", *sent) == sent


@pytest.mark.parametrize(
    "sent",
    [
        ("1", "x"),
        (True, "x"),
        (1.5, "x"),
        (None, "x"),
        (1, 2),
        (1, b"x"),
        (1, None),
        (1,),
        (1, "x", "y"),
        ([1], "x"),
        ({}, "x"),
    ],
)
def test_arguments_of_other_types_are_not_coerced(sent: tuple[object, ...]) -> None:
    with pytest.raises(msgspec.ValidationError):
        _decode("zeta", *sent)


@given(st.sampled_from(["alpha", "mixed", "zeta"]), st.binary(max_size=60))
def test_decoding_any_bytes_gives_all_arguments_or_an_ordinary_exception(name: str, data: bytes) -> None:
    method = Interface.of(Everything).by_name[name]
    try:
        decoded = method.arguments.decode(data)
    except (msgspec.DecodeError, ValueError, TypeError):
        pass
    else:
        assert len(decoded) == len(method.signature.parameters)


def test_decoding_what_is_nested_without_end_is_an_ordinary_exception() -> None:
    mixed = Interface.of(Everything).by_name["mixed"]
    deep = b"\x99" + b"\x82\xa1x\x01\xa4next" * 20000
    with pytest.raises(RecursionError):
        mixed.arguments.decode(deep)
    skipped = b"\x99\x82\xa1x\x01\xa1?" + b"\x91" * 500000
    with pytest.raises((RecursionError, msgspec.DecodeError)):
        mixed.arguments.decode(skipped)


@pytest.mark.parametrize("header", [b"\xdd", b"\xdf", b"\xc6", b"\xdb"])
def test_decoding_a_length_that_nothing_follows_allocates_nothing(header: bytes) -> None:
    class Takes:
        @protected
        def take(self, value: Any) -> None: ...

    with pytest.raises(msgspec.DecodeError):
        Interface.of(Takes).by_name["take"].arguments.decode(b"\x91" + header + b"\xff\xff\xff\xff")


def _interface(
    parameters: dict[str, Any],
    returned: Any,
    *,
    raises: tuple[type[ComponentError], ...] = (),
    method: str = "act",
    component: str = "C",
    keyword_only: bool = False,
) -> Interface:
    """The interface of a component that has one method, made from its parts."""

    def act(self: object) -> None: ...

    kind = inspect.Parameter.KEYWORD_ONLY if keyword_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
    shown = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)]
    shown += [inspect.Parameter(name, kind, annotation=given) for name, given in parameters.items()]
    act.__annotations__ = {**parameters, "return": returned}
    act.__name__ = method
    act.__signature__ = inspect.Signature(shown, return_annotation=returned)  # type: ignore[attr-defined]
    return Interface.of(type(component, (), {method: protected(raises=raises)(act)}))


_PLAIN: dict[str, Any] = {"value": int}


def test_digest_of_the_same_interface_is_the_same() -> None:
    assert _interface(_PLAIN, bytes).digest == _interface(_PLAIN, bytes).digest


@pytest.mark.parametrize(
    "other",
    [
        lambda: _interface({"value": str}, bytes),
        lambda: _interface({"value": int | None}, bytes),
        lambda: _interface({"value": Annotated[int, msgspec.Meta(ge=0)]}, bytes),
        lambda: _interface({"other": int}, bytes),
        lambda: _interface({"value": int, "more": int}, bytes),
        lambda: _interface({}, bytes),
        lambda: _interface(_PLAIN, str),
        lambda: _interface(_PLAIN, bytes, raises=(Limit,)),
        lambda: _interface(_PLAIN, bytes, method="act2"),
        lambda: _interface(_PLAIN, bytes, component="D"),
        lambda: _interface(_PLAIN, bytes, keyword_only=True),
    ],
)
def test_digest_of_another_interface_is_another(other: Callable[[], Interface]) -> None:
    assert other().digest != _interface(_PLAIN, bytes).digest


def test_digest_sees_into_types_with_fields() -> None:
    one = msgspec.defstruct("Item", [("a", int)])
    assert (
        _interface({"v": one}, None).digest
        == _interface({"v": msgspec.defstruct("Item", [("a", int)])}, None).digest
    )
    for other in (
        msgspec.defstruct("Item", [("b", int)]),
        msgspec.defstruct("Item", [("a", str)]),
        msgspec.defstruct("Item", [("a", int, 0)]),
        msgspec.defstruct("Item", [("a", int)], array_like=True),
        msgspec.defstruct("Item", [("a", int)], forbid_unknown_fields=True),
    ):
        assert _interface({"v": one}, None).digest != _interface({"v": other}, None).digest


class _Opaque:
    pass


@pytest.mark.parametrize(
    "wrong",
    [
        object,
        _Opaque,
        complex,
        Callable[[], int],
        Iterator[int],
        memoryview,
        msgspec.Raw,
        msgspec.msgpack.Ext,
    ],
)
def test_of_a_type_that_cannot_travel_names_method_parameter_and_type(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"C\.act, parameter 'value': .* cannot travel: "):
        _interface({"value": list[wrong]}, None)
    with pytest.raises(TypeError, match=r"C\.act, what it returns: .* cannot travel: "):
        _interface({}, wrong)


def test_of_a_union_that_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(TypeError, match=r"parameter 'value': .* cannot travel: Type unions"):
        _interface({"value": str | bytes}, None)


def test_of_a_field_that_cannot_travel_names_the_field() -> None:
    wrong = msgspec.defstruct("Item", [("inner", _Opaque)])
    with pytest.raises(TypeError, match=r"parameter 'value'\.inner: _Opaque cannot travel"):
        _interface({"value": wrong}, None)


def test_of_a_name_that_does_not_resolve_says_to_import_it() -> None:
    with pytest.raises(TypeError, match=r"C\.act: cannot resolve its annotations .*Missing.*at run time"):
        _interface({"value": "Missing"}, None)


def test_of_a_component_without_protected_methods_says_so() -> None:
    with pytest.raises(TypeError, match="put @protected on a method"):
        Interface.of(_Opaque)


def test_of_an_override_that_is_not_protected_is_refused() -> None:
    class Over(Everything):
        def alpha(self) -> None: ...

    with pytest.raises(TypeError, match=r"Over\.alpha: overrides a protected method"):
        Interface.of(Over)


def test_of_a_subclass_has_the_methods_of_its_bases() -> None:
    class More(Everything):
        @protected
        def beta(self) -> int:
            return 1

    assert list(Interface.of(More).by_name) == ["alpha", "beta", "mixed", "zeta"]


def test_of_a_caller_that_is_not_first_is_refused() -> None:
    with pytest.raises(
        TypeError, match="parameter 'caller': `caller` must be the first parameter after self"
    ):
        _interface({"value": int, "caller": Caller}, None)


def _no_annotation(self: object, value) -> None: ...  # type: ignore[no-untyped-def]


def _no_return(self: object):  # type: ignore[no-untyped-def]
    return None


def _star(self: object, *values: int) -> None: ...


def _stars(self: object, **values: int) -> None: ...


async def _asynchronous(self: object) -> None: ...


@pytest.mark.parametrize(
    ("function", "fix"),
    [
        (_no_annotation, "parameter 'value': annotate its type"),
        (_no_return, "annotate what it returns"),
        (_star, "parameter 'values': .* take one list"),
        (_stars, "parameter 'values': .* take one list"),
        (_asynchronous, "write `def` instead of `async def`"),
        (staticmethod(_star), "on a plain method"),
        (property(_no_return), "on a plain method"),
    ],
)
def test_protected_on_what_cannot_be_called_says_what_to_write(function: Any, fix: str) -> None:
    if inspect.isfunction(function):
        function.__name__ = "act"
    with pytest.raises(TypeError, match=fix):
        protected(function)


@pytest.mark.parametrize("name", ["_private", "__len__", *sorted(RESERVED)])
def test_protected_names_that_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match="choose another"):
        _interface({}, None, method=name)


@pytest.mark.parametrize("wrong", [ValueError, Exception, 5, Limit("x")])
def test_protected_raises_takes_component_errors_only(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"subclass of exclave\.ComponentError"):
        protected(raises=[wrong])


def test_can_cross_takes_plain_values_only() -> None:
    assert can_cross([None, True, 1, 1.5, "x", b"x"])
    assert not can_cross([[1]])
    assert not can_cross([Colour.RED])
    assert not can_cross([type("Text", (str,), {})("x")])
