"""Big answers: one at a time for a session, and none for a peer that has not read the last."""

from __future__ import annotations

from typing import Any

from ..helpers import Daemon, Session, booked, fresh


def ask(session: Session, times: int) -> None:
    for _ in range(times):
        session.send("MngGetTradesByFilter", fresh(), {})


def test_one_at_a_time() -> None:
    """Of many questions of a session one is with the views; another session does not wait for it."""
    daemon = Daemon()
    one, other = daemon.staff(), daemon.staff()
    daemon.queryThread.held = True
    ask(one, 5)
    assert daemon.queryThread.waiting() == 1
    ask(other, 5)
    assert daemon.queryThread.waiting() == 2
    daemon.queryThread.release()
    daemon.settle()
    assert [len(one.answers()), len(other.answers())] == [5, 5]


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
    assert daemon.queryThread.waiting() == 2
    daemon.queryThread.release()
    daemon.settle()
    answers: list[dict[str, Any]] = session.answers()
    assert [answer["status"] for answer in answers] == [200]
