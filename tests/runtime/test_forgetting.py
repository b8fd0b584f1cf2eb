"""Old keys are forgotten a little at a time, through the log, and only those that are old enough."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from scalemgr.finance.records import KEYS_FORGOTTEN
from scalemgr.finance.requests import ForgetKeys
from scalemgr.runtime import forgetting as forgettingModule
from scalemgr.runtime.forgetting import STEP, Forgetting
from scalemgr.wire.errors import LedgerFailed, Overloaded

from ..helpers import Daemon, Session, WatchedLedger

DAY_S = 86_400
HOUR_S = 3600


class Keeper:
    """A daemon that keeps keys for two days, whose ledger shows what it was asked to forget."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int = 2) -> None:
        monkeypatch.setattr(forgettingModule, "STEP", step)
        self.ledger = WatchedLedger()
        self.daemon = Daemon(ledger=self.ledger)
        # What the wall clock of the daemon is not always: steady.
        self.steady = Clock()
        self.steady.rightNow = self.daemon.clock.seconds()
        self.asked: list[tuple[int, int]] = []
        self.thread = self.daemon.readerThread
        self.forgetting = Forgetting(self.daemon.clock, self.steady, self.ledger, self.daemon.runtime, self.thread, 2)
        forgettable = self.ledger.forgettable

        def ask(beforeMs: int, limit: int) -> int:
            self.asked.append((beforeMs, limit))
            return forgettable(beforeMs, limit)

        setattr(self.ledger, "forgettable", ask)

    def deposits(self, *extIDs: str) -> Session:
        """Entries 6 and up, made now: each deposit, which has the key, and its balance:event, which has none."""
        session = self.daemon.staff()
        for extID in extIDs:
            session.deposit(extID)
        self.daemon.settle()
        session.lines()
        return session

    def begin(self) -> None:
        """Start, and wait until a second before the first look."""
        self.forgetting.start()
        self.wait(HOUR_S - 1)

    def wait(self, seconds: float) -> None:
        """Time passes, and then what needs no time."""
        self.steady.advance(seconds)
        self.daemon.clock.advance(seconds)
        self.daemon.settle()

    def forgotten(self) -> list[int]:
        """Up to where, each time."""
        return [r.upTo for batch in self.ledger.batches for r in batch if isinstance(r, ForgetKeys)]


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    return Keeper(monkeypatch)


def test_stepIsBounded() -> None:
    """So few keys are forgotten at a time that nobody waits for it."""
    assert 0 < STEP <= 5000


def test_onlyOldEnough(keeper: Keeper) -> None:
    """A key is forgotten when it is older than what is configured, and then a repeat of it is a new request."""
    session = keeper.deposits("a")
    keeper.wait(1)
    keeper.deposits("b")
    keeper.forgetting.start()
    for _ in range(47):
        keeper.wait(HOUR_S)
    assert (keeper.forgotten(), keeper.ledger.book.forgotten) == ([], 0)
    # Now the first is a second older than two days, and the second is just two days old.
    keeper.wait(HOUR_S)
    assert (keeper.forgotten(), keeper.ledger.book.forgotten) == ([6], 6)
    keeper.forgetting.stop()
    session.deposit("a")
    session.deposit("b")
    keeper.daemon.settle()
    assert [(a["extID"], a["status"], a.get("replayed")) for a in session.answers()] == [
        ("a", 200, None),
        ("b", 200, True),
    ]
    assert keeper.daemon.balance() == 3000


def test_exactAge(keeper: Keeper) -> None:
    """What the ledger is asked for are keys that are older, to the millisecond, than so many days."""
    keeper.begin()
    keeper.wait(1)
    [(beforeMs, limit)] = keeper.asked
    assert beforeMs == int(keeper.daemon.clock.seconds() * 1000) - 2 * DAY_S * 1000
    assert limit == 2
    keeper.forgetting.stop()


def test_inSteps(keeper: Keeper) -> None:
    """Many old keys are forgotten a step at a time, with a rest after each in which deposits go on; then it sleeps."""
    session = keeper.deposits(*"abcde")
    keeper.wait(3 * DAY_S)
    keeper.begin()
    assert keeper.forgotten() == []
    for forgotten in ([8], [8, 12], [8, 12, 14], [8, 12, 14]):
        keeper.wait(0.5)
        session.deposit()
        keeper.daemon.settle()
        assert [answer["status"] for answer in session.answers()] == [200]
        keeper.wait(0.5)
        assert keeper.forgotten() == forgotten
    questions = len(keeper.asked)
    keeper.wait(HOUR_S - 1)
    assert len(keeper.asked) == questions
    keeper.wait(1)
    assert len(keeper.asked) == questions + 1
    keeper.forgetting.stop()


