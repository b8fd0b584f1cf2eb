"""The text of what is written most, in a fraction of the time.

Each deposit is condensed, and becomes two events of the log. To L{encode} these three takes more time than to decide.
Where nothing in them has to be made safe for the official clients, msgspec writes them; else L{encode} does. So the
text is the same, byte for byte, whichever of the two has written it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..wire.codes import TradeCommand
from ..wire.messages import Json, encode

__all__ = ["listBytes", "recordText"]

_write = msgspec.json.Encoder().encode
# Of so many decimals no number is so small that ujson writes it as 1e-5, and msgspec as 0.00001.
_DIGITS_PLAIN = 4
_TYPES_PLAIN = frozenset({str, int, TradeCommand, type(None), list})


def recordText(record: msgspec.Struct, digits: int, said: str = "") -> Json:
    """
    A record as L{encode} writes the dictionary of its members.

    @param record: its members are strings, whole numbers, and doubles smaller than 1e16 either way.
    @param digits: how many decimals the doubles have at most.
    @param said: the strings in it that somebody else chose, one after another.
    @raise ValueError: as L{encode}.
    """
    if not said or _isSafe(said):
        text = _write(record).decode()
        if digits <= _DIGITS_PLAIN or "0.0000" not in text:
            return Json(text)
    return encode(msgspec.structs.asdict(record))


def listBytes(values: list[Any], said: str) -> bytes:
    """
    A list as L{encode} writes it, in ASCII.

    @param values: quick if it has only strings, whole numbers, C{None}, and lists of those.
    @param said: the strings in it that somebody else chose, one after another.
    @raise ValueError: as L{encode}.
    """
    # What is no JSON value, and msgspec writes all the same, is refused by encode.
    if _isSafe(said) and _TYPES_PLAIN.issuperset(map(type, values)):
        return _write(values)
    return encode(values).encode("ascii")


def _isSafe(said: str) -> bool:
    """Is there nothing in it that L{encode} writes in another way than msgspec does?"""
    return said.isascii() and "'" not in said and "," not in said
