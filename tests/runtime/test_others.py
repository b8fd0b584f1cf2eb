"""A log that others write, too: the ledger wakes the loop, and what they wrote is told like all else, in its place."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.runtime.waiters import Awaited
from scalemgr.runtime.waking import Waker
from scalemgr.wire.codes import EventRecordType
from scalemgr.wire.errors import LedgerFailed, ShuttingDown

from ..helpers import Daemon, Session, inShort, ofDeposits, token
from .house import late, ok, told
from .shared import shared


def seqs(session: Session) -> list[int]:
    return seqsOf(session.lines())


def seqsOf(lines: list[dict[str, Any]]) -> list[int]:
    return [line["seq"] for line in lines if "event" in line]


def test_wakeTellsWhatOthersWrote() -> None:
    """An idle loop that is woken has one turn, in which all listeners are told what others wrote; then it idles."""
    daemon, ledger = shared()
    one, two = daemon.staff(), daemon.staff()
    daemon.settle()
    ledger.byOthers(1000)
    ledger.byOthers(1000)
    daemon.settle()
    assert one.lines() == []
    calls = ledger.calls
    ledger.wake()
    daemon.settle()
    assert ledger.calls == calls + 1
    events = one.lines()
    assert inShort(events) == ["6", "7:10", "8", "9:20"]
    assert two.lines() == events
    assert daemon.events.head == daemon.ledger.book.seq == 9
    assert daemon.clock.getDelayedCalls() == []


def test_wakeForNothing() -> None:
    """To be woken for nothing is one turn and no event; nor does it ever begin to spin."""
    daemon, ledger = shared()
    session = daemon.staff()
    calls = ledger.calls
    for n in range(1, 4):
        ledger.wake()
        daemon.settle()
        assert (ledger.calls, session.lines()) == (calls + n, [])
    assert daemon.runtime.commits.last is None


@pytest.mark.parametrize("wakes", [1, 2, 7])
def test_wakesDuringACommit(wakes: int) -> None:
    """However often it is woken during a commit, exactly one more turn follows, and what came meanwhile is told."""
    daemon, ledger = shared()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("a")
    daemon.settle()
    for _ in range(wakes):
        ledger.wake()
    calls = ledger.calls
    daemon.ledgerThread.step()
    daemon.settle()
    ledger.byOthers(500)
    assert (ledger.calls, daemon.ledgerThread.waiting()) == (calls + 1, 1)
    daemon.ledgerThread.step()
    daemon.settle()
    assert (ledger.calls, daemon.ledgerThread.waiting()) == (calls + 2, 0)
    assert inShort(session.lines()) == ["a", *ofDeposits(6), "8", "9:15"]


def test_batchCatchesUp() -> None:
    """A turn with a batch tells what others wrote before it, first; yet each response precedes all events."""
    daemon, ledger = shared()
    session, listening = daemon.staff(), daemon.staff()
    ledger.byOthers(500)
    session.deposit("a")
    session.deposit("b")
    daemon.settle()
    assert inShort(session.lines()) == ["a", "b", "6", "7:5", "8", "9:15", "10", "11:25"]
    assert seqs(listening) == [6, 7, 8, 9, 10, 11]


def test_failedBatchTellsWhatOthersWrote() -> None:
    """What others wrote is told also if the batch that found it fails; once, and in its place."""
    daemon, ledger = shared()
    session = daemon.staff()
    ledger.byOthers(500)
    ledger.failures = [LedgerFailed("no", outcome="void")]
    session.deposit("a")
    daemon.settle()
    daemon.clock.advance(0.1)
    session.deposit("b")
    daemon.settle()
    lines = session.lines()
    assert [line.get("status") for line in lines if "event" not in line] == [500, 200]
    assert [line["seq"] for line in lines if "event" in line] == [6, 7, 8, 9]


def test_waitersOfOthersEvents() -> None:
    """Who waits for an event, whoever causes it, is answered by what others wrote."""
    daemon, ledger = shared()
    order = ledger.byOthers(500)
    got: list[object] = []
    awaited = Awaited("trade", "trade:event", int(EventRecordType.EV_RECORD_ADD), order)
    daemon.waiters.wait(awaited, "session", "x").addBoth(got.append)
    ledger.wake()
    daemon.settle()
    assert [getattr(entry, "order", entry) for entry in got] == [order]


def test_sameKeyElsewhere() -> None:
    """A request that others booked meanwhile under its name is answered with that outcome, and nothing more booked."""
    daemon, ledger = shared()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("x", 7.0)
    daemon.settle()
    session.deposit("a")
    order = ledger.byOthers(1000, key="a")
    daemon.ledgerThread.release()
    daemon.settle()
    answers = {answer["extID"]: answer for answer in session.answers()}
    assert (answers["a"]["data"]["order"], answers["a"]["replayed"]) == (order, True)
    assert daemon.balance() == 1700


def test_timeOutOfWhatOthersBooked() -> None:
    """If its time is up while it is queued, and others have booked it by its name, that is the answer: never void."""
    daemon, ledger = shared()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("x", timeout_ms=10_000)
    daemon.settle()
    session.deposit("a", timeout_ms=1000)
    session.deposit("b", timeout_ms=1000)
    ledger.byOthers(1000, key="a")
    ledger._untold += ledger._refresh()
    daemon.clock.pump([0.05] * 21)
    assert told(session) == [*ok("a", True), *late("b", "void")]
    daemon.ledgerThread.release()
    daemon.settle()


# -- who knows more ------------------------------------------------------------------------------------


def subscribe(session: Session, after: int) -> None:
    session.send("Subscribe", "s", {"chanels": ["trade:event", "balance:event"], "from_seq": after})


@pytest.mark.parametrize("after", [5, 6, 7, 8, 9])
def test_subscribeBeyondTheHead(after: int) -> None:
    """Who was told more by another gateway goes on from there: what others wrote is read first; no gap, no repeat."""
    daemon, ledger = shared()
    ledger.byOthers(1000)
    ledger.byOthers(1000)
    session = daemon.connect(token())
    subscribe(session, after)
    daemon.settle()
    if after == 5:
        # It knew no more than was told here already.
        ledger.wake()
        daemon.settle()
    answer, *lines = session.lines()
    assert answer["status"] == 200
    assert [line["seq"] for line in lines if "seq" in line] == list(range(after + 1, 10))


def test_subscribeBeyondTheLog() -> None:
    """Who knows more than anybody has written is told to read anew, once that is certain."""
    daemon, ledger = shared()
    ledger.byOthers(1000)
    session = daemon.connect(token())
    subscribe(session, 8)
    daemon.settle()
    lines = session.lines()
    [answer] = [line for line in lines if "extID" in line]
    assert (answer["status"], answer["data"]["seq"]) == (410, 7)
    # It goes on as if it had not asked.
    assert seqsOf(lines) == [6, 7]
    ledger.byOthers(1000)
    ledger.wake()
    daemon.settle()
    assert seqs(session) == [8, 9]


@pytest.mark.parametrize("said", [True, False], ids=["known", "found out"])
def test_subscribeBeyondTheHeadWhileAway(said: bool) -> None:
    """While the log cannot be read nobody says that it lacks what a client knows: 503, and the client comes again."""
    daemon, ledger = shared()
    session = daemon.connect(token())
    ledger.goAway(said=said)
    subscribe(session, 8)
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [503]
    ledger.byOthers(1000)
    ledger.comeBack()
    daemon.clock.pump([0.1] * 20)
    # It goes on as if it had not asked.
    assert seqs(session) == [6, 7]


def test_subscribeBeyondTheHeadDuringACommit() -> None:
    """A commit that is under way may have read the log already: the next one counts."""
    daemon, ledger = shared()
    session = daemon.connect(token())
    daemon.ledgerThread.held = True
    daemon.runtime.wake()
    subscribe(session, 7)
    daemon.ledgerThread.step()
    daemon.settle()
    assert session.answers() == []
    ledger.byOthers(1000)
    daemon.ledgerThread.release()
    daemon.settle()
    assert [answer["status"] for answer in session.answers()] == [200]


def test_subscribeBeyondTheHeadOfOneThatHangs() -> None:
    """If the ledger does not answer in time, that is said, and not that the log lacks it."""
    daemon, _ = shared()
    session = daemon.connect(token())
    daemon.ledgerThread.held = True
    subscribe(session, 7)
    daemon.clock.pump([0.5] * 11)
    assert [(a["status"], a["data"]["reason"]) for a in session.answers()] == [(500, "RET_ERR_TIMEOUT")]
    daemon.ledgerThread.release()
    daemon.settle()
    assert session.answers() == []


def test_subscribeBeyondTheHeadOfOnesOwn() -> None:
    """Nobody else writes to a ledger of one's own: what its log lacks is said at once, whatever becomes of a commit."""
    daemon = Daemon()
    session = daemon.connect(token())
    daemon.ledgerThread.held = True
    daemon.runtime.wake()
    subscribe(session, 8)
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["seq"]) == (410, daemon.ledger.book.seq)
    daemon.ledgerThread.release()
    daemon.settle()


