"""Requests for money: no effect until they are approved, and decided once."""

from __future__ import annotations

from typing import Any

import pytest
import ujson
from msgspec.structs import replace

from scalemgr.finance.book import Book
from scalemgr.finance.money import readAmount
from scalemgr.finance.records import Account, FinanceTrade
from scalemgr.finance.requests import AskForMoney, Cause, Decide
from scalemgr.finance.settle import settleBatch
from scalemgr.wire.codes import EventRecordType, RetCode, TradeCommand, TradeState

from .books import CRM, EU, NOW, NOW_MS, booked, folded, makeBook, refused, settleOne

PENDING = FinanceTrade(
    7, 1001, TradeCommand.OP_BALANCE_IN, 10000, 2, "ask", 1000, 1000, 1500, 4, TradeState.TS_FINANCE_OPEN_PENDING
)
WITHDRAWAL = replace(PENDING, cmd=TradeCommand.OP_BALANCE_OUT, profit=-10000)


def waiting(balance: int = 5000, *, enable: int = 1, floor: int = 0, credit: int = 0) -> Book:
    """A book in which 1001 has a request that awaits approval."""
    return makeBook(Account(1001, "demo", enable, balance, credit, 4, 1), Account(1002, "demo"), floor=floor)


def ask(amount: float, cmd: int = 6, *, login: int = 1001, cause: Cause = CRM, **more: Any) -> AskForMoney:
    """A request for money."""
    return AskForMoney(cause, TradeCommand(cmd), login, readAmount(amount), more.pop("order", 7), **more)


def approve(order: int = 7, cause: Cause = CRM) -> Decide:
    """An approval."""
    return Decide(cause, order, True)


def decline(order: int = 7, cause: Cause = CRM, **more: Any) -> Decide:
    """The other decision."""
    return Decide(cause, order, False, **more)


@pytest.mark.parametrize(("cmd", "amount"), [(6, 100), (7, 0.01), (8, -1_000_000), (9, -7)])
def test_asked(cmd: int, amount: float) -> None:
    """A request is kept with all that was said of it, moves nothing, and makes no balance event; money that is not
    there is no objection yet."""
    request = ask(amount, cmd, comment="c", reason=4, gw_order=9, gw_source="psp", gw_uuid="u", api_data="{}")
    outcomes, draft = settleBatch(makeBook(), {}, {}, [request], NOW_MS)
    [entry] = draft.entries
    assert outcomes == [entry]
    assert (entry.event, entry.type, entry.order) == ("trade:event", EventRecordType.EV_RECORD_ADD, 7)
    assert (entry.balance, entry.credit) == (0, 0)
    said = ujson.loads(entry.data)
    assert (said["state"], said["cmd"], said["profit"], said["reason"]) == (17, cmd, amount, 4)
    assert (said["gw_order"], said["gw_source"], said["gw_uuid"], said["api_data"]) == (9, "psp", "u", "{}")
    assert (said["open_time"], said["close_time"], said["update_time"]) == (NOW, NOW, NOW)
    assert said["balance_version"] == 0
    account = draft.account(1001)
    assert account == Account(1001, "demo", pending=1)


@pytest.mark.parametrize(("cmd", "amount"), [(6, 0), (6, -1), (7, -1), (8, 1), (8, 0), (9, 1), (6, 0.001)])
def test_malformed(cmd: int, amount: float) -> None:
    """A request is held to the same signs and digits as what it asks for."""
    assert refused(settleOne(makeBook(), ask(amount, cmd))).details == {"field": "amount"}


def test_notForYou() -> None:
    """Who may not touch the account cannot ask for its money, nor be told that it exists."""
    assert refused(settleOne(makeBook(), ask(1, cause=EU))).code == RetCode.RET_USER_NOT_FOUND
    assert refused(settleOne(makeBook(), ask(1, login=4711))).code == RetCode.RET_USER_NOT_FOUND


def test_disabled() -> None:
    """Of a disabled account nothing can be asked or approved, but what was asked can be declined."""
    book = waiting(enable=0)
    assert refused(settleOne(book, ask(1, order=8))).code == RetCode.RET_ACCOUNT_DISABLED
    assert refused(settleOne(book, approve(), PENDING)).code == RetCode.RET_ACCOUNT_DISABLED
    assert booked(settleOne(book, decline(), PENDING)).balance == 0


