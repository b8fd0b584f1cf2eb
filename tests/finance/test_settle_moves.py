"""Money out, credit, and taking back: what is booked, by how much, and what is refused."""

from __future__ import annotations

import pytest
import ujson
from msgspec.structs import replace

from scalemgr.finance.book import Book
from scalemgr.finance.masks import Mask
from scalemgr.finance.money import MINOR_UNITS_MAX
from scalemgr.finance.records import BALANCE_EVENT, Account, FinanceTrade
from scalemgr.finance.requests import BALANCE, CREDIT, Cause, TakeBack
from scalemgr.finance.settle import settleBatch
from scalemgr.wire.codes import EventRecordType, RetCode, TradeCommand, TradeState

from .books import BEFORE, CRM, EU, NOW, NOW_MS, booked, change, deposit, makeBook, refused, settleOne

OUT, CREDIT_IN, CREDIT_OUT = TradeCommand.OP_BALANCE_OUT, TradeCommand.OP_CREDIT_IN, TradeCommand.OP_CREDIT_OUT


def holding(balance: int = 10000, credit: int = 5000, *, floor: int = 0, enable: int = 1) -> Book:
    """A book in which 1001 has money and credit, of which L{BEFORE} is a part."""
    return makeBook(Account(1001, "demo", enable, balance, credit, 4), Account(1002, "demo"), floor=floor)


def trade(cmd: int, profit: int, *, order: int = 7, state: int = TradeState.TS_CLOSED_NORMAL) -> FinanceTrade:
    """A movement that is booked already."""
    return replace(BEFORE, order=order, cmd=cmd, profit=profit, state=state)


@pytest.mark.parametrize(
    ("cmd", "amount", "balance", "credit"),
    [(OUT, -30, -3000, 0), (OUT, -100, -10000, 0), (CREDIT_IN, 0.01, 0, 1), (CREDIT_OUT, -50, 0, -5000)],
)
def test_booked(cmd: TradeCommand, amount: float, balance: int, credit: int) -> None:
    """What goes out is negative; a balance and a credit are moved apart, down to the last cent that is there."""
    entry = booked(settleOne(holding(), deposit(amount, cmd=cmd)))
    assert (entry.type, entry.balance, entry.credit) == (EventRecordType.EV_RECORD_ADD, balance, credit)
    assert entry.trade() == replace(
        BEFORE,
        cmd=cmd,
        profit=balance or credit,
        comment="Finance",
        open_time=NOW,
        close_time=NOW,
        update_time=NOW,
        balance_version=5,
    )


@pytest.mark.parametrize(
    ("cmd", "amount", "floor", "available"),
    [
        (OUT, -100.01, 0, 100.0),
        (OUT, -50.01, 5000, 50.0),
        (OUT, -120.01, -2000, 120.0),
        (OUT, -1, 10001, 0.0),
        (CREDIT_OUT, -50.01, -2000, 50.0),
    ],
)
def test_noMoney(cmd: TradeCommand, amount: float, floor: int, available: float) -> None:
    """No balance falls below its group's floor, no credit below zero; the refusal says what is available."""
    error = refused(settleOne(holding(floor=floor), deposit(amount, cmd=cmd)))
    assert (error.status, error.code) == (409, RetCode.RET_TRADE_NO_MONEY)
    assert error.details == {"available": available, "outcome": "refused"}


def test_whatIsAvailableIsNotForEverybody() -> None:
    """Who may not see balances is not told what is available."""
    blind = replace(CRM, seesBalance=False)
    error = refused(settleOne(holding(), deposit(-200, cmd=OUT, cause=blind)))
    assert error.details == {"outcome": "refused"}


def test_toTheFloor() -> None:
    """A balance may fall to the floor, also if that is below zero."""
    assert booked(settleOne(holding(floor=-2000), deposit(-120, cmd=OUT))).balance == -12000


def test_belowTheFloorAlready() -> None:
    """A balance that is below a floor that was raised can still be paid in to."""
    book = holding(100, floor=5000)
    assert booked(settleOne(book, deposit(1))).balance == 100
    assert refused(settleOne(book, deposit(-0.01, cmd=OUT))).code == RetCode.RET_TRADE_NO_MONEY


@pytest.mark.parametrize("cmd", [OUT, CREDIT_OUT])
@pytest.mark.parametrize("amount", [0, 0.01])
def test_wrongSignOut(cmd: TradeCommand, amount: float) -> None:
    """What goes out must be negative; nothing is kept of a request that is not."""
    error = refused(settleOne(holding(), deposit(amount, cmd=cmd)))
    assert (error.status, error.error, error.details) == (400, "INVALID_DATA", {"field": "amount"})


