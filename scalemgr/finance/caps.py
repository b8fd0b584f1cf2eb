"""How much a caller may move: at once, and in a day.

Caps are of a currency each, for 10000 is something else in another. Who has caps at all moves nothing in a currency
that they do not name. They are believed from the configuration, and from a token, which can only narrow them: what
applies is the smaller of both.

They bound what a stolen token or a wild program can do, so they are held against the book where a movement is decided
(L{scalemgr.finance.settle_money}) and nowhere before: what races there is in one order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from .money import DIGITS_MAX, MINOR_UNITS_MAX, Currencies, readDecimal

__all__ = ["Caps", "CapsOf", "readCap", "readCaps"]

_WRITTEN = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,12})?", re.ASCII)
_KINDS = ("amount", "day")


class Caps(Struct, frozen=True):
    """
    The caps in one currency, in trillionths of its unit; C{None}: there is none.

    @ivar amount: the most that may be moved at once.
    @ivar day: the most that may be moved in a day, all in all.
    """

    amount: int | None = None
    day: int | None = None

    def narrowed(self, other: Caps) -> Caps:
        """What is left if both apply."""
        return Caps(_smaller(self.amount, other.amount), _smaller(self.day, other.day))


class CapsOf(Struct, frozen=True):
    """
    All caps of a caller.

    @ivar currencies: the caps by currency. What is not named here may not be moved at all.
    """

    currencies: Mapping[str, Caps]

    def narrowed(self, other: CapsOf) -> CapsOf:
        """What is left if both apply."""
        mine, others = self.currencies, other.currencies
        return CapsOf({code: caps.narrowed(others[code]) for code, caps in mine.items() if code in others})


def readCaps(plain: object, currencies: Currencies | None = None) -> CapsOf:
    """
    Caps as they are written: C{{"USD": {"amount": "10000", "day": "50000"}}}. Either may be left out, and is none.

    @param currencies: if given, a currency must be one of these, and a cap have no more decimals than it has.
    @raise ValueError: with a sentence for people, that begins with the place.
    """
    if not isinstance(plain, Mapping):
        raise ValueError("expected a table of currencies")
    return CapsOf({code: _inCurrency(code, caps, currencies) for code, caps in plain.items()})


def readCap(number: object, digits: int = DIGITS_MAX) -> int:
    """
    One cap, a number or its decimal text, in trillionths.

    @param digits: how many decimals it may have.
    @raise ValueError: with a sentence for people, if it is not exactly such a number, or below 0.
    """
    if isinstance(number, str):
        if not _WRITTEN.fullmatch(number):
            raise ValueError(f"expected a number such as 10000 or 0.50, got {number[:40]!r}")
        whole, _, fraction = number.partition(".")
        fraction = fraction.rstrip("0")
        coefficient, decimals = int(whole + fraction), len(fraction)
    else:
        coefficient, decimals = readDecimal(number)
    if decimals > digits:
        raise ValueError(f"expected at most {digits} decimals, got {decimals}")
    cap: int = coefficient * 10 ** (DIGITS_MAX - decimals)
    if not 0 <= cap < MINOR_UNITS_MAX * 10**DIGITS_MAX:
        raise ValueError(f"expected 0 or more, and less than {MINOR_UNITS_MAX}")
    return cap


def _inCurrency(code: object, plain: object, currencies: Currencies | None) -> Caps:
    if not isinstance(code, str) or not code:
        raise ValueError(f"{code!r}: expected the code of a currency")
    if not isinstance(plain, Mapping):
        raise ValueError(f"{code}: expected a table with amount, day or both")
    digits = DIGITS_MAX
    if currencies is not None:
        try:
            digits = currencies.digits(code)
        except ValueError as e:
            raise ValueError(f"{code}: {e}") from None
    read = {}
    for kind, number in plain.items():
        if kind not in _KINDS:
            raise ValueError(f"{code}.{kind}: there is no such cap, only amount and day")
        try:
            read[kind] = readCap(number, digits)
        except ValueError as e:
            raise ValueError(f"{code}.{kind}: {e}") from None
    return Caps(**read)


def _smaller(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
