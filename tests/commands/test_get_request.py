"""What became of a request: what is said of it is never contradicted later."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.wire.errors import LedgerFailed

from ..helpers import Daemon, Session, WatchedLedger, booked, inShort, token, trades

VOID = LedgerFailed("the disk is full", outcome="void")
PENDING = LedgerFailed("the disk went away", outcome="pending")


def state(session: Session, daemon: Daemon, key: object = "k", name: str = "extID") -> dict[str, Any]:
    """What GetRequest says."""
    session.send("GetRequest", "ask", {name: key})
    daemon.settle()
    [answer] = [a for a in session.answers() if a["extID"] == "ask"]
    assert answer["status"] == 200, answer
    data: dict[str, Any] = answer["data"]
    return data


@pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])
def test_done(command: str) -> None:
    """What was booked is done, with its order and the data of its event, whichever way it was asked for."""
    daemon = Daemon()
    session, listening = daemon.staff(), daemon.staff()
    session.deposit("k", 59.97, command, comment="it's")
    daemon.settle()
    lines = listening.lines()
    assert inShort(lines) == ["6", "7:59.97"]
    [event] = trades(lines)
    session.lines()
    assert state(session, daemon) == {"state": "done", "order": 1, "data": event["data"]}


def test_refused() -> None:
    """What was refused is refused, with the finer code of its refusal."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit("k", login=999)
    daemon.settle()
    session.lines()
    said = state(session, daemon)
    assert (said["state"], said["order"], said["data"]["reason"]) == ("refused", 0, "RET_USER_NOT_FOUND")


def test_unknown() -> None:
    """What was never asked for is unknown; what was malformed, too: its key is free."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit("k", -1)
    session.lines()
    assert state(session, daemon) == {"state": "unknown", "order": 0}


def test_onItsWay() -> None:
    """What waits is queued, what is being committed is pending, each with its order; then it is done."""
    daemon = Daemon()
    session = daemon.staff()
    booked(daemon, session, "k")
    daemon.ledgerThread.held = True
    session.deposit("a")
    daemon.settle()
    session.deposit("b")
    assert state(session, daemon, "a") == {"state": "pending", "order": 2}
    assert state(session, daemon, "b") == {"state": "queued", "order": 3}
    daemon.ledgerThread.release()
    daemon.settle()
    assert [state(session, daemon, key)["state"] for key in ("a", "b")] == ["done", "done"]


def test_repeatOnItsWay() -> None:
    """What is done stays done while a repeat of it waits."""
    daemon = Daemon()
    session = daemon.staff()
    order = booked(daemon, session, "k")["order"]
    daemon.ledgerThread.held = True
    session.deposit("other")
    daemon.settle()
    session.deposit("k")
    assert state(session, daemon)["order"] == order
    assert state(session, daemon)["state"] == "done"
    daemon.ledgerThread.release()


def test_withdrawn() -> None:
    """What was withdrawn by its time-out is unknown: a repeat is a new attempt."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("other")
    daemon.settle()
    session.deposit("k", timeout_ms=100)
    daemon.clock.advance(0.3)
    assert session.answers()[0]["data"]["outcome"] == "void"
    assert state(session, daemon) == {"state": "unknown", "order": 0}
    session.deposit("k")
    assert state(session, daemon) == {"state": "queued", "order": 3}
    daemon.ledgerThread.release()
    daemon.settle()
    assert state(session, daemon)["order"] == 3


@pytest.mark.parametrize(
    ("failure", "meanwhile", "after"), [(VOID, "unknown", "unknown"), (PENDING, "pending", "unknown")]
)
def test_ledgerFails(failure: LedgerFailed, meanwhile: str, after: str) -> None:
    """While nobody knows whether it was kept it is pending; when the ledger has found out, it is what it is."""
    ledger = WatchedLedger()
    daemon = Daemon(ledger=ledger)
    session = daemon.staff()
    ledger.failures = [failure]
    session.deposit("k")
    daemon.settle()
    assert session.answers()[0]["data"]["outcome"] == failure.details["outcome"]
    assert state(session, daemon)["state"] == meanwhile
    daemon.clock.advance(1)
    daemon.settle()
    assert state(session, daemon)["state"] == "unknown"


def test_cannotBeLookedUp() -> None:
    """If the log cannot be asked nothing is said: what is on its way may be a repeat of what is done."""
    daemon = Daemon()
    session = daemon.staff()
    booked(daemon, session, "k")
    daemon.ledgerThread.held = daemon.readerThread.held = True
    session.deposit("k")
    daemon.settle()
    session.send("GetRequest", 1, {"extID": "k"})
    session.send("GetRequest", 2, {"extID": "unheard"})
    daemon.clock.advance(1.1)
    answers = {a["extID"]: a for a in session.answers()}
    assert [(answers[n]["status"], answers[n]["data"]["reason"]) for n in (1, 2)] == [(500, "RET_ERR_TIMEOUT")] * 2
    daemon.ledgerThread.release()
    daemon.readerThread.release()
    daemon.settle()


def test_ofOthers() -> None:
    """A caller learns of its own requests only."""
    daemon = Daemon()
    booked(daemon, daemon.staff(), "k")
    assert state(daemon.connect(token("other")), daemon)["state"] == "unknown"


@pytest.mark.parametrize(("name", "key"), [("extID", 7), ("extID", "7"), ("idempotency_key", "7")])
def test_byEitherName(name: str, key: object) -> None:
    """A request is found by its extID as well as by its key, a number like its text."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit(7)
    daemon.settle()
    session.lines()
    assert state(session, daemon, key, name)["state"] == "done"


@pytest.mark.parametrize("data", [{}, {"extID": None}, {"extID": ""}, {"idempotency_key": ""}, {"extID": []}])
def test_noName(data: dict[str, Any]) -> None:
    """Without a name there is nothing to look for."""
    daemon = Daemon()
    session = daemon.staff()
    session.send("GetRequest", "ask", data)
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["error"]) == (400, "INVALID_DATA")


def test_explicitKeys() -> None:
    """Of a caller whose extIDs name nothing, none is looked for: unknown would be taken for not booked."""
    daemon = Daemon(explicitKeys=True)
    session = daemon.staff()
    session.send("GetRequest", "ask", {"extID": "k"})
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["field"]) == (400, "extID")
    assert state(session, daemon, "k", "idempotency_key")["state"] == "unknown"
