"""Big answers: one at a time for a session, and none for a peer that has not read the last."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from scalemgr.finance.questions import Bounds
from scalemgr.server.limits import Lanes, Unread
from scalemgr.wire.errors import LedgerFailed

from ..helpers import LIMITS, Daemon, Session, Threads, booked, fresh, token
from .test_watcher import Watching


def ask(session: Session, times: int) -> None:
    for _ in range(times):
        session.send("MngGetTradesByFilter", fresh(), {})


def test_one_at_a_time() -> None:
    """Of many questions of a caller, on any number of sessions, one is with the views; another caller does not wait
    for it."""
    daemon = Daemon()
    one, again, other = daemon.staff(), daemon.staff(), daemon.connect(token("psp"))
    daemon.queryThread.held = True
    ask(one, 5)
    ask(again, 5)
    assert daemon.queryThread.waiting() == 1
    ask(other, 5)
    assert daemon.queryThread.waiting() == 2
    daemon.queryThread.release()
    daemon.settle()
    assert [len(session.answers()) for session in (one, again, other)] == [5, 5, 5]


def test_who_does_not_read() -> None:
    """While a peer does not read, none of its questions is put; when it does, all are. It is not cut off for them."""
    daemon = Daemon()
    session = daemon.staff()
    booked(daemon, session)
    ask(session, 3)
    session.protocol.peerReads(False)
    daemon.settle()
    first = len(session.answers())
    assert first <= 1
    daemon.queryThread.held = True
    daemon.settle()
    assert daemon.queryThread.waiting() == 0
    daemon.queryThread.held = False
    session.protocol.peerReads(True)
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200] * (3 - first)


def test_gone() -> None:
    """Questions of a session that is gone are not put any more."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.queryThread.held = True
    ask(session, 3)
    session.lose()
    daemon.queryThread.step()
    daemon.settle()
    assert daemon.queryThread.waiting() == 0


def test_goneIsNoFailure() -> None:
    """A question that is called off because its session is gone has not failed: no line says so, and nothing counts it,
    or whoever asks and leaves could have the operator called."""
    watching = Watching()
    daemon = Daemon(watcher=watching)
    session, other = daemon.staff(), daemon.connect(token("other"))

    def checked(query: Any, sight: Any, bounds: Any, ticket: Any) -> Any:
        ticket.check(1)
        raise LedgerFailed("the disk is broken")

    daemon.ledger.table = checked  # type: ignore[method-assign]
    daemon.queryThread.held = True
    ask(session, 1)
    ask(other, 1)
    watching.all.clear()
    session.lose()
    daemon.queryThread.release()
    daemon.settle()
    assert [(told.principal, told.status) for told in watching.all] == [("other", 500)]
    assert [answer["status"] for answer in other.answers()] == [500]


def test_short_questions_go_on() -> None:
    """A table that takes long holds up neither a deposit nor the question about one trade."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.queryThread.held = True
    ask(session, 1)
    trade = booked(daemon, session)
    session.answers()
    session.send("GetTradeByOrder", "x", {"order": trade["order"]})
    [answer] = session.answers()
    assert answer["data"]["order"] == trade["order"]
    daemon.queryThread.release()


def test_late() -> None:
    """A table that the ledger does not give in time is refused, and the next question has its turn."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.queryThread.held = True
    ask(session, 2)
    daemon.clock.advance(10)
    daemon.settle()
    [late] = session.answers()
    assert (late["status"], late["data"]["reason"]) == (500, "RET_ERR_TIMEOUT")
    # Its thread has not let go of it yet.
    assert daemon.queryThread.waiting() == 1
    daemon.queryThread.release()
    daemon.settle()
    answers: list[dict[str, Any]] = session.answers()
    assert [answer["status"] for answer in answers] == [200]


def test_goneMeanwhile() -> None:
    """The question of a session that goes away while it waits for its thread is not put to the views at all, nor is
    one whose time is up."""
    daemon = Daemon()
    put: list[object] = []
    table = daemon.ledger.table

    def watched(query: Any, sight: Any, bounds: Any, ticket: Any) -> Any:
        put.append(query)
        ticket.check(1)
        return table(query, sight, bounds, ticket)

    daemon.ledger.table = watched  # type: ignore[method-assign]
    session, late = daemon.staff(), daemon.connect(token("late"))
    daemon.queryThread.held = True
    ask(session, 1)
    ask(late, 1)
    session.lose()
    daemon.clock.advance(10)
    daemon.queryThread.release()
    daemon.settle()
    assert len(put) == 2
    assert [answer["data"]["reason"] for answer in late.answers()] == ["RET_ERR_TIMEOUT"]