def test_approved() -> None:
    """An approval books the amount, with a balance event; then nothing is pending any more."""
    book = waiting()
    _, draft = settleBatch(book, {7: PENDING}, {}, [approve()], NOW_MS)
    entry, balance = draft.entries
    assert (entry.type, entry.order, entry.balance) == (EventRecordType.EV_RECORD_UPDATE, 7, 10000)
    assert entry.trade() == replace(
        PENDING, state=TradeState.TS_CLOSED_NORMAL, close_time=NOW, update_time=NOW, balance_version=5
    )
    assert ujson.loads(balance.data)["balance"] == 150.0
    assert draft.account(1001) == Account(1001, "demo", 1, 15000, 0, 5, 0)


def test_creditIsApproved() -> None:
    """A request for credit moves credit."""
    trade = replace(PENDING, cmd=TradeCommand.OP_CREDIT_IN)
    entry = booked(settleOne(waiting(), approve(), trade))
    assert (entry.balance, entry.credit) == (0, 10000)


def test_declined() -> None:
    """A request that is declined stays on record with the reason, and moves nothing."""
    book = waiting()
    _, draft = settleBatch(book, {7: PENDING}, {}, [decline(comment="no", api_data="x")], NOW_MS)
    [entry] = draft.entries
    assert entry.trade() == replace(
        PENDING,
        state=TradeState.TS_FINANCE_OPEN_DECLINE,
        comment="no",
        api_data="x",
        close_time=NOW,
        update_time=NOW,
    )
    assert draft.account(1001) == Account(1001, "demo", 1, 5000, 0, 4, 0)


def test_declinedWithoutAWord() -> None:
    """A decision that says nothing leaves the comment as it is."""
    assert booked(settleOne(waiting(), decline(), PENDING)).trade().comment == "ask"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_decidedOnce(first: bool, second: bool) -> None:
    """Whatever was decided first stands, in a batch and later: nothing is booked twice."""
    requests = [Decide(CRM, 7, first), Decide(CRM, 7, second)]
    outcomes, draft = settleBatch(waiting(), {7: PENDING}, {}, requests, NOW_MS)
    entry = booked(outcomes[0])
    assert refused(outcomes[1]).code == RetCode.RET_TRADE_INCORRECT_STATE
    account = draft.account(1001)
    assert account is not None
    assert (account.balance, account.pending) == (15000 if first else 5000, 0)
    later = settleOne(folded(waiting(), draft.entries), Decide(CRM, 7, second), entry.trade())
    assert refused(later).code == RetCode.RET_TRADE_INCORRECT_STATE


def test_askedAndApprovedInOneBatch() -> None:
    """A request can be approved in the very batch in which it comes."""
    outcomes, draft = settleBatch(makeBook(), {}, {}, [ask(25), approve()], NOW_MS)
    assert [booked(outcome).trade().state for outcome in outcomes] == [17, 3]
    account = draft.account(1001)
    assert account is not None
    assert (account.balance, account.pending) == (2500, 0)


def test_notEnoughToApprove() -> None:
    """A withdrawal for which the money is not there is refused when it is approved, and still awaits that."""
    book = waiting()
    outcome = settleOne(book, approve(), WITHDRAWAL)
    assert refused(outcome).details == {"available": 50.0, "outcome": "refused"}
    assert booked(settleOne(waiting(10000), approve(), WITHDRAWAL)).balance == -10000


@pytest.mark.parametrize("decided", [True, False])
def test_notDecidedByOthers(decided: bool) -> None:
    """A request outside the caller's groups is answered exactly like one that does not exist."""
    request = Decide(EU, 7, decided)
    outside = refused(settleOne(waiting(), request, PENDING)).data()
    assert outside == refused(settleOne(waiting(), request)).data()
    assert outside["error"] == "TRADE_NOT_FOUND"


@pytest.mark.parametrize("decided", [True, False])
def test_nothingToDecide(decided: bool) -> None:
    """What is booked already, or deleted, awaits no decision."""
    for state in (TradeState.TS_CLOSED_NORMAL, TradeState.TS_DELETED):
        error = refused(settleOne(waiting(), Decide(CRM, 7, decided), replace(PENDING, state=state)))
        assert (error.status, error.code) == (400, RetCode.RET_TRADE_INCORRECT_STATE)
