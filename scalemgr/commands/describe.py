"""A command's declaration in words."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct
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

__all__ = ["Parameter", "parameters"]


class Parameter(Struct, frozen=True):
    """
    One member of C{data}.

    @ivar type: as JSON knows it: C{int}, C{number}, C{string}, C{object}, ...
    @ivar default: what it is when it is left out, or C{None}.
    """

    name: str
    type: str
    required: bool
    default: Any
    description: str


def parameters(params: type[Struct]) -> list[Parameter]:
    """The members that a declaration has, in order."""
    info = msgspec.inspect.type_info(params)
    assert isinstance(info, StructType)
    return [
        Parameter(
            field.encode_name,
            _name(field.type),
            field.required,
            None if field.default is NODEFAULT else field.default,
            _description(field.type),
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
