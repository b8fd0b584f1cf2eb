"""The only place that decides: a book and a request in, an entry or a refusal out."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from scalemgr.finance.masks import Mask
from scalemgr.finance.money import MINOR_UNITS_MAX
from scalemgr.finance.records import BALANCE_EVENT, TRADE_EVENT, Account, FinanceTrade
from scalemgr.finance.requests import Cause, MoveMoney
from scalemgr.finance.settle import settleBatch
from scalemgr.wire.codes import EventRecordType, TradeCommand, TradeState

from ..helpers import onAccount, wholeLog
from .books import (
    BEFORE,
    CRM,
    EU,
    KEYED,
    NOW,
    NOW_MS,
    booked,
    change,
    deposit,
    makeBook,
    refused,
    richBook,
    settleOne,
    told,
)

# -- a new deposit ------------------------------------------------------------------------------------


def test_newDeposit() -> None:
    """
    A deposit is one entry that says who asked, what happened, and by how much the balance moved; and after it one that
    says what the account has now.
    """
    request = deposit(250.5, order=1242279, comment="Payment gateway deposit", cause=KEYED)
    [outcome], draft = settleBatch(makeBook(), {}, {}, [request], NOW_MS)
    entry = booked(outcome)
    assert draft.entries == wholeLog(makeBook(), [entry])
    assert [(e.seq, e.event, e.type, e.key) for e in draft.entries] == [
        (1, TRADE_EVENT, EventRecordType.EV_RECORD_ADD, "key-1"),
        (2, BALANCE_EVENT, EventRecordType.EV_RECORD_UPDATE, None),
    ]
    assert json.loads(draft.entries[1].data) == onAccount(1001, 1, 25050)
    assert (entry.seq, entry.time_ms) == (1, NOW_MS)
    assert (entry.event, entry.type) == (TRADE_EVENT, EventRecordType.EV_RECORD_ADD)
    assert (entry.group, entry.login, entry.order) == ("demo", 1001, 1242279)
    assert (entry.balance, entry.credit) == (25050, 0)
    assert (entry.principal, entry.key) == ("crm", "key-1")
    assert entry.record is None


def test_newDepositIsATrade() -> None:
    """The event of a deposit carries the closed trade, with the amount in C{profit} and the account's new version."""
    book = makeBook(Account(1001, "demo", 1, 500, 0, 41))
    entry = booked(settleOne(book, deposit(250.5, order=9, comment="x")))
    assert entry.trade() == FinanceTrade(
        order=9,
        login=1001,
        cmd=6,
        profit=25050,
        digits=2,
        comment="x",
        open_time=NOW,
        close_time=NOW,
        update_time=NOW,
        balance_version=42,
        state=TradeState.TS_CLOSED_NORMAL,
    )
    assert json.loads(entry.data)["profit"] == 250.5


@pytest.mark.parametrize(("comment", "written"), [(None, "Finance"), ("", ""), ("x", "x")])
def test_commentHasADefault(comment: str | None, written: str) -> None:
    """A deposit without a comment gets the published one; an empty comment is a comment."""
    assert booked(settleOne(makeBook(), deposit(1, comment=comment))).trade().comment == written


@pytest.mark.parametrize(
    ("login", "amount", "minor"), [(1, 0.01, 1), (2, 5, 5), (3, 1e-8, 1), (3, 1.00000001, 100000001)]
)
def test_amountIsInTheAccountsCurrency(login: int, amount: float, minor: int) -> None:
    """What an amount is worth in minor units depends on the currency of the account's group."""
    book = makeBook(Account(1, "demo"), Account(2, "yen"), Account(3, "coins"))
    entry = booked(settleOne(book, deposit(amount, login)))
    assert entry.balance == entry.trade().profit == minor


@pytest.mark.parametrize(("login", "amount"), [(1, 0.001), (2, 0.5), (1, 10**13), (2, 10**15)])
def test_amountThatTheCurrencyCannotHoldIsMalformed(login: int, amount: float) -> None:
    """Too many decimals or too much is 400 and names the member and the currency."""
    book = makeBook(Account(1, "demo"), Account(2, "yen"))
    error = refused(settleOne(book, deposit(amount, login)))
    assert (error.status, error.error, error.details) == (400, "INVALID_DATA", {"field": "amount"})
    assert {1: "(USD)", 2: "(JPY)"}[login] in error.message


def test_namedButNotFoundIsNew() -> None:
    """An order that was named and does not exist leads to a new deposit under the reserved number."""
    entry = booked(settleOne(makeBook(), deposit(5, order=8, named=4711)))
    assert (entry.type, entry.order) == (EventRecordType.EV_RECORD_ADD, 8)


# -- who may ------------------------------------------------------------------------------------------


def test_unknownLoginIsRefused() -> None:
    """A deposit for a login that does not exist is RET_USER_NOT_FOUND."""
    error = refused(settleOne(makeBook(), deposit(5, 4711)))
    assert (error.status, error.code.name) == (404, "RET_USER_NOT_FOUND")


@pytest.mark.parametrize("enable", [0, 1])
@pytest.mark.parametrize(
    "asked",
    [
        deposit(5, cause=EU),
        deposit(0.001, cause=EU),
        deposit(10**14, cause=EU),
        deposit(-500, cause=EU),
        deposit(5, cause=EU, open_time=2, close_time=1),
        change(5, cause=EU),
        change(5, cause=EU, order=4711),
        change(5, cause=EU, cmd=TradeCommand.OP_BALANCE_OUT),
    ],
    ids=["new", "decimals", "too much", "no money", "times", "change", "unknown order", "other kind"],
)
def test_loginOutsideTheMaskIsLikeUnknown(asked: MoveMoney, enable: int) -> None:
    """Whatever is wrong besides, a login outside the caller's mask is answered exactly as one that does not exist."""
    elsewhere = makeBook(Account(2001, "real-eu"))
    assert elsewhere.account(1001) is None
    outside = settleOne(richBook(enable=enable), asked, BEFORE)
    assert told(outside) == told(settleOne(elsewhere, asked, BEFORE))
    assert refused(outside).code.name == "RET_USER_NOT_FOUND"