def test_throughTheLog(keeper: Keeper) -> None:
    """What is forgotten is an entry of the log by the daemon itself, without a key, that nobody is sent."""
    session = keeper.deposits("a")
    keeper.wait(3 * DAY_S)
    keeper.begin()
    keeper.wait(1)
    [_, entry] = keeper.ledger.entries(6, 10)
    assert (entry.seq, entry.event, entry.principal, entry.key) == (8, KEYS_FORGOTTEN, "scalemgr", None)
    assert session.lines() == []
    keeper.forgetting.stop()


def test_oneAtATime(keeper: Keeper) -> None:
    """While one step is under way there is no second one, however long it takes."""
    keeper.deposits(*"abcde")
    keeper.wait(3 * DAY_S)
    keeper.daemon.ledgerThread.held = True
    keeper.begin()
    for _ in range(5):
        keeper.wait(1)
    assert keeper.daemon.ledgerThread.waiting() == 1
    keeper.daemon.ledgerThread.release()
    keeper.daemon.settle()
    assert keeper.forgotten() == [8]
    for _ in range(3):
        keeper.wait(1)
    assert keeper.forgotten() == [8, 12, 14]
    keeper.forgetting.stop()


def test_failedStepIsTriedAgain(keeper: Keeper) -> None:
    """A step that could not be kept is tried again, and nothing is forgotten before it is kept."""
    keeper.deposits("a")
    keeper.wait(3 * DAY_S)
    keeper.ledger.failures = [LedgerFailed("the disk is full", outcome="void")]
    keeper.begin()
    keeper.wait(1)
    assert (keeper.forgotten(), keeper.ledger.book.forgotten) == ([6], 0)
    keeper.wait(1)
    keeper.wait(0.1)
    assert (keeper.forgotten(), keeper.ledger.book.forgotten) == ([6, 6], 6)
    keeper.forgetting.stop()


@pytest.mark.parametrize("error", [LedgerFailed("no"), Overloaded("busy"), RuntimeError("a bug")])
def test_questionThatFails(keeper: Keeper, error: Exception, failures: list[LogEvent]) -> None:
    """If it cannot be looked for, it is tried again an hour later; only a bug of ours is logged with a traceback."""
    keeper.deposits("a")
    keeper.wait(3 * DAY_S)
    forgettable = keeper.ledger.forgettable

    def fail(beforeMs: int, limit: int) -> int:
        setattr(keeper.ledger, "forgettable", forgettable)
        raise error

    setattr(keeper.ledger, "forgettable", fail)
    keeper.begin()
    keeper.wait(1)
    keeper.wait(HOUR_S - 1)
    assert keeper.forgotten() == []
    keeper.wait(1)
    assert keeper.forgotten() == [6]
    keeper.forgetting.stop()
    assert [event["log_failure"].value for event in failures] == ([error] if type(error) is RuntimeError else [])
    failures.clear()


def test_fullQueue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that has no place for it is no reason to stop for ever: it is tried again an hour later."""
    keeper = Keeper(monkeypatch)
    keeper.deposits("a")
    keeper.wait(3 * DAY_S)
    submit = keeper.daemon.runtime.submit

    def full(request: object) -> None:
        setattr(keeper.daemon.runtime, "submit", submit)
        raise Overloaded("full")

    setattr(keeper.daemon.runtime, "submit", full)
    keeper.begin()
    keeper.wait(1)
    assert keeper.forgotten() == []
    keeper.wait(HOUR_S)
    assert keeper.forgotten() == [6]
    keeper.forgetting.stop()


def test_stop(keeper: Keeper) -> None:
    """When the daemon stops while it is looking, nothing more is forgotten, and no timer is left."""
    keeper.deposits("a")
    keeper.wait(3 * DAY_S)
    keeper.begin()
    keeper.thread.held = True
    keeper.wait(1)
    assert keeper.thread.waiting() == 1
    keeper.forgetting.stop()
    keeper.forgetting.stop()
    keeper.daemon.runtime.stop()
    keeper.thread.release()
    keeper.daemon.settle()
    assert keeper.daemon.clock.getDelayedCalls() == []
    assert keeper.forgotten() == []


def test_stopBeforeItBegins(keeper: Keeper) -> None:
    """One that is stopped between two looks never looks again."""
    keeper.forgetting.start()
    keeper.forgetting.stop()
    assert keeper.daemon.clock.getDelayedCalls() == []
    keeper.wait(2 * HOUR_S)
    assert keeper.asked == []


@pytest.mark.parametrize("leap", [40 * DAY_S, -40 * DAY_S, 61])
def test_clockThatLeaps(keeper: Keeper, leap: float) -> None:
    """A clock that has leapt is not believed for an hour: what it takes for old may be of today."""
    keeper.deposits("a")
    keeper.forgetting.start()
    keeper.wait(HOUR_S / 2)
    keeper.daemon.clock.rightNow += leap
    # What waits, waits by the steady clock.
    for call in keeper.daemon.clock.getDelayedCalls():
        call.delay(leap)
    keeper.wait(HOUR_S / 2)
    assert (keeper.asked, keeper.forgotten()) == ([], [])
    keeper.wait(HOUR_S)
    assert len(keeper.asked) == 1
    keeper.forgetting.stop()
