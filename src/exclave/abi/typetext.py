"""A canonical text for the type of an argument or a result.

Trust: reviewed.
Purpose: say in one line what may travel, for the digest, and refuse what cannot be checked strictly.
Rules: 1. two types have the same text if and only if they decode the same messages.
2. a type that has fields is named where it is used and spelled out once, so recursive types end.
3. default values are not part of it: they are filled in before or after the wire.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import inspect as types

_FIELDS: Final = (types.StructType, types.DataclassType, types.TypedDictType, types.NamedTupleType)
_REFUSED: Final[dict[type[types.Type], str]] = {
    types.CustomType: "use builtins, a dataclass, a msgspec.Struct or an Enum",
    types.MemoryViewType: "it would be a view of the message's buffer; use bytes",
    types.RawType: "it would be a view of the message's buffer; use bytes",
    types.ExtType: "use bytes",
}
_NAMES: Final[dict[type[types.Type], str]] = {
    types.AnyType: "any",
    types.NoneType: "none",
    types.BoolType: "bool",
    types.IntType: "int",
    types.FloatType: "float",
    types.StrType: "str",
    types.BytesType: "bytes",
    types.ByteArrayType: "bytes",
    types.DateTimeType: "datetime",
    types.TimeType: "time",
    types.DateType: "date",
    types.TimeDeltaType: "timedelta",
    types.UUIDType: "uuid",
    types.DecimalType: "decimal",
    types.EnumType: "enum",
    types.LiteralType: "literal",
    types.ListType: "list",
    types.VarTupleType: "list",
    types.SetType: "set",
    types.FrozenSetType: "set",
    types.TupleType: "tuple",
    types.DictType: "dict",
    types.UnionType: "union",
    types.StructType: "struct",
    types.DataclassType: "struct",
    types.TypedDictType: "struct",
    types.NamedTupleType: "namedtuple",
}


class TypeText:
    """The texts of the types of one method, and of the types with fields that they use."""

    def __init__(self) -> None:
        self._spelled: dict[type, str] = {}

    def of(self, annotation: Any, where: str) -> str:
        """Return the text of one annotation.

        Args:
            annotation: a resolved annotation.
            where: class, method and parameter, for the message.

        Raises:
            TypeError: it cannot travel, with the fix; the component's fault.
        """
        try:
            info = types.type_info(annotation)
            msgspec.msgpack.Decoder(annotation)
        except (TypeError, ValueError, NameError) as error:
            raise TypeError(f"{where}: {_shown(annotation)} cannot travel: {error}") from None
        return self._text(info, where)

    def definitions(self) -> list[str]:
        """Return, sorted, what each type with fields consists of."""
        return sorted(self._spelled.values())

    @staticmethod
    def has_fields(annotation: Any) -> bool:
        """Say whether a value of this type may be of a subclass with more fields than the type shows."""
        return _has_fields(types.type_info(annotation), set())

    def _text(self, info: types.Type, where: str) -> str:
        kind = type(info)
        if kind in _REFUSED:
            raise TypeError(f"{where}: {_shown(getattr(info, 'cls', kind))} cannot travel: {_REFUSED[kind]}")
        if kind not in _NAMES:
            raise TypeError(f"{where}: {kind.__name__} is not a type that can travel")
        if isinstance(info, _FIELDS):
            return self._named(info, where)
        parts: list[str] = []
        for name in info.__struct_fields__:
            value = getattr(info, name)
            if isinstance(value, types.Type):
                parts.append(self._text(value, where))
            elif name in ("types", "item_types"):
                texts = [self._text(item, where) for item in value]
                parts.extend(sorted(texts) if name == "types" else texts)
            elif name == "cls":
                parts.extend(sorted(repr(member.value) for member in value))
            elif name == "values":
                parts.extend(sorted(map(repr, value)))
            elif value is not None:
                parts.append(f"{name}={value!r}")
        return f"{_NAMES[kind]}[{', '.join(parts)}]" if parts else _NAMES[kind]

    def _named(self, info: Any, where: str) -> str:
        name: str = info.cls.__name__
        if info.cls not in self._spelled:
            self._spelled[info.cls] = name
            fields = []
            for field in info.fields:
                text = self._text(field.type, f"{where}.{field.name}")
                fields.append(f"{field.encode_name}{'' if field.required else '?'}: {text}")
            shape = [f"{key}={getattr(info, key)!r}" for key in _SHAPE if getattr(info, key, None)]
            self._spelled[info.cls] = f"  {_NAMES[type(info)]} {name} {{{'; '.join([*shape, *fields])}}}"
        return name


_SHAPE: Final = ("tag_field", "tag", "array_like", "forbid_unknown_fields")


def _shown(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)


def _has_fields(info: types.Type, seen: set[type]) -> bool:
    if isinstance(info, (types.StructType, types.DataclassType, types.TypedDictType)):
        return True
    if isinstance(info, types.NamedTupleType):
        if info.cls in seen:
            return False
        seen.add(info.cls)
        return any(_has_fields(field.type, seen) for field in info.fields)
    for name in info.__struct_fields__:
        value = getattr(info, name)
        parts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(part, types.Type) and _has_fields(part, seen) for part in parts):
            return True
    return False
