"""Those who wait: each is answered once, by what it waits for, or not at all."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError

from scalemgr.finance.records import USER_EVENT, Entry
from scalemgr.runtime.waiters import TICK_S
from scalemgr.wire.codes import RetCode
from scalemgr.wire.errors import Overloaded, Refused

from ..helpers import Daemon, inShort, ofDeposits, trades
from .tables import UPDATE, Submission, Table, entry


@pytest.mark.parametrize("other", [entry(order=8), entry(type=UPDATE), entry(event=USER_EVENT)])
def test_keyedByEvent(other: Entry) -> None:
    """Only the event of this name, type and order answers a waiter."""
    table = Table()
    table.wait()
    table.waiters.emitted(other)
    assert table.answers == []
    table.tell(entry(), Submission())
    assert table.answers == [("a", entry())]


def test_keyedByCause() -> None:
    """Of two events that look alike, a waiter with a cause is answered by that of its own cause."""
    table = Table()
    mine, other = Submission(), Submission()
    table.wait("mine", cause=mine)
    table.wait("other", cause=other)
    table.tell(entry(), other)
    assert table.who() == ["other"]
    table.tell(entry(), mine)
    assert table.who() == ["other", "mine"]


def test_firstComeFirstAnswered() -> None:
    """All who wait for one event are answered by it, in the order in which they came."""
    table = Table()
    names = [f"request {i}" for i in range(20)]
    for name in names:
        table.wait(name, session=name)
    table.waiters.emitted(entry())
    assert table.who() == names


def test_refusal() -> None:
    """A refusal answers those who wait for its cause, and nobody else."""
    table = Table()
    cause, no = Submission(), Refused("no", RetCode.RET_TRADE_NO_MONEY)
    table.wait("mine", cause=cause)
    table.wait("other", cause=Submission())
    table.wait("any")
    table.tell(no, cause)
    assert table.answers == [("mine", no)]


def test_answeredOnce() -> None:
    """Who was answered is not answered again: not by a second event, a refusal or the time-out."""
    table = Table()
    cause = Submission()
    table.wait(cause=cause)
    table.tell(entry(), cause)
    table.tell(entry(), cause)
    table.tell(Refused("no"), cause)
    table.clock.pump([1.0] * 30)
    assert table.who() == ["a"]


def test_sessionTakesItsWaitersWithIt() -> None:
    """A session that is gone waits for nothing; what it asked for is not taken back, and others wait on."""
    table = Table()
    causes = [Submission() for _ in range(3)]
    table.wait("a", cause=causes[0], session="gone")
    table.wait("b", cause=causes[1], session="gone")
    table.wait("a", cause=causes[2], session="there")
    table.waiters.forget("gone")
    assert [(extID, type(answer)) for extID, answer in table.answers] == [("a", CancelledError), ("b", CancelledError)]
    assert not any(cause.withdrawn for cause in causes)
    table.answers.clear()
    for cause in causes:
        table.tell(entry(), cause)
    assert table.answers == [("a", entry())]


def test_forgettingNobody() -> None:
    """A session that waits for nothing can be forgotten."""
    table = Table()
    table.wait(session="there")
    table.waiters.forget("gone")
    assert len(table.waiters) == 1


@pytest.mark.parametrize("how", ["event", "time-out"])
def test_answeringOneEndsTheSessionOfTheNext(how: str) -> None:
    """A session may go away because somebody else is answered; neither of the two tables is hurt."""
    table = Table()
    table.wait("first", session=1).addCallback(lambda _: table.waiters.forget(2))
    table.wait("second", session=2)
    table.wait("third", session=3)
    if how == "event":
        table.waiters.emitted(entry())
    else:
        table.clock.pump([TICK_S] * 200)
    assert [(extID, type(answer) is CancelledError) for extID, answer in table.answers] == [
        ("first", False),
        ("second", True),
        ("third", False),
    ]
    table.wait("later")
    table.clock.pump([TICK_S] * 200)
    assert table.who()[3:] == ["later"]


def test_nothingIsKept() -> None:
    """Those who were answered, timed out or went away leave nothing behind, though there is always somebody waiting."""
    table = Table()
    for i in range(300):
        cause = Submission()
        table.wait(order=i, timeout=100)
        table.wait(order=i + 1000, cause=cause, session=i)
        table.wait(order=i + 2000, session=i)
        table.wait(order=i + 3000, cause=Submission(), timeout=200, session=-i)
        table.tell(entry(order=i + 1000), cause)
        table.waiters.forget(i)
        table.clock.advance(TICK_S)
    assert 0 < len(table.waiters) < 20
    kept = sum(len(value) for value in vars(table.waiters).values() if isinstance(value, dict))
    assert kept < 200


def test_waitersMax() -> None:
    """One waiter more than there may be is refused, and its cause withdrawn; one that leaves makes room."""
    table = Table(waitersMax=2)
    kept = [Submission(), Submission()]
    for cause in kept:
        table.wait(cause=cause)
    tooMany = Submission()
    with pytest.raises(Overloaded):
        table.wait(cause=tooMany)
    assert [cause.withdrawn for cause in (*kept, tooMany)] == [False, False, True]
    assert len(table.waiters) == 2
    table.tell(entry(), kept[0])
    table.wait(cause=Submission())
    assert len(table.waiters) == 2


def test_lostSessionStillDeposits() -> None:
    """A session that breaks while it waits loses its answer; its deposit is applied, and its waiter is gone."""
    daemon = Daemon()
    session, other = daemon.staff(), daemon.staff()
    session.deposit("a")
    assert len(daemon.waiters) == 1
    session.lose()
    assert len(daemon.waiters) == 0
    daemon.settle()
    assert daemon.balance() == 1000
    events = other.lines()
    assert inShort(events) == ofDeposits(6)
    assert [event["data"]["profit"] for event in trades(events)] == [10.0]
    assert session.raw() == b""
