"""Numbers of the wire and whole minor units: exact either way, or refused."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction

import pytest
import ujson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scalemgr.finance.money import DIGITS_MAX, MINOR_UNITS_MAX, Amount, Currencies, fromMinor, readAmount, toMinor
from scalemgr.wire.messages import encode

thorough = settings(deadline=None, max_examples=150)

digits = st.integers(0, DIGITS_MAX)
minors = st.integers(-MINOR_UNITS_MAX + 1, MINOR_UNITS_MAX - 1)


@thorough
@given(minors, digits)
@example(MINOR_UNITS_MAX - 1, 0)
@example(1 - MINOR_UNITS_MAX, DIGITS_MAX)
def test_amountsGoOutAndComeBack(minor: int, digits: int) -> None:
    """Every amount that is kept is written as a JSON number that is read, by any reader, as the same amount."""
    text = encode(fromMinor(minor, digits))
    assert Decimal(text) == Decimal(minor).scaleb(-digits)
    for loads in (json.loads, ujson.loads):
        assert toMinor(readAmount(loads(text)), digits) == minor


@thorough
@given(minors, st.integers(-20, 20))
def test_fifteenDigitsAreReadExactly(coefficient: int, exponent: int) -> None:
    """A number of at most 15 significant digits is read as exactly what was written, however it was written."""
    written = Decimal(coefficient).scaleb(exponent)
    for text in (str(float(written)), f"{coefficient}e{exponent}"):
        amount = readAmount(float(text))
        assert Fraction(amount.coefficient, 10**amount.decimals) == Fraction(written)


@thorough
@given(
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False),
        st.floats(-1e16, 1e16),
        st.builds(lambda minor, digits: minor / 10**digits, st.integers(-(10**16), 10**16), st.integers(0, 20)),
    )
)
@example(-0.0)
@example(5e-324)
@example(1.7976931348623157e308)
def test_shortNumbersAreReadAsLongOnes(number: float) -> None:
    """A number that is written in few digits is read as it would be if all 15 were looked at."""
    text = f"{number:.15g}"
    exact = Decimal(text).normalize()
    if abs(float(text) - number) > 4 * math.ulp(number):
        with pytest.raises(ValueError, match="15 significant digits"):
            readAmount(number)
        return
    exponent = exact.as_tuple().exponent
    assert isinstance(exponent, int)
    amount = readAmount(number)
    assert amount.decimals == max(0, -exponent)
    assert Decimal(amount.coefficient).scaleb(-amount.decimals) == exact


@thorough
@given(minors, digits)
def test_amountsAreInLowestTerms(minor: int, digits: int) -> None:
    """Equal numbers are equal amounts: none has more decimals than it needs."""
    amount = readAmount(fromMinor(minor, digits))
    assert amount.decimals >= 0
    assert amount.decimals == 0 or amount.coefficient % 10 != 0


@thorough
@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=2), st.integers(0, 4))
def test_noiseOfArithmeticIsIgnored(parts: list[int], digits: int) -> None:
    """The sum of two amounts as a client's doubles make it is read as the sum of the amounts."""
    total = sum(part / 10**digits for part in parts)
    assert toMinor(readAmount(total), digits) == sum(parts)


@pytest.mark.parametrize(
    ("number", "amount"),
    [
        (59.970000000000006, Amount(5997, 2)),
        (0.1 + 0.2, Amount(3, 1)),
        (4.35 * 100, Amount(435, 0)),
        (250, Amount(250, 0)),
        (250.0, Amount(250, 0)),
        (-250.5, Amount(-2505, 1)),
        (0.001, Amount(1, 3)),
        (1e-7, Amount(1, 7)),
        (1.5e-7, Amount(15, 8)),
        (1e22, Amount(10**22, 0)),
        (0, Amount(0, 0)),
        (0.0, Amount(0, 0)),
        (-0.0, Amount(0, 0)),
        (10**15, Amount(10**15, 0)),
        (99999999999999.9, Amount(999999999999999, 1)),
        (-99999999999999.9, Amount(-999999999999999, 1)),
    ],
)
def test_numbersAreReadAtFifteenDigits(number: float, amount: Amount) -> None:
    """A number is what its 15 significant digits say; its sign is kept, and zero has none."""
    assert readAmount(number) == amount


@pytest.mark.parametrize("number", [0, 0.0, -0.0])
def test_zeroCanBeRefused(number: float) -> None:
    """Every zero is read as a coefficient of 0, for those who must refuse it."""
    assert readAmount(number).coefficient == 0


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
def test_whatUjsonLetsThroughIsRefused(text: str) -> None:
    """NaN and the infinities, which ujson reads without a word, are no amounts."""
    number = ujson.loads(text)
    assert not math.isfinite(number)
    with pytest.raises(ValueError, match="finite"):
        readAmount(number)


@pytest.mark.parametrize(
    ("value", "called"),
    [
        ("250", "a string"),
        ("", "a string"),
        (True, "a boolean"),
        (False, "a boolean"),
        (None, "null"),
        ([250], "a list"),
        ({"amount": 250}, "an object"),
        (Decimal("2.5"), "something else"),
    ],
)
def test_onlyNumbersAreAmounts(value: object, called: str) -> None:
    """What is no JSON number is refused, and called what it is."""
    with pytest.raises(ValueError, match=f"got {called}"):
        readAmount(value)


