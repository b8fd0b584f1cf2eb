"""The types that parameters are declared with, and how C{data} is checked against them.

A declaration is a C{msgspec.Struct}: validation, documentation and C{scalemgr commands} all come from it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from ..finance.money import MINOR_UNITS_MAX, Amount, readDecimal
from ..wire.errors import InvalidData
from ..wire.messages import EXTID_BYTES_MAX

__all__ = [
    "NAME",
    "SAFE_INTEGER",
    "Comment",
    "Flag",
    "IdempotencyKey",
    "Login",
    "NegativeAmount",
    "Order",
    "PositiveAmount",
    "SignedAmount",
    "Text",
    "TimeoutMs",
    "UnixTime",
    "convert",
]

#: What the name of a group is: the only thing that has a pattern.
NAME = "1 to 64 characters, no space and none of * ! ,"

#: What a JavaScript client can still count.
SAFE_INTEGER = 2**53 - 1

Login = Annotated[int, Meta(ge=1, le=SAFE_INTEGER, description="account login")]
Order = Annotated[int, Meta(ge=0, le=SAFE_INTEGER, description="number of a trade; 0: none")]
UnixTime = Annotated[int, Meta(ge=0, le=253402300799, description="unix seconds; 0: not given")]
Flag = Annotated[int, Meta(ge=0, le=1, description="0 or 1")]
Text = Annotated[str, Meta(max_length=256)]
Comment = Annotated[str, Meta(max_length=512)]
IdempotencyKey = Annotated[
    str, Meta(min_length=1, max_length=EXTID_BYTES_MAX, description="names the request; without one its extID does")
]
TimeoutMs = Annotated[int, Meta(ge=1, le=SAFE_INTEGER, description="how long to wait for the event, milliseconds")]


class SignedAmount(Amount):
    """An amount in the account's currency, of either sign."""

    __slots__ = ()


class PositiveAmount(SignedAmount):
    """An amount above zero, in the account's currency."""

    __slots__ = ()


class NegativeAmount(SignedAmount):
    """An amount below zero, in the account's currency."""

    __slots__ = ()


def _decode(type: type, value: object) -> Any:
    if not issubclass(type, SignedAmount):
        raise NotImplementedError(type)
    coefficient, decimals = readDecimal(value)
    if type is PositiveAmount and coefficient <= 0:
        raise ValueError("expected a number greater than 0")
    if type is NegativeAmount and coefficient >= 0:
        raise ValueError("expected a number less than 0: what goes out is negative")
    if not -MINOR_UNITS_MAX < coefficient < MINOR_UNITS_MAX and abs(coefficient) >= MINOR_UNITS_MAX * 10**decimals:
        # In no currency are there fewer minor units than whole ones.
        raise ValueError(f"expected less than {MINOR_UNITS_MAX}")
    return type(coefficient, decimals)


_Params = TypeVar("_Params", bound=Struct)


def convert(data: dict[str, Any], type: type[_Params]) -> _Params:
    """
    C{data} as the declared parameters.

    @raise InvalidData: naming the member that is wrong.
    """
    try:
        params = msgspec.convert(data, type, dec_hook=_decode)
    except msgspec.ValidationError as e:
        raise _explain(str(e)) from None
    key = getattr(params, "idempotency_key", None)
    if isinstance(key, str) and len(key.encode("utf-8")) > EXTID_BYTES_MAX:
        raise InvalidData(f"expected at most {EXTID_BYTES_MAX} bytes", field="idempotency_key")
    return params


_AT = re.compile(r"(?P<what>.*) - at `\$\.(?P<field>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")


def _explain(message: str) -> InvalidData:
    if found := _MISSING.fullmatch(message):
        return InvalidData("required", field=found["field"])
    if found := _AT.fullmatch(message):
        what = found["what"].replace("`", "")
        if " matching regex " in what:
            what = f"expected {NAME}"
        return InvalidData(what[:1].lower() + what[1:], field=found["field"])
    return InvalidData(message.replace("`", ""))
