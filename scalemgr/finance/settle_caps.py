"""The rules of caps: may a caller move so much?

A refusal says which cap it was (C{cap}: C{amount}, C{day}, or C{currency}, which the caps do not name), what the cap
is (C{limit}) and how much the caller could move now instead (C{left}). It is told of its own caps only.
"""

from __future__ import annotations

from typing import Any

from ..wire.codes import RetCode
from ..wire.errors import Refused
from .caps import Caps, CapsOf
from .money import DIGITS_MAX, fromMinor
from .records import Group
from .turnover import trillionths

__all__ = ["checkAmount", "checkMovement"]


def checkAmount(caps: CapsOf, group: Group, amount: int) -> None:
    """
    Is a single amount of so many minor units, either way, within the caps?

    @raise Refused: if not.
    """
    limit = _capsIn(caps, group).amount
    if limit is not None and trillionths(abs(amount), group.digits) > limit:
        raise _refused("amount", _AT_ONCE.format(_written(limit), group.currency), group, limit, limit)


def checkMovement(caps: CapsOf, group: Group, change: int, moved: int) -> None:
    """
    Is a movement of so many minor units, either way, within the caps?

    @param moved: what the caller has moved of this currency today, in trillionths.
    @raise Refused: if not.
    """
    capped, asked = _capsIn(caps, group), trillionths(abs(change), group.digits)
    atOnce, day = capped.amount, capped.day
    # It may be used up more than once, if the cap was lowered meanwhile.
    rest = None if day is None else max(0, day - moved)
    if atOnce is not None and asked > atOnce:
        left = atOnce if rest is None else min(atOnce, rest)
        raise _refused("amount", _AT_ONCE.format(_written(atOnce), group.currency), group, atOnce, left)
    if day is not None and rest is not None and asked > rest:
        why = f"your cap is {_written(day)} {group.currency} a day (UTC), of which {_written(moved)} are used up"
        if asked <= day:
            why += "; try again tomorrow, under another idempotency key"
        raise _refused("day", why, group, day, rest)


_AT_ONCE = "your cap is {} {} at once"


def _capsIn(caps: CapsOf, group: Group) -> Caps:
    found = caps.currencies.get(group.currency)
    if found is None:
        why = f"you have caps, and they do not name {group.currency}, so you may move nothing in it"
        raise _refused("currency", why, group, 0, 0)
    return found


def _refused(cap: str, why: str, group: Group, limit: int, left: int) -> Refused:
    told: dict[str, Any] = {"cap": cap, "currency": group.currency, "limit": _number(limit), "left": _number(left)}
    return Refused(why, RetCode.RET_TRADE_LIMIT_REACHED, **told)


def _number(amount: int) -> float:
    """Trillionths as the number that is written to the wire."""
    return fromMinor(amount, DIGITS_MAX)


def _written(amount: int) -> str:
    """The same for people, exactly."""
    whole, rest = divmod(amount, 10**DIGITS_MAX)
    return f"{whole}.{rest:0{DIGITS_MAX}}".rstrip("0").rstrip(".")