@pytest.mark.parametrize("amount", [0, -0.01])
def test_wrongSignIn(amount: float) -> None:
    """Credit that is granted must be positive."""
    assert refused(settleOne(holding(), deposit(amount, cmd=CREDIT_IN))).details == {"field": "amount"}


@pytest.mark.parametrize("cmd", [OUT, CREDIT_IN, CREDIT_OUT])
def test_disabled(cmd: TradeCommand) -> None:
    """A disabled account takes money in neither direction, nor credit."""
    error = refused(settleOne(holding(enable=0), deposit(-1 if cmd != CREDIT_IN else 1, cmd=cmd)))
    assert (error.status, error.code) == (403, RetCode.RET_ACCOUNT_DISABLED)


def test_changedWithdrawal() -> None:
    """A withdrawal that is changed moves the balance by the difference, and only if that is there."""
    before = trade(OUT, -3000)
    entry = booked(settleOne(holding(1000), change(-40, cmd=OUT), before))
    assert (entry.type, entry.balance, entry.trade().profit) == (EventRecordType.EV_RECORD_UPDATE, -1000, -4000)
    assert booked(settleOne(holding(1000), change(-20, cmd=OUT), before)).balance == 1000
    assert refused(settleOne(holding(1000), change(-40.01, cmd=OUT), before)).details["available"] == 10.0


@pytest.mark.parametrize("cmd", [OUT, CREDIT_IN, CREDIT_OUT])
def test_otherKind(cmd: TradeCommand) -> None:
    """A transaction cannot become one of another kind."""
    error = refused(settleOne(holding(), change(1 if cmd == CREDIT_IN else -1, cmd=cmd), BEFORE))
    assert (error.status, error.code) == (400, RetCode.RET_TRADE_INCORRECT_ORDER)


@pytest.mark.parametrize("cmd", [TradeCommand.OP_BALANCE_IN, CREDIT_IN])
def test_limit(cmd: TradeCommand) -> None:
    """Balance and credit together keep to 15 digits, for their sum is on the wire."""
    book = holding(MINOR_UNITS_MAX - 5002, 5000)
    assert booked(settleOne(book, deposit(0.01, cmd=cmd)))
    assert refused(settleOne(book, deposit(0.02, cmd=cmd))).code == RetCode.RET_TRADE_LIMIT_REACHED


def test_balanceEvent() -> None:
    """Each movement is followed by what the account has then, exactly; a change that moves nothing is not."""
    requests = [
        deposit(-30, cmd=OUT, order=8),
        change(100, comment="only the comment"),
        deposit(20.05, cmd=CREDIT_IN, order=9),
        deposit(-1000, cmd=OUT, order=10),
    ]
    outcomes, draft = settleBatch(holding(), {7: BEFORE}, {}, requests, NOW_MS)
    events = [entry.event for entry in draft.entries]
    assert events == [
        "trade:event",
        "balance:event",
        "trade:event",
        "trade:event",
        "balance:event",
        "request:refused",
    ]
    assert [entry.seq for entry in draft.entries] == list(range(1, 7))
    assert outcomes == [draft.entries[0], draft.entries[2], draft.entries[3], draft.entries[5]]
    one, two = (entry for entry in draft.entries if entry.event == BALANCE_EVENT)
    assert ujson.loads(one.data) == {
        "login": 1001,
        "balance": 70.0,
        "credit": 50.0,
        "equity": 120.0,
        "margin": 0.0,
        "margin_free": 120.0,
        "margin_level": 0.0,
        "balance_version": 5,
    }
    said = ujson.loads(two.data)
    assert (said["balance"], said["credit"], said["equity"], said["balance_version"]) == (70.0, 70.05, 140.05, 6)
    for entry in (one, two):
        assert (entry.type, entry.group, entry.login, entry.order) == (
            EventRecordType.EV_RECORD_UPDATE,
            "demo",
            1001,
            0,
        )
        assert (entry.balance, entry.credit, entry.key, entry.fingerprint) == (0, 0, None, None)
        assert (entry.principal, entry.time_ms) == ("crm", NOW_MS)


# -- taking back --------------------------------------------------------------------------------------


def takeBack(order: int = 7, kinds: frozenset[TradeCommand] = BALANCE, cause: Cause = CRM) -> TakeBack:
    """A request to delete a movement."""
    return TakeBack(cause, order, kinds)


