"""What is written most: quickly, and byte for byte as the one encoder would write it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import asdict

from scalemgr.finance.money import DIGITS_MAX, MINOR_UNITS_MAX
from scalemgr.finance.records import Account, FinanceTrade
from scalemgr.finance.requests import MoveMoney
from scalemgr.finance.texts import listBytes, recordText
from scalemgr.wire.codes import TradeCommand, TradeReason, TradeState
from scalemgr.wire.messages import encode

from .books import BEFORE, deposit

thorough = settings(deadline=None, max_examples=300)

#: What one who writes JSON may stumble over, and what the official clients do.
ODD = [
    "",
    "'",
    '"',
    "\\",
    "/",
    ",}",
    ", ]",
    ",\t}",
    ", x",
    "\x00",
    "\x1f",
    "\n",
    "\x7f",
    "\x80",
    "é",
    "\u2028",
    "😀",
    "</",
]
words = st.one_of(st.text(max_size=12), st.lists(st.sampled_from([*ODD, "plain", "0.0000", "1e5"])).map("".join))
minors = st.one_of(
    st.integers(1 - MINOR_UNITS_MAX, MINOR_UNITS_MAX - 1),
    st.integers(-100, 100),
    st.builds(lambda sign, n, e: sign * n * 10**e, st.sampled_from([1, -1]), st.integers(1, 99), st.integers(0, 13)),
)
digits = st.integers(0, DIGITS_MAX)
numbers = st.integers(0, 2**63)
trades = st.builds(
    FinanceTrade,
    order=numbers,
    login=numbers,
    cmd=st.sampled_from(TradeCommand),
    profit=minors,
    digits=digits,
    comment=words,
    open_time=numbers,
    close_time=numbers,
    update_time=numbers,
    balance_version=numbers,
    state=st.sampled_from(TradeState),
    reason=st.sampled_from(TradeReason),
)
gateways = st.tuples(numbers, words, words, words)


def onTheWire(trade: FinanceTrade) -> dict[str, Any]:
    """A trade as it is told since the first version, its members in this order."""
    return {
        "order": trade.order,
        "login": trade.login,
        "cmd": trade.cmd,
        "state": trade.state,
        "symbol": "",
        "digits": trade.digits,
        "reason": trade.reason,
        "open_time": trade.open_time,
        "close_time": trade.close_time,
        "profit": trade.profit / 10**trade.digits,
        "comment": trade.comment,
        "update_time": trade.update_time,
        "balance_version": trade.balance_version,
    }


@thorough
@given(trades)
@example(FinanceTrade(7, 1001, TradeCommand.OP_BALANCE_IN, 10**15 - 1, 0, "don't, ]", 1, 2, 3, 4))
@example(FinanceTrade(7, 1001, TradeCommand.OP_BALANCE_IN, -15, 6, "1e-05", 1, 2, 3, 4))
@example(FinanceTrade(7, 1001, TradeCommand.OP_BALANCE_IN, 1, 12, "\ud800", 1, 2, 3, 4))
def test_tradesAreWrittenAsEver(trade: FinanceTrade) -> None:
    """Whatever is in a trade, its text is what the encoder makes of its members, in the order that is in every log."""
    assert trade.text() == encode(onTheWire(trade)) == encode(trade.data())


@settings(deadline=None, max_examples=60)
@given(trades, gateways)
@example(trade=BEFORE, gateway=(0, "", "", ""))
def test_gatewaysAreWrittenAsEver(trade: FinanceTrade, gateway: tuple[int, str, str, str]) -> None:
    """What a payment gateway said of a trade follows in its text, all of it, if there is any of it."""
    said = dict(zip(("gw_order", "gw_source", "gw_uuid", "api_data"), gateway, strict=True))
    told = onTheWire(trade) | (said if any(gateway) else {})
    trade = FinanceTrade(**asdict(trade) | said)
    assert trade.text() == encode(told) == encode(trade.data())


@thorough
@given(st.builds(Account, numbers, words, st.integers(0, 1), minors, minors, numbers), digits)
@example(Account(1001, "demo"), 2)
@example(Account(1001, "demo", 1, 11, -1, 1), 6)
def test_balancesAreWrittenAsEver(account: Account, digits: int) -> None:
    """Whatever is on an account, its text is what the encoder makes of its members, in the order of every log."""
    equity = (account.balance + account.credit) / 10**digits
    told = {
        "login": account.login,
        "balance": account.balance / 10**digits,
        "credit": account.credit / 10**digits,
        "equity": equity,
        "margin": 0.0,
        "margin_free": equity,
        "margin_level": 0.0,
        "balance_version": account.balance_version,
    }
    assert account.text(digits) == encode(told) == encode(account.figures(digits))


@thorough
@given(
    st.builds(
        deposit,
        st.one_of(st.integers(-(10**15), 10**15), st.integers(-(10**6), 10**6).map(lambda cents: cents / 100)),
        numbers,
        order=numbers,
        named=numbers,
        cmd=st.sampled_from(TradeCommand),
        comment=st.none() | words,
        open_time=numbers,
        close_time=numbers,
    )
)
def test_whatIsAskedIsWrittenAsEver(request_: MoveMoney) -> None:
    """What is condensed of a movement of money is what the encoder makes of it: logs hold later requests against it."""
    amount = [str(request_.amount.coefficient), request_.amount.decimals]
    comment = request_.comment
    if comment is None and not request_.named:
        comment = "Finance"
    times = [request_.open_time, request_.close_time]
    asked = ["money", request_.cmd, request_.login, amount, request_.named, comment, *times]
    assert request_.askedBytes() == encode(asked).encode("ascii") == encode(request_.asked()).encode("ascii")


class Record(Struct):
    """Some record."""

    number: Any
    said: str


NO_JSON = [Decimal(5), b"x", datetime(2026, 11, 26, tzinfo=UTC), UUID(int=1), {1}, Record(1, "")]


@pytest.mark.parametrize("value", NO_JSON, ids=repr)
def test_whatIsNoJsonIsRefused(value: Any) -> None:
    """What is no JSON value is refused, also where the quicker of the two would write something."""
    with pytest.raises(ValueError, match="is not a JSON value"):
        listBytes([value], "")
    with pytest.raises(ValueError, match="is not a JSON value"):
        recordText(Record(value, "é"), 2, "é")


def test_nanIsRefused() -> None:
    """No text is made of a list that has a number which JSON does not have."""
    with pytest.raises(ValueError, match="Invalid"):
        listBytes([float("nan")], "")


def test_textIsTextAlready() -> None:
    """The text of a record goes as it is into what is encoded around it."""
    assert encode({"data": BEFORE.text()}) == f'{{"data":{BEFORE.text()}}}'
    assert encode({"data": Account(1, "demo").text(2)}) == f'{{"data":{Account(1, "demo").text(2)}}}'
