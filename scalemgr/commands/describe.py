"""A command's declaration in words."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import NODEFAULT, UNSET, Struct
from msgspec.inspect import (
    BoolType,
    CustomType,
    DictType,
    FloatType,
    IntType,
    ListType,
    Metadata,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
)

from .params import SAFE_INTEGER

__all__ = ["Parameter", "parameters"]


class Parameter(Struct, frozen=True):
    """
    One member of C{data}.

    @ivar type: as JSON knows it: C{int}, C{number}, C{string}, C{object}, ...
    @ivar default: what it is when it is left out, or C{None}.
    @ivar limits: what its value must keep to, in words.
    """

    name: str
    type: str
    required: bool
    default: Any
    description: str
    limits: str = ""


def parameters(params: type[Struct]) -> list[Parameter]:
    """The members that a declaration has, in order."""
    info = msgspec.inspect.type_info(params)
    assert isinstance(info, StructType)
    return [
        Parameter(
            field.encode_name,
            _name(field.type),
            field.required,
            None if field.default in (NODEFAULT, UNSET) else field.default,
            _description(field.type),
            _limits(_plain(field.type)),
        )
        for field in info.fields
    ]


_NAMES: dict[type[Type], str] = {
    BoolType: "boolean",
    CustomType: "number",
    DictType: "object",
    FloatType: "number",
    IntType: "int",
    ListType: "list",
    StrType: "string",
    StructType: "object",
}


def _plain(type: Type) -> Type:
    """Without the null that may stand for nothing, and what is said about it."""
    if isinstance(type, Metadata):
        return _plain(type.type)
    if isinstance(type, UnionType):
        return next((_plain(t) for t in type.types if not isinstance(t, NoneType)), type)
    return type


def _name(type: Type) -> str:
    return _NAMES.get(_plain(type).__class__, "any")


def _description(type: Type) -> str:
    if isinstance(type, Metadata):
        return str((type.extra_json_schema or {}).get("description", "")) or _description(type.type)
    if isinstance(type, UnionType):
        return next(filter(None, map(_description, type.types)), "")
    return ""


def _limits(type: Type) -> str:
    if isinstance(type, (IntType, FloatType)):
        return _range(type.ge, type.le)
    if isinstance(type, StrType):
        # A pattern is described in words.
        return "" if type.pattern else _range(type.min_length, type.max_length, " characters")
    if isinstance(type, ListType):
        return _range(type.min_length, type.max_length, " items")
    return ""


def _range(least: float | None, most: float | None, of: str = "") -> str:
    # What a JavaScript client can still count is a limit of all numbers.
    most = None if most is not None and most >= SAFE_INTEGER else most
    least = None if least is not None and least <= -SAFE_INTEGER else least
    if least is not None and most is not None:
        return f"{least} to {most}{of}"
    if most is not None:
        return f"at most {most}{of}"
    return "" if least is None else f"at least {least}{of}"
