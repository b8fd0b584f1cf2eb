"""Questions that take too long, or that nobody wants any more."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import pytest

from scalemgr.finance.masks import Sight
from scalemgr.finance.questions import TRADES, Bounds, Filter, TableQuery
from scalemgr.ledger.ticket import Ticket
from scalemgr.wire.codes import RetCode
from scalemgr.wire.errors import LedgerFailed

from .helpers import account, commit, deposit, group, opened

#: Each of these takes SQLite long to find that it is not so, within one step of its machine.
_LONG = "%" + "a" * 400
_HEAVY = Filter(where=[["comment", "like", _LONG]] * 40)


def test_long(folder: Path) -> None:
    """A question is stopped when its time is up, also if each step of it is long; the next one is answered."""
    with opened(folder) as ledger:
        commit(ledger, group(), account(1001))
        commit(ledger, *(deposit(order, comment="a" * 512) for order in range(1, 400)))
        query = TableQuery(table=TRADES, columns=("order",), filter=_HEAVY)
        with pytest.raises(LedgerFailed) as failed:
            ledger.table(query, Sight(), Bounds(seconds=0.05))
        assert failed.value.code == RetCode.RET_ERR_TIMEOUT
        assert "longer than 0.05 seconds" in failed.value.message
        assert ledger.table(TableQuery(table=TRADES, columns=("order",)), Sight(), Bounds()).count == 399


def test_calledOff(folder: Path) -> None:
    """A question that is called off while it is under way ends, and is not mistaken for damage of the views."""
    with opened(folder) as ledger:
        commit(ledger, group(), account(1001))
        commit(ledger, *(deposit(order, comment="a" * 512) for order in range(1, 400)))
        ticket, begun, ended = Ticket(), Event(), []

        def ask() -> None:
            begun.set()
            try:
                ledger.table(TableQuery(table=TRADES, columns=("order",), filter=_HEAVY), Sight(), Bounds(), ticket)
            except LedgerFailed as e:
                ended.append(e.code)

        thread = Thread(target=ask)
        thread.start()
        begun.wait(10)
        ticket.callOff()
        thread.join(10)
        assert ended == [RetCode.RET_ERR_CANCEL]
        assert ledger.table(TableQuery(table=TRADES, columns=("order",)), Sight(), Bounds()).count == 399


def test_neverBegun(folder: Path) -> None:
    """A question that was called off before it began is not put at all."""
    with opened(folder) as ledger:
        commit(ledger, group(), account(1001))
        ticket = Ticket()
        ticket.callOff()
        with pytest.raises(LedgerFailed) as failed:
            ledger.table(TableQuery(table=TRADES, columns=("order",)), Sight(), Bounds(), ticket)
        assert failed.value.code == RetCode.RET_ERR_CANCEL


def test_strikesItsOwn() -> None:
    """Whoever calls a question off when it is over strikes nobody."""
    struck: list[int] = []
    ticket = Ticket()
    with ticket.running(lambda: struck.append(1), 10):
        pass
    ticket.callOff()
    assert struck == []
    other = Ticket()
    with other.running(lambda: struck.append(2), 10):
        other.callOff()
        assert struck == [2]
        with pytest.raises(LedgerFailed):
            other.check(10)


def test_betweenTwo() -> None:
    """An interrupt that comes when there is nothing to interrupt is made again, until the question is over."""
    struck = Event()
    times: list[int] = []

    def interrupt() -> None:
        times.append(1)
        if len(times) == 2:
            struck.set()

    ticket = Ticket()
    with ticket.running(interrupt, 10):
        ticket.callOff()
        assert struck.wait(10)
