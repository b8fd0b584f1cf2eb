"""Caps as they are written: exact, or refused with a sentence that says where and why."""

from __future__ import annotations

import math
from typing import Any

import pytest

from scalemgr.finance.caps import Caps, CapsOf, readCap, readCaps
from scalemgr.finance.money import Currencies

UNIT = 10**12


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("10000", 10000 * UNIT),
        (10000, 10000 * UNIT),
        (10000.0, 10000 * UNIT),
        ("0.10", UNIT // 10),
        (0.1, UNIT // 10),
        ("0", 0),
        (0, 0),
        ("0.000000000001", 1),
        ("999999999999999.999999999999", 10**27 - 1),
    ],
)
def test_read(written: object, read: int) -> None:
    """A number and its decimal text are the same cap, to the last decimal."""
    assert readCap(written) == read


@pytest.mark.parametrize(
    "written",
    [
        *(-1, -0.01, 10**15, "1000000000000000", math.inf, math.nan, 1e-13, True, None, [], {}),
        *("", " 1", "1 ", "-1", "+1", "1e3", ".5", "1.", "1,5", "\u0661", "0.0000000000001", "nan", "9" * 5000),
    ],
)
def test_unreadable(written: object) -> None:
    """What is no number, below 0, too large or too fine is refused, and not rounded."""
    with pytest.raises(ValueError, match="expected"):
        readCap(written)


def test_table() -> None:
    """Caps are read by currency; either may be left out, and then there is none."""
    plain = {"USD": {"amount": "10", "day": 50}, "EUR": {"day": "1"}, "JPY": {}}
    assert readCaps(plain) == CapsOf({"USD": Caps(10 * UNIT, 50 * UNIT), "EUR": Caps(None, UNIT), "JPY": Caps()})
    assert readCaps({}) == CapsOf({})


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        (7, "expected a table of currencies"),
        ([], "expected a table of currencies"),
        ({"USD": 7}, "USD: expected a table with amount, day or both"),
        ({"USD": {"dai": 7}}, "USD.dai: there is no such cap, only amount and day"),
        ({"USD": {"day": None}}, "USD.day: expected a number, got null"),
        ({"USD": {"day": "lots"}}, "USD.day: expected a number such as 10000 or 0.50, got 'lots'"),
        ({"USD": {"amount": -1}}, "USD.amount: expected 0 or more, and less than 1000000000000000"),
        ({"": {}}, "'': expected the code of a currency"),
        ({7: {}}, "7: expected the code of a currency"),
    ],
)
def test_unreadableTable(plain: Any, said: str) -> None:
    """What is wrong in a table is told with its place."""
    with pytest.raises(ValueError) as caught:
        readCaps(plain)
    assert str(caught.value) == said


def test_knownCurrencies() -> None:
    """Where the currencies are known, another one is a mistake, and so is a cap with more decimals than there are."""
    currencies = Currencies({"BTC": 8})
    assert readCaps({"BTC": {"day": "0.00000001"}}, currencies) == CapsOf({"BTC": Caps(None, 10**4)})
    with pytest.raises(ValueError, match=r"^USDX: 'USDX' is neither an ISO 4217 currency nor"):
        readCaps({"USDX": {}}, currencies)
    with pytest.raises(ValueError, match=r"^USD.amount: expected at most 2 decimals, got 3$"):
        readCaps({"USD": {"amount": "0.001"}}, currencies)
    assert readCaps({"USD": {"amount": "0.100"}}, currencies) == CapsOf({"USD": Caps(UNIT // 10)})


def test_narrowed() -> None:
    """Of two caps the smaller applies, and only what both name may be moved at all, whichever comes first."""
    one = CapsOf({"USD": Caps(5, None), "EUR": Caps(None, 7), "GBP": Caps(1, 1)})
    other = CapsOf({"USD": Caps(6, 9), "EUR": Caps(None, 3), "JPY": Caps()})
    both = CapsOf({"USD": Caps(5, 9), "EUR": Caps(None, 3)})
    assert one.narrowed(other) == other.narrowed(one) == both
    assert one.narrowed(CapsOf({})) == CapsOf({})