def test_loginInsideTheMaskIsServed() -> None:
    """The mask is that of the account's group, and lets in what it covers."""
    assert booked(settleOne(makeBook(), deposit(5, 2001, cause=EU))).group == "real-eu"
    partly = Cause("x", Mask("*,!real-*"))
    assert booked(settleOne(makeBook(), deposit(5, 1001, cause=partly)))
    assert refused(settleOne(makeBook(), deposit(5, 2001, cause=partly))).code.name == "RET_USER_NOT_FOUND"


@pytest.mark.parametrize("asked", [deposit(5), deposit(-5), change(5), change(100)])
def test_disabledAccountTakesNoMoney(asked: MoveMoney) -> None:
    """An account that is switched off refuses money in either direction, and changes of it."""
    error = refused(settleOne(richBook(enable=0), asked, BEFORE))
    assert (error.status, error.code.name) == (403, "RET_ACCOUNT_DISABLED")


# -- bounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", [-5000, 0, 2000])
def test_floorHolds(floor: int) -> None:
    """A deposit may be lowered until the balance is one above or at the group's floor, and not one below."""
    # 1001 has 20.00 above the floor; the rest of the deposit of 100.00 is spent.
    book = richBook(floor + 2000, floor=floor)
    for amount, moved in ((80.01, -1999), (80, -2000)):
        assert booked(settleOne(book, change(amount), BEFORE)).balance == moved
    error = refused(settleOne(book, change(79.99), BEFORE))
    assert (error.status, error.code.name) == (409, "RET_TRADE_NO_MONEY")
    assert error.details == {"available": 20.0, "outcome": "refused"}


def test_belowTheFloorMoneyIsWelcome() -> None:
    """An account below its floor takes deposits and unchanged amounts; nothing is available on it."""
    book = richBook(-3000)
    assert booked(settleOne(book, deposit(1, order=8))).balance == 100
    assert booked(settleOne(book, change(100), BEFORE)).balance == 0
    assert refused(settleOne(book, change(99.99), BEFORE)).details == {"available": 0.0, "outcome": "refused"}


def test_floorIsCheckedAfterEachRequest() -> None:
    """Within a batch the money that an earlier request took is gone."""
    requests = [change(40), change(10, order=8)]
    outcomes, _ = settleBatch(richBook(10000), {7: BEFORE, 8: replace(BEFORE, order=8)}, {}, requests, NOW_MS)
    assert booked(outcomes[0]).balance == -6000
    assert refused(outcomes[1]).details == {"available": 40.0, "outcome": "refused"}


def test_balanceHasABound() -> None:
    """A balance may rise to one minor unit below the bound, and neither to it nor above."""
    book = richBook(MINOR_UNITS_MAX - 10)
    assert booked(settleOne(book, deposit(0.09, order=8))).balance == 9
    for amount in (0.10, 0.11):
        error = refused(settleOne(book, deposit(amount, order=8)))
        assert (error.status, error.code.name) == (409, "RET_TRADE_LIMIT_REACHED")
    assert refused(settleOne(book, change(100.10), BEFORE)).code.name == "RET_TRADE_LIMIT_REACHED"
    assert booked(settleOne(book, change(100.09), BEFORE)).balance == 9


# -- times --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((0, 0), (NOW, NOW)),
        ((1000, 0), (1000, 1000)),
        ((NOW + 60, 0), (NOW + 60, NOW + 60)),
        ((0, 1000), (1000, 1000)),
        ((0, NOW), (NOW, NOW)),
        ((0, NOW + 60), (NOW, NOW + 60)),
        ((1000, 1000), (1000, 1000)),
        ((1000, 1001), (1000, 1001)),
    ],
)
def test_timesOfANewDeposit(given: tuple[int, int], kept: tuple[int, int]) -> None:
    """Times that are not given are those of the booking, or of each other, and never contradict one that is."""
    trade = booked(settleOne(makeBook(), deposit(5, open_time=given[0], close_time=given[1]))).trade()
    assert (trade.open_time, trade.close_time) == kept
    assert trade.update_time == NOW


def test_closeBeforeOpenIsRefused() -> None:
    """A deposit cannot be closed before it is opened, be it new or changed."""
    for request in (
        deposit(5, open_time=1001, close_time=1000),
        change(5, open_time=2001, close_time=2000),
        change(5, close_time=999),
    ):
        error = refused(settleOne(richBook(), request, BEFORE))
        assert (error.status, error.code.name) == (400, "RET_TRADE_BAD_CLOSE_TIME")
    assert booked(settleOne(richBook(), change(5, close_time=1000), BEFORE)).trade().close_time == 1000


@pytest.mark.parametrize(("nowMs", "now"), [(1999, 1), (2000, 2), (2001, 2)])
def test_secondsAreWhole(nowMs: int, now: int) -> None:
    """The log keeps milliseconds; a trade has whole seconds that have begun."""
    entry = booked(settleOne(makeBook(), deposit(5), nowMs=nowMs))
    assert entry.time_ms == nowMs
    assert (entry.trade().open_time, entry.trade().update_time) == (now, now)


def test_causeMayBeWithoutKey() -> None:
    """A request without a key is booked without one."""
    assert booked(settleOne(makeBook(), deposit(5, cause=Cause("crm", CRM.mask)))).key is None
