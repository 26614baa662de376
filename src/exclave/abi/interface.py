"""The interface of a component: its protected methods, their types, and one digest over all of it.

Trust: reviewed.
Purpose: derive from a component's annotations what may be called and what may travel.
Rules: 1. everything is resolved at boot; a call looks nothing up but a number.
2. a type that msgspec cannot check strictly is refused here, not at the first call.
3. client and server derive the same Interface from the same class; the digest shows when they did not.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, overload
from weakref import WeakKeyDictionary

import msgspec

from exclave.abi.exceptions import ComponentError
from exclave.abi.typetext import TypeText
from exclave.abi.wire import DIGEST_SIZE

_S = TypeVar("_S")
_R = TypeVar("_R")
_P = ParamSpec("_P")

_MARK: Final = "__exclave_protected__"

RESERVED: Final = frozenset({"init", "name", "secrets", "regions", "notifications", "uses", "call", "close"})
"""Names that a component or a client uses itself, so no protected method may have them."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, on the nucleus's word: a caller can choose none of this.

    Args:
        name: the calling domain.
        badge: the number that the capability was minted with.
        rights: what the capability allows, a set of `abi.rights`.
    """

    name: str
    badge: int
    rights: int


class Protector(Protocol):
    """What `protected(raises=[...])` returns: a decorator that keeps the signature, without `caller`."""

    @overload
    def __call__(
        self, method: Callable[Concatenate[_S, Caller, _P], _R], /
    ) -> Callable[Concatenate[_S, _P], _R]: ...

    @overload
    def __call__(self, method: Callable[Concatenate[_S, _P], _R], /) -> Callable[Concatenate[_S, _P], _R]: ...


@overload
def protected(method: Callable[Concatenate[_S, Caller, _P], _R], /) -> Callable[Concatenate[_S, _P], _R]: ...


@overload
def protected(method: Callable[Concatenate[_S, _P], _R], /) -> Callable[Concatenate[_S, _P], _R]: ...


@overload
def protected(*, raises: Sequence[type[ComponentError]]) -> Protector: ...


def protected(method: Any = None, /, *, raises: Sequence[type[ComponentError]] = ()) -> Any:
    """Make a method callable from other domains.

    Args:
        method: the method. Its first parameter may be `caller: Caller`; clients do not pass it.
        raises: the exceptions that cross to the caller; every other one is a fault.

    Raises:
        TypeError: the method cannot be one, with the fix; the component's fault.
    """
    declared = tuple(raises)
    for exception in declared:
        if not (isinstance(exception, type) and issubclass(exception, ComponentError)):
            raise TypeError(f"raises=[{exception!r}]: make it a subclass of exclave.ComponentError")

    def mark(function: Any) -> Any:
        where = getattr(function, "__qualname__", repr(function))
        if not inspect.isfunction(function):
            raise TypeError(f"{where}: @protected goes on a plain method, under no other decorator")
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{where}: a component is synchronous; write `def` instead of `async def`")
        name = function.__name__
        if name.startswith("_") or name in RESERVED:
            raise TypeError(f"{where}: {name!r} cannot be a protected method's name; choose another")
        _check_parameters(function, where)
        setattr(function, _MARK, declared)
        return function

    return mark if method is None else mark(method)


def _check_parameters(function: Callable[..., object], where: str) -> None:
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise TypeError(f"{where}: the first parameter is `self`")
    for parameter in parameters[1:]:
        at = f"{where}, parameter {parameter.name!r}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{at}: a call carries a fixed set of arguments; take one list or dict instead")
        if parameter.annotation is parameter.empty:
            raise TypeError(f"{at}: annotate its type, for example `{parameter.name}: bytes`")
    if signature.return_annotation is signature.empty:
        raise TypeError(f"{where}: annotate what it returns, for example `-> bytes` or `-> None`")


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """One protected method.

    `arguments` decodes the tuple of all arguments, `result` the result, both strictly. `plain` is the exact
    class of a result that needs no further check; `canonical` says that another result may carry more than
    its type shows, so that only what decodes from it is sent.
    """

    index: int
    name: str
    wants_caller: bool
    signature: inspect.Signature
    arity: int
    keyword_only: tuple[str, ...]
    raises: tuple[type[ComponentError], ...]
    arguments: msgspec.msgpack.Decoder[tuple[Any, ...]]
    result: msgspec.msgpack.Decoder[Any]
    plain: type | None
    canonical: bool
    text: str

    def bind(self, positional: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
        """Return all arguments in order, defaults filled in.

        Raises:
            TypeError: they do not fit the signature; the caller's fault.
        """
        try:
            bound = self.signature.bind(*positional, **keywords)
        except TypeError as error:
            raise TypeError(f"{self.name}{self.signature}: {error}") from None
        bound.apply_defaults()
        return tuple(bound.arguments.values())


class Interface:
    """All protected methods of a component class, in the order of their names."""

    __slots__ = ("by_name", "digest", "methods", "name", "text")

    def __init__(self, name: str, methods: tuple[Method, ...]) -> None:
        self.name = name
        self.methods = methods
        self.by_name = {method.name: method for method in methods}
        self.text = "\n".join((f"component {name}", *(method.text for method in methods)))
        self.digest = sha256(self.text.encode()).digest()[:DIGEST_SIZE]

    @classmethod
    def of(cls, component: type) -> Interface:
        """Return the interface of a component class; computed once per class.

        Raises:
            TypeError: something cannot cross, naming class, method, parameter and fix; the component's fault.
        """
        known = _known.get(component)
        if known is None:
            known = _known[component] = cls(component.__name__, _methods(component))
        return known


_known: WeakKeyDictionary[type, Interface] = WeakKeyDictionary()


def _methods(component: type) -> tuple[Method, ...]:
    names = {
        name for base in component.__mro__ for name, member in vars(base).items() if hasattr(member, _MARK)
    }
    if not names:
        raise TypeError(f"{component.__qualname__}: nothing can call it; put @protected on a method")
    if len(names) > 2**16:
        raise TypeError(f"{component.__qualname__}: {len(names)} protected methods, a call can name {2**16}")
    return tuple(_method(component, name, index) for index, name in enumerate(sorted(names)))


def _method(component: type, name: str, index: int) -> Method:
    function = inspect.getattr_static(component, name)
    where = f"{component.__qualname__}.{name}"
    if not hasattr(function, _MARK):
        raise TypeError(f"{where}: overrides a protected method, so put @protected on it too")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise TypeError(
            f"{where}: cannot resolve its annotations ({error}); import the names at run time"
        ) from None
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1:]
    wants_caller = bool(parameters) and hints[parameters[0].name] is Caller
    if wants_caller:
        del parameters[0]
    texts = TypeText()
    crossing: list[Any] = []
    shown: list[str] = []
    for parameter in parameters:
        at = f"{where}, parameter {parameter.name!r}"
        if hints[parameter.name] is Caller:
            raise TypeError(f"{at}: `caller` must be the first parameter after self")
        crossing.append(hints[parameter.name])
        star = "*" if parameter.kind is parameter.KEYWORD_ONLY else ""
        shown.append(f"{star}{parameter.name}: {texts.of(hints[parameter.name], at)}")
    returned = hints["return"]
    answer = texts.of(returned, f"{where}, what it returns")
    raises: tuple[type[ComponentError], ...] = getattr(function, _MARK)
    declared = ", ".join(exception.__name__ for exception in raises)
    # Built at run time, so no static type can name it.
    tuple_type: Any = types.GenericAlias(tuple, tuple(crossing))
    plain = {bytes: bytes, str: str, int: int, float: float, bool: bool, type(None): type(None)}.get(returned)
    return Method(
        index=index,
        name=name,
        wants_caller=wants_caller,
        signature=signature.replace(
            parameters=[p.replace(annotation=hints[p.name]) for p in parameters], return_annotation=returned
        ),
        arity=len(parameters),
        keyword_only=tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY),
        raises=raises,
        arguments=msgspec.msgpack.Decoder(tuple_type),
        result=msgspec.msgpack.Decoder(returned),
        plain=plain,
        canonical=plain is not None or texts.has_fields(returned),
        text="\n".join((f"{name}({', '.join(shown)}) -> {answer} raises [{declared}]", *texts.definitions())),
    )


RAISED: Final[msgspec.msgpack.Decoder[tuple[int, list[Any]]]] = msgspec.msgpack.Decoder(tuple[int, list[Any]])
"""Body of a RAISED: index into the method's `raises`, and arguments that `can_cross` still has to check."""

NOTICE: Final[msgspec.msgpack.Decoder[tuple[str, str]]] = msgspec.msgpack.Decoder(tuple[str, str])
"""Body of a REFUSAL, [code, text], and of a FAULT, [kind, text]."""

ENCODER: Final = msgspec.msgpack.Encoder()

_CROSSING: Final = frozenset({type(None), bool, int, float, str, bytes})


def can_cross(arguments: Sequence[object]) -> bool:
    """Say whether these are arguments that a declared exception may carry: each one a CrossingValue."""
    return all(type(argument) in _CROSSING for argument in arguments)