def test_significantDigitsHaveABound() -> None:
    """An integer may have one below and just 15 significant digits, and is refused with one more."""
    for number in (10**14 - 1, 10**15 - 1, (10**15 - 1) * 10**20):
        assert readAmount(number).coefficient == number
        assert readAmount(-number).coefficient == -number
    for number in (10**15 + 1, 1234567890123456, 10**16 - 1, 12345678901234560, 10**400 + 1):
        for signed in (number, -number):
            with pytest.raises(ValueError, match="15 significant digits"):
                readAmount(signed)


@pytest.mark.parametrize("number", [1.000000000000001, 1.23456789012345678, 123456789012.3456, 0.1234567890123456])
def test_digitsBeyondNoiseAreRefused(number: float) -> None:
    """A double that says more than 15 digits and noise can is refused, not cut."""
    with pytest.raises(ValueError, match="15 significant digits"):
        readAmount(number)


def test_noiseHasABound() -> None:
    """A double may be four places off its 15 digits, for a few additions, and not five."""
    number = 1.1
    for _ in range(4):
        number = math.nextafter(number, 2)
        assert readAmount(number) == Amount(11, 1)
    with pytest.raises(ValueError, match="15 significant digits"):
        readAmount(math.nextafter(number, 2))


@pytest.mark.parametrize(
    ("number", "digits", "minor"),
    [
        (250, 2, 25000),
        (59.97, 2, 5997),
        (0.01, 2, 1),
        (-0.01, 2, -1),
        (5, 0, 5),
        (1.234, 3, 1234),
        (1e-8, 8, 1),
        (1e-12, 12, 1),
        (0, 2, 0),
    ],
)
def test_minorUnits(number: float, digits: int, minor: int) -> None:
    """An amount is the right number of the currency's smallest unit."""
    assert toMinor(readAmount(number), digits) == minor


@pytest.mark.parametrize(("number", "digits"), [(0.001, 2), (59.999, 2), (0.5, 0), (1.0001, 3), (1e-300, 12)])
def test_moreDecimalsThanTheCurrencyAreRefused(number: float, digits: int) -> None:
    """Digits beyond the currency's are a refusal, never a rounding."""
    with pytest.raises(ValueError, match=f"at most {digits} decimals"):
        toMinor(readAmount(number), digits)


@pytest.mark.parametrize("digits", [0, 2, DIGITS_MAX])
@pytest.mark.parametrize("sign", [1, -1])
def test_minorUnitsHaveABound(digits: int, sign: int) -> None:
    """An amount may be one minor unit below the bound, either side of zero, and neither at it nor above."""
    below = sign * (MINOR_UNITS_MAX - 1)
    assert toMinor(Amount(below, digits), digits) == below
    for minor in (MINOR_UNITS_MAX, MINOR_UNITS_MAX + 1):
        with pytest.raises(ValueError, match="less than"):
            toMinor(Amount(sign * minor, digits), digits)


@pytest.mark.parametrize("number", [10**15, 1e15, 1e16, 10**30, 1e308, 10**400])
def test_hugeAmountsAreRefused(number: float) -> None:
    """A number of few digits but too large is refused in words, in every currency."""
    for digits in (0, 2, DIGITS_MAX):
        with pytest.raises(ValueError, match=f"less than {10 ** (15 - digits)}$"):
            toMinor(readAmount(number), digits)


@thorough
@given(minors, digits)
def test_amountIsANumberAgain(minor: int, digits: int) -> None:
    """An amount as a float is the number that it was read from."""
    number = fromMinor(minor, digits)
    assert float(readAmount(number)) == number


def test_amountsCompareByValue() -> None:
    """Amounts of one value are equal and hash alike, others are not; an amount is no bare number."""
    assert readAmount(2.5) == readAmount(2.50) == Amount(25, 1)
    assert len({readAmount(250), readAmount(250.0), readAmount(25.0)}) == 2
    assert Amount(25, 1) != Amount(25, 0)
    assert Amount(25, 0) != 25


@pytest.mark.parametrize(("code", "digits"), [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)])
def test_currenciesAreThoseOfIso(code: str, digits: int) -> None:
    """A currency has the decimals that ISO 4217 gives it."""
    assert Currencies().digits(code) == digits


@pytest.mark.parametrize("code", ["", "usd", "US", "XBT", "US Dollar", "840", "XAU", "XXX"])
def test_unknownCurrenciesAreRefused(code: str) -> None:
    """A code that is not known, or has no decimals of its own, is refused by name."""
    with pytest.raises(ValueError, match=f"^{code!r} is neither"):
        Currencies().digits(code)


def test_configurationAddsAndChangesCurrencies() -> None:
    """The configuration's currencies come first; the rest stay as they are."""
    currencies = Currencies({"BTC": 8, "USD": 4, "XAU": 0})
    assert [currencies.digits(code) for code in ("BTC", "USD", "XAU", "EUR")] == [8, 4, 0, 2]


def test_currenciesKeepTheirOwnList() -> None:
    """To change the list that was given changes no currency."""
    given = {"BTC": 8}
    currencies = Currencies(given)
    given["BTC"] = 2
    assert currencies.digits("BTC") == 8
