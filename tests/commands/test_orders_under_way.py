"""Orders that are named while they are being written, or before they exist."""

from __future__ import annotations

from scalemgr.wire.errors import LedgerFailed

from ..helpers import Daemon


def test_questionWaitsForTheBatch() -> None:
    """After a 504 with C{pending}, its order is never answered with "not found" while it is being written."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.send("BalanceInSync", "a", {"login": 1001, "amount": 5})
    daemon.settle()
    daemon.clock.pump([1] * 6)
    (late,) = session.answers()
    assert (late["status"], late["data"]["outcome"]) == (504, "pending")
    order = late["data"]["order"]
    session.send("GetTradeByOrder", "b", {"order": order})
    session.send("BalanceInSync", "c", {"login": 1001, "amount": 7, "order": order})
    daemon.settle()
    assert session.answers() == []
    daemon.ledgerThread.release()
    daemon.settle()
    found, changed = session.answers()
    assert (found["extID"], found["status"], found["data"]["profit"]) == ("b", 200, 5.0)
    assert (changed["extID"], changed["data"]["order"], changed["data"]["profit"]) == ("c", order, 7.0)
    assert daemon.balance() == 700


def test_questionAboutOthersDoesNotWait() -> None:
    """Who asks for a trade that is not being written is answered at once."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.send("BalanceInSync", "a", {"login": 1001, "amount": 5})
    daemon.settle()
    session.send("GetTradeByOrder", "b", {"order": 999})
    assert [answer["status"] for answer in session.answers()] == [404]
    daemon.ledgerThread.release()
    daemon.settle()


def test_failedCommitNamesItsOrder() -> None:
    """A 500 that leaves open what became of a deposit says which order to ask for."""
    daemon = Daemon()
    session = daemon.staff()
    commit, daemon.ledger.commit = daemon.ledger.commit, _fail  # type: ignore[method-assign]
    session.send("BalanceInSync", "a", {"login": 1001, "amount": 5})
    daemon.settle()
    daemon.ledger.commit = commit  # type: ignore[method-assign]
    (answer,) = session.answers()
    assert (answer["status"], answer["data"]["reason"]) == (500, "RET_ERR_DISK")
    told = answer["data"]
    assert (told["outcome"], told["kind"], told["order"]) == ("pending", "trade", 1)
    daemon.clock.pump([0.1] * 3)


def _fail(requests: object, nowMs: int, isOver: object) -> None:
    raise LedgerFailed("it failed in its commit", outcome="pending")


def test_namedOrderIsNotTheReservedOne() -> None:
    """An order that does not exist makes a new transaction, also if it is the very number that comes next."""
    daemon = Daemon()
    session = daemon.staff()
    for named in (1, 3, 5):
        session.send("BalanceIn", str(named), {"login": 1001, "amount": 5, "order": named})
        daemon.settle()
    answers = session.answers()
    assert [(a["status"], a["data"]["state"]) for a in answers] == [(200, 10)] * 3
    assert len({a["data"]["order"] for a in answers}) == 3
    assert daemon.balance() == 1500
