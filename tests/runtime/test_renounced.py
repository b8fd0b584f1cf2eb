"""Several gateways ask for one thing: what one has told that it never will be, no other one lets be."""

from __future__ import annotations

import pytest

from scalemgr.wire.errors import LedgerFailed

from ..helpers import Daemon, Session
from .house import COMMANDS, both, late, ok, told
from .shared import SharedLedger, shared

A = ("crm", "a")


def blocked(daemon: Daemon) -> None:
    """Another batch is under way, so what comes next stays in the queue."""
    daemon.ledgerThread.held = True
    daemon.staff().deposit("first", 1.0, login=1002, timeout_ms=25_000)
    daemon.settle()


def asked(daemon: Daemon, command: str = "BalanceInSync", key: str = "a", timeout_ms: int = 5000) -> Session:
    session = daemon.staff()
    session.send(command, key, {"login": 1001, "amount": 2.0, "timeout_ms": timeout_ms})
    daemon.settle()
    return session


def released(daemon: Daemon, seconds: float = 1.2) -> None:
    daemon.ledgerThread.release()
    wait(daemon, seconds)


def wait(daemon: Daemon, seconds: float) -> None:
    daemon.clock.pump([0.05] * round(seconds / 0.05))


def booked(ledger: SharedLedger) -> list[str | None]:
    return [entry.key for entry in ledger.entries(0, 1000) if entry.login == 1001 and entry.order]


def test_voidIsRenounced() -> None:
    """Whoever is told void is told so only once the key is renounced; a question how far it is renounces nothing."""
    daemon, ledger = shared()
    blocked(daemon)
    session = asked(daemon)
    session.send("GetRequest", "q", {"idempotency_key": "a"})
    daemon.settle()
    session.answers()
    assert ledger.renounced == []
    wait(daemon, 5.2)
    assert told(session) == late("a", "void")
    assert ledger.renounced == [A]


def test_cannotBeRenounced(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the key cannot be renounced, nobody is told void."""
    daemon, ledger = shared()

    def fail(names: object) -> None:
        raise LedgerFailed("it cannot be written")

    monkeypatch.setattr(ledger, "renounce", fail)
    blocked(daemon)
    session = asked(daemon)
    wait(daemon, 5.2)
    assert told(session) == late("a", "pending")


@both
def test_queued(command: str) -> None:
    """What is queued when another gateway renounces its key is answered at once, void, and never booked."""
    daemon, ledger = shared()
    blocked(daemon)
    session, other = asked(daemon, command), asked(daemon, command, "b")
    # It is seen when the batch that is under way begins in earnest; this one is not in that.
    ledger.othersRenounce("a")
    released(daemon)
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["outcome"]) == (500, "void")
    assert "another gateway" in answer["data"]["message"]
    assert [a["status"] for a in other.answers()] == [200]
    assert booked(ledger) == ["b"]


@both
def test_inItsBatch(command: str) -> None:
    """What is in a batch when it is seen that its key is renounced is left out of it, and answered void."""
    daemon, ledger = shared()
    session = askedHeld(daemon, command)
    ledger.othersRenounce("a")
    released(daemon)
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["outcome"]) == (500, "void")
    assert booked(ledger) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_askedAnew(command: str) -> None:
    """What is asked for after the key was seen to be renounced is booked."""
    daemon, ledger = shared()
    ledger.othersRenounce("a")
    ledger.wake()
    daemon.settle()
    session = asked(daemon, command)
    assert [a["status"] for a in session.answers()] == [200]
    assert booked(ledger) == ["a"]


def test_overInItsBatch() -> None:
    """What was answered pending while its batch waited is not booked by that batch; a repeat is, once."""
    daemon, ledger = shared()
    session = askedHeld(daemon, "BalanceInSync")
    wait(daemon, 5.2)
    assert told(session) == late("a", "pending")
    released(daemon)
    assert booked(ledger) == []
    assert told(asked(daemon)) == ok("a")
    assert booked(ledger) == ["a"]


def test_joinedInItsBatch() -> None:
    """What somebody asks for again while its batch waits is booked, though the first was answered pending."""
    daemon, ledger = shared()
    session = askedHeld(daemon, "BalanceInSync")
    wait(daemon, 4.0)
    again = asked(daemon)
    wait(daemon, 1.2)
    assert told(session) == late("a", "pending")
    released(daemon)
    assert told(again) == ok("a", replayed=True)
    assert booked(ledger) == ["a"]


def askedHeld(daemon: Daemon, command: str) -> Session:
    """It is in a batch that waits."""
    daemon.ledgerThread.held = True
    return asked(daemon, command)
