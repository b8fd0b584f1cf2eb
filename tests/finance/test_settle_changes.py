"""Changes of deposits that exist: whose, of what, and by how much the balance moves."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from scalemgr.finance.money import fromMinor
from scalemgr.finance.records import Account, FinanceTrade
from scalemgr.finance.settle import settleBatch
from scalemgr.wire.codes import EventRecordType, TradeCommand, TradeState

from ..helpers import wholeLog
from .books import (
    BEFORE,
    DEPOSIT,
    NOW,
    NOW_MS,
    booked,
    change,
    contents,
    deposit,
    makeBook,
    refused,
    richBook,
    settleOne,
)


@pytest.mark.parametrize(("amount", "moved"), [(250, 15000), (100.01, 1), (100, 0), (99.99, -1), (0.01, -9999)])
def test_changeMovesTheDifference(amount: float, moved: int) -> None:
    """To change a deposit moves the balance by the difference, and the version, with a balance:event, only if any."""
    book = richBook()
    outcomes, draft = settleBatch(book, {7: BEFORE}, {}, [change(amount)], NOW_MS)
    entry = booked(outcomes[0])
    assert draft.entries == wholeLog(book, [entry])
    assert len(draft.entries) == 1 + (moved != 0)
    assert (entry.type, entry.order) == (EventRecordType.EV_RECORD_UPDATE, 7)
    assert entry.balance == moved
    account = draft.account(1001)
    assert account is not None
    assert account.balance == 10000 + moved
    assert account.balance_version == entry.trade().balance_version == 1 + (moved != 0)
    assert fromMinor(entry.trade().profit, 2) == amount


def test_changeKeepsWhatIsNotGiven() -> None:
    """A change of the amount alone leaves comment and times of the deposit as they were."""
    after = booked(settleOne(richBook(), change(250), BEFORE)).trade()
    assert after == replace(BEFORE, profit=25000, update_time=NOW, balance_version=2)


def test_changeTakesWhatIsGiven() -> None:
    """A change replaces comment and times by those given."""
    after = booked(settleOne(richBook(), change(250, comment="", open_time=3000, close_time=4000), BEFORE)).trade()
    assert after == FinanceTrade(7, 1001, DEPOSIT, 25000, 2, "", 3000, 4000, NOW, 2)


def test_changeInTheBatchOfItsCreation() -> None:
    """A change sees what the same batch made of the deposit before it, not what was committed."""
    requests = [deposit(100, order=7, comment="one"), change(60), change(75.5, comment="two")]
    outcomes, draft = settleBatch(makeBook(), {}, {}, requests, NOW_MS)
    assert [booked(o).balance for o in outcomes] == [10000, -4000, 1550]
    assert [booked(o).trade().comment for o in outcomes] == ["one", "one", "two"]
    assert draft.account(1001) == Account(1001, "demo", 1, 7550, 0, 3)


def test_changeOfAChangeInOneBatch() -> None:
    """Two changes of a committed deposit in one batch move the balance by its last amount less its first."""
    outcomes, draft = settleBatch(richBook(), {7: BEFORE}, {}, [change(60), change(75.5)], NOW_MS)
    assert [booked(o).balance for o in outcomes] == [-4000, 1550]
    assert draft.account(1001) == Account(1001, "demo", 1, 7550, 0, 3)


def test_refusedChangeIsNotSeenLater() -> None:
    """A change that was refused does not count for the next one of the same batch."""
    outcomes, _ = settleBatch(richBook(5000), {7: BEFORE}, {}, [change(1), change(90)], NOW_MS)
    assert refused(outcomes[0]).code.name == "RET_TRADE_NO_MONEY"
    assert booked(outcomes[1]).balance == -1000


def test_changeOfAnUnknownOrderIsRefused() -> None:
    """What is to be changed must exist when it is settled."""
    assert refused(settleOne(makeBook(), change(5))).code.name == "RET_NOT_FOUND"


@pytest.mark.parametrize(
    "trade",
    [
        replace(BEFORE, login=1002),
        replace(BEFORE, login=2001),
        replace(BEFORE, cmd=TradeCommand.OP_BALANCE_OUT),
        replace(BEFORE, cmd=TradeCommand.OP_CREDIT_IN),
        replace(BEFORE, cmd=TradeCommand.OP_BUY),
    ],
)
def test_changeOfAnotherLoginOrKindIsRefused(trade: FinanceTrade) -> None:
    """Only a deposit of the same login can be changed by a deposit; the money of neither login moves."""
    book = richBook()
    outcomes, draft = settleBatch(book, {7: trade}, {}, [change(5)], NOW_MS)
    error = refused(outcomes[0])
    assert (error.status, error.code.name) == (400, "RET_TRADE_INCORRECT_ORDER")
    assert contents(draft) == (book.seq + 1, book.nextLogin, book.groups, {}, (), {})


def test_changeOfAnotherLoginInTheSameBatchIsRefused() -> None:
    """The same holds for a deposit that the batch itself has made."""
    outcomes, _ = settleBatch(makeBook(), {}, {}, [deposit(5, 1002), change(5, 1001)], NOW_MS)
    assert refused(outcomes[1]).code.name == "RET_TRADE_INCORRECT_ORDER"


@pytest.mark.parametrize("state", [s for s in TradeState if s is not TradeState.TS_CLOSED_NORMAL])
def test_onlyADoneDepositCanBeChanged(state: TradeState) -> None:
    """A deposit that was deleted, or is not booked yet, cannot be changed."""
    error = refused(settleOne(richBook(), change(5), replace(BEFORE, state=state)))
    assert (error.status, error.code.name) == (400, "RET_TRADE_INCORRECT_STATE")