@pytest.mark.parametrize(
    ("cmd", "profit", "kinds", "balance", "credit"),
    [
        (TradeCommand.OP_BALANCE_IN, 10000, BALANCE, -10000, 0),
        (OUT, -3000, BALANCE, 3000, 0),
        (CREDIT_IN, 5000, CREDIT, 0, -5000),
        (CREDIT_OUT, -1, CREDIT, 0, 1),
    ],
)
def test_takenBack(cmd: int, profit: int, kinds: frozenset[TradeCommand], balance: int, credit: int) -> None:
    """What is taken back moves its amount the other way; the record stays as it was, but deleted."""
    entry = booked(settleOne(holding(), takeBack(kinds=kinds), trade(cmd, profit)))
    assert (entry.type, entry.order, entry.login) == (EventRecordType.EV_RECORD_DELETE, 7, 1001)
    assert (entry.balance, entry.credit) == (balance, credit)
    assert entry.trade() == replace(trade(cmd, profit), state=TradeState.TS_DELETED, update_time=NOW, balance_version=5)


def test_takenBackOnce() -> None:
    """What is taken back twice, in a batch or later, is taken back once."""
    outcomes, draft = settleBatch(holding(), {7: BEFORE}, {}, [takeBack(), takeBack()], NOW_MS)
    booked(outcomes[0])
    assert refused(outcomes[1]).code == RetCode.RET_TRADE_INCORRECT_STATE
    account = draft.account(1001)
    assert account is not None
    assert account.balance == 0
    again = settleOne(holding(), takeBack(), trade(6, 10000, state=TradeState.TS_DELETED))
    assert refused(again).code == RetCode.RET_TRADE_INCORRECT_STATE


def test_deletedIsNotChanged() -> None:
    """A movement that was taken back cannot be changed into one that counts."""
    error = refused(settleOne(holding(), change(1), trade(6, 10000, state=TradeState.TS_DELETED)))
    assert error.code == RetCode.RET_TRADE_INCORRECT_STATE


@pytest.mark.parametrize(("balance", "floor"), [(9999, 0), (10099, 100)])
def test_takingBackOverdraws(balance: int, floor: int) -> None:
    """A deposit whose money is gone cannot be taken back."""
    error = refused(settleOne(holding(balance, floor=floor), takeBack(), BEFORE))
    assert (error.code, error.details["available"]) == (RetCode.RET_TRADE_NO_MONEY, 99.99)


@pytest.mark.parametrize(("cmd", "kinds"), [(6, CREDIT), (OUT, CREDIT), (CREDIT_IN, BALANCE), (CREDIT_OUT, BALANCE)])
def test_takingBackTheOtherKind(cmd: int, kinds: frozenset[TradeCommand]) -> None:
    """DeleteBalance takes back no credit, DeleteCredit no money."""
    error = refused(settleOne(holding(), takeBack(kinds=kinds), trade(cmd, 100)))
    assert (error.status, error.code) == (400, RetCode.RET_TRADE_INCORRECT_ORDER)


@pytest.mark.parametrize("state", [TradeState.TS_FINANCE_OPEN_PENDING, TradeState.TS_FINANCE_OPEN_DECLINE])
def test_takingBackWhatIsNotBooked(state: TradeState) -> None:
    """A request that was not approved is not money that could be taken back."""
    error = refused(settleOne(holding(), takeBack(), trade(6, 100, state=state)))
    assert error.code == RetCode.RET_TRADE_INCORRECT_STATE


def test_takingBackOfOthers() -> None:
    """A transaction outside the caller's groups is answered exactly like one that does not exist."""
    outside = refused(settleOne(holding(), takeBack(cause=EU), BEFORE))
    missing = refused(settleOne(holding(), takeBack(cause=EU)))
    assert outside.data() == missing.data()
    assert (missing.status, missing.error) == (404, "TRADE_NOT_FOUND")


def test_takingBackOnADisabledAccount() -> None:
    """A mistake on a disabled account can be corrected."""
    assert booked(settleOne(holding(enable=0), takeBack(), BEFORE)).balance == -10000


def test_takingBackOfADeletedAccount() -> None:
    """Nothing of a closed account moves any more."""
    book = makeBook(Account(1001, "demo", 1, 0, 0, 4, 0, True))
    assert refused(settleOne(book, takeBack(), BEFORE)).error == "TRADE_NOT_FOUND"


def test_maskOfTheRightGroup() -> None:
    """Who may touch the account's group may take back."""
    assert booked(settleOne(holding(), takeBack(cause=Cause("d", Mask("demo"))), BEFORE)).principal == "d"
