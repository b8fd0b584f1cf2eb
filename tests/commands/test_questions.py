"""Questions about what is on its way: no answer before it is known, and none for ever if nobody comes to know it."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.wire.errors import LedgerFailed

from ..helpers import Daemon, Session, WatchedLedger, booked

PENDING = LedgerFailed("the disk went away", outcome="pending")


def look(session: Session, order: int, extID: object = "look", **more: Any) -> None:
    session.send("GetTradeByOrder", extID, {"order": order}, **more)


def test_orderInDoubt() -> None:
    """Of an order that nobody knows about it is not said that it does not exist, and it is not made again."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger)
    session = daemon.staff()
    ledger.failures = [PENDING]
    session.deposit(None)
    daemon.settle()
    assert session.answers()[0]["data"]["outcome"] == "pending"
    look(session, 1)
    session.deposit("change", 50.0, order=1)
    daemon.settle()
    assert [(a["status"], a["data"]["reason"]) for a in session.answers()] == [(500, "RET_ERR_DISK")] * 2
    daemon.clock.advance(1)
    daemon.settle()
    look(session, 1)
    daemon.settle()
    assert session.answers()[0]["status"] == 404
    assert daemon.balance() == 0


def test_orderInTheQueue() -> None:
    """Of an order that waits for its turn it is said what became of it, when something has."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("first")
    daemon.settle()
    session.deposit("second")
    look(session, 2)
    daemon.settle()
    assert session.answers() == []
    daemon.ledgerThread.release()
    daemon.settle()
    answers = {a["extID"]: a for a in session.answers()}
    assert answers["look"]["data"]["order"] == answers["second"]["data"]["order"] == 2


@pytest.mark.parametrize("thread", ["ledgerThread", "readerThread"])
def test_ledgerHangs(thread: str) -> None:
    """A question is answered in time though the ledger hangs: with an error, and what it was for was not done."""
    daemon = Daemon()
    session = daemon.staff()
    booked(daemon, session, "first")
    getattr(daemon, thread).held = True
    session.deposit("second", timeout_ms=25_000)
    daemon.settle()
    if thread == "readerThread":
        session.answers()
    look(session, 2)
    session.deposit("change", 50.0, order=2, timeout_ms=200)
    daemon.clock.advance(0.3)
    [change] = session.answers()
    assert (change["extID"], change["status"], change["data"]["reason"]) == ("change", 500, "RET_ERR_TIMEOUT")
    daemon.clock.advance(5)
    [answer] = [a for a in session.answers() if a["extID"] == "look"]
    assert (answer["status"], answer["data"]["reason"]) == (500, "RET_ERR_TIMEOUT")
    getattr(daemon, thread).release()
    daemon.settle()
    assert daemon.balance() == 2000
    assert len(daemon.waiters) == 0