def test_subscribeBeyondTheHeadWhileItStops() -> None:
    """Who waits when the runtime stops is told so."""
    daemon, _ = shared()
    waiting: list[object] = []
    daemon.ledgerThread.held = True
    daemon.runtime.wake()
    daemon.runtime.catchUp().addErrback(lambda failure: waiting.append(failure.type))
    daemon.runtime.stop()
    daemon.runtime.catchUp().addErrback(lambda failure: waiting.append(failure.type))
    daemon.ledgerThread.release()
    daemon.settle()
    assert waiting == [ShuttingDown, ShuttingDown]


def test_wakeAfterTheEnd() -> None:
    """To be woken when it stops, or has stopped, does nothing."""
    daemon, ledger = shared()
    stopped: list[object] = []
    daemon.runtime.stop().addBoth(stopped.append)
    calls = ledger.calls
    ledger.wake()
    daemon.settle()
    assert (len(stopped), ledger.calls) == (1, calls)


def test_waker() -> None:
    """Of any number of calls from threads one is on its way at a time; one that comes while it is served is another."""
    calls: list[object] = []
    came: list[int] = []

    class Reactor:
        def callFromThread(self, f: object) -> None:
            calls.append(f)

    def wake() -> None:
        came.append(len(calls))
        if len(came) == 1:
            waker()

    waker = Waker(Reactor(), wake)  # type: ignore[arg-type]
    for _ in range(5):
        waker()
    assert len(calls) == 1
    calls[0]()  # type: ignore[operator]
    assert (len(came), len(calls)) == (1, 2)
    calls[1]()  # type: ignore[operator]
    assert (len(came), len(calls)) == (2, 2)
    waker()
    assert len(calls) == 3