def test_lanesAreBounded() -> None:
    """Those of all callers together are bounded; whoever comes then is refused, and the bound frees itself."""
    thread = Threads()
    thread.held = True
    lanes = Lanes(thread, 3)
    done: list[object] = []
    waiting: list[Deferred[Any]] = [lanes(caller, lambda c=caller: c) for caller in ("a", "a", "b")]  # type: ignore[misc]
    for answered in waiting:
        answered.addCallback(done.append)
    lanes("c", lambda: "c").addErrback(lambda failure: done.append(failure.value.status))
    lanes("b", lambda: "b").addErrback(lambda failure: done.append(failure.value.status))
    assert done == [429, 429]
    thread.release()
    assert done == [429, 429, "a", "a", "b"]
    lanes("c", lambda: "c").addCallback(done.append)
    assert done[-1] == "c"


class NotReading:
    """A session that does not read."""

    def __init__(self, gone: list[object]) -> None:
        self._gone = gone

    def tooMuch(self) -> None:
        self._gone.append(self)


def test_unread() -> None:
    """When too much waits for those who do not read, who has not read for longest goes, and no more than must."""
    gone: list[object] = []
    one, two, three = (NotReading(gone) for _ in range(3))
    unread = Unread(100)
    unread.add(one, 40)
    unread.add(two, 40)
    unread.add(one, 20)
    assert gone == []
    unread.add(three, 1)
    assert gone == [one]
    unread.forget(two)
    unread.add(three, 99)
    assert gone == [one]
    unread.add(three, 1)
    assert gone == [one, three]


def test_nobodyReads() -> None:
    """What waits for all sessions together is bounded: who has not read for longest is cut off, the others go on."""
    limits = LIMITS.__class__(65536, 1000, 1000, 30, 1024 * 1024, unreadBytesMax=4000)
    daemon = Daemon(limits=limits)
    sessions = [daemon.staff() for _ in range(4)]
    for session in sessions[:3]:
        session.protocol.peerReads(False)
    for _ in range(3):
        sessions[3].deposit(fresh())
        daemon.settle()
    assert [session.transport.disconnected for session in sessions] == [True, False, False, False]
    assert len(sessions[3].answers()) == 3


def test_whoIsGoneNeedNotRead() -> None:
    """What waited for a session that is gone counts no more; nor does that of one that reads again."""
    daemon = Daemon()
    gone, reading, other = (daemon.staff() for _ in range(3))
    for session in (gone, reading):
        session.protocol.peerReads(False)
    other.deposit(fresh())
    daemon.settle()
    waiting = daemon.factory.unread.bytes
    assert waiting > 0
    gone.lose()
    assert daemon.factory.unread.bytes == waiting / 2
    reading.protocol.peerReads(True)
    assert daemon.factory.unread.bytes == 0


def test_tooManyBytes() -> None:
    """An answer of more bytes than one may have is refused, and says what to do."""
    daemon = Daemon(queryBounds=Bounds(bytes=2000))
    session = daemon.staff()
    for _ in range(10):
        booked(daemon, session, comment="x" * 200)
    session.send("MngGetTradesByFilter", "all", {})
    daemon.settle()
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["error"]) == (400, "INVALID_DATA")
    assert "ask for less at a time" in answer["data"]["message"]
    session.send("MngGetTradesByFilter", "some", {"limit": 2})
    daemon.settle()
    [answer] = session.answers()
    assert (answer["status"], len(answer["data"]["rows"])) == (200, 2)


def test_fillsAgain() -> None:
    """While a transport is full again with what had piled up, no further table is made."""
    daemon = Daemon()
    session = daemon.staff()
    booked(daemon, session)
    protocol = session.protocol
    protocol.peerReads(False)
    ask(session, 3)
    daemon.staff().deposit(fresh())
    daemon.settle()
    write = session.transport.write

    def full(data: bytes) -> None:
        write(data)
        protocol.peerReads(False)

    session.transport.write = full  # type: ignore[method-assign]
    protocol.peerReads(True)
    daemon.queryThread.held = True
    daemon.settle()
    assert daemon.queryThread.waiting() == 0
    session.transport.write = write  # type: ignore[method-assign]
    daemon.queryThread.release()
    protocol.peerReads(True)
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200] * 3


def test_closing() -> None:
    """A session that is being ended asks no more."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.queryThread.held = True
    ask(session, 3)
    session.sendRaw(b"x" * 70_000)
    daemon.queryThread.step()
    daemon.settle()
    assert daemon.queryThread.waiting() == 0


def test_threadThatCannotBegin() -> None:
    """A thread that cannot be had costs the one question, and not all that come after it."""
    results: list[object] = []

    def refusing(f: Any) -> Any:
        raise RuntimeError("can't start new thread")

    lanes = Lanes(refusing, 4)
    for _ in range(6):
        lanes("a", lambda: 1).addErrback(lambda failure: results.append(str(failure.value)))
    assert results == ["can't start new thread"] * 6
