"""Numbers of the wire to whole minor units and back: exact, or refused.

Inside, money is an C{int} of the currency's smallest unit (cents for USD), and nothing else. On the wire
it is a JSON number, that is, a double, and a double guarantees 15 significant digits. So:

- in, a number is read at 15 significant digits: C{59.970000000000006} is the 59.97 that somebody's
  arithmetic meant. A double further from its 15 digits than arithmetic noise goes is refused, as is an
  integer of more than 15 digits;
- what then has more decimals than the currency is refused, never rounded;
- amounts and balances stay below L{MINOR_UNITS_MAX}, so that each has at most 15 digits and
- out, the nearest double prints as exactly the digits that are kept: 25000 cents are C{250.0}.

NaN and the infinities, which is what C{1e400} is read as, are refused here.
"""

from __future__ import annotations

import math

from iso4217 import Currency

__all__ = ["DIGITS_MAX", "MINOR_UNITS_MAX", "Amount", "Currencies", "fromMinor", "readAmount", "readDecimal", "toMinor"]

#: Amounts and balances are smaller than this many minor units, either side of zero.
MINOR_UNITS_MAX = 10**15
#: The most decimals a currency may have.
DIGITS_MAX = 12

_SIGNIFICANT_DIGITS = 15
# How far a few additions and multiplications of doubles stray, in units in the last place.
_NOISE_ULPS = 4


class Amount:
    """
    An exact decimal number, C{coefficient * 10 ** -decimals}, with no more decimals than it needs.

    It is not yet money: how many decimals are allowed is known only with the account's currency.
    """

    __slots__ = ("coefficient", "decimals")

    def __init__(self, coefficient: int, decimals: int) -> None:
        self.coefficient = coefficient
        self.decimals = decimals

    def __float__(self) -> float:
        return fromMinor(self.coefficient, self.decimals)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Amount) and self.coefficient == other.coefficient and self.decimals == other.decimals

    def __hash__(self) -> int:
        return hash((self.coefficient, self.decimals))

    def __repr__(self) -> str:
        return f"Amount({self.coefficient}, {self.decimals})"


def readAmount(number: object) -> Amount:
    """
    A JSON number as an exact amount.

    @raise ValueError: as L{readDecimal}.
    """
    return Amount(*readDecimal(number))


def readDecimal(number: object) -> tuple[int, int]:
    """
    A JSON number as coefficient and decimals, as few as it needs.

    @raise ValueError: with a sentence for the client, if it is no number, not finite, or has more than
        15 significant digits.
    """
    if type(number) is int:
        if not -MINOR_UNITS_MAX < number < MINOR_UNITS_MAX and len(str(abs(number)).rstrip("0")) > _SIGNIFICANT_DIGITS:
            raise ValueError(_TOO_PRECISE)
        return number, 0
    if type(number) is not float:
        raise ValueError(f"expected a number, got {_JSON_TYPES.get(type(number), 'something else')}")
    if not math.isfinite(number):
        raise ValueError("expected a finite number")
    text = repr(number)
    if len(text) <= _SIGNIFICANT_DIGITS and "e" not in text:
        # The shortest that reads as this number is so short that it is what was written: 250.0, 59.97.
        whole, _, fraction = text.partition(".")
        return (int(whole), 0) if fraction == "0" else (int(whole + fraction), len(fraction))
    text = f"{number:.{_SIGNIFICANT_DIGITS}g}"
    if abs(float(text) - number) > _NOISE_ULPS * math.ulp(number):
        raise ValueError(_TOO_PRECISE)
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    decimals = len(fraction) - int(exponent or 0)
    coefficient = int(whole + fraction)
    return (coefficient * 10**-decimals, 0) if decimals < 0 else (coefficient, decimals)


_TOO_PRECISE = f"expected at most {_SIGNIFICANT_DIGITS} significant digits"
_JSON_TYPES = {bool: "a boolean", str: "a string", type(None): "null", list: "a list", dict: "an object"}


def toMinor(amount: Amount, digits: int) -> int:
    """
    An amount in whole minor units of a currency with so many C{digits} after the point.

    @raise ValueError: with a sentence for the client, if it has more decimals, or reaches
        L{MINOR_UNITS_MAX}.
    """
    if amount.decimals > digits:
        raise ValueError(f"expected at most {digits} decimals, got {amount.decimals}")
    minor: int = amount.coefficient * 10 ** (digits - amount.decimals)
    if not -MINOR_UNITS_MAX < minor < MINOR_UNITS_MAX:
        raise ValueError(f"expected less than {fromMinor(MINOR_UNITS_MAX, digits):.0f}")
    return minor


def fromMinor(minor: int, digits: int) -> float:
    """Minor units as the number that is written to the wire."""
    number: float = minor / 10**digits
    return number


class Currencies:
    """
    How many decimals each currency has: ISO 4217, and what the configuration adds or changes.

    @param others: digits by code, for codes that ISO 4217 does not know (crypto) or counts differently.
    """

    def __init__(self, others: dict[str, int] | None = None) -> None:
        self._others = dict(others or {})

    def digits(self, code: str) -> int:
        """
        The decimals of a currency.

        @raise ValueError: with a sentence for the client, if the code is not known.
        """
        found = self._others.get(code)
        if found is not None:
            return found
        try:
            exponent = Currency(code).exponent
        except ValueError:
            exponent = None
        if exponent is None:
            raise ValueError(f"{code!r} is neither an ISO 4217 currency nor one that the server's configuration adds")
        return int(exponent)
