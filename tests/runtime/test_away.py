"""While the ledger cannot be reached: nothing new is taken, nothing that was is lost, nobody is told what is not."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import capturedLogs, eventAsText

from scalemgr.runtime.orders import Orders
from scalemgr.wire.errors import LedgerFailed, NoService, Overloaded

from ..helpers import Daemon, Session, Threads, inShort, ofDeposits
from .house import both, late, ok, told
from .shared import GONE, SharedLedger, shared


def queued(session: Session, daemon: Daemon, *extIDs: str, **data: Any) -> None:
    """Deposits that wait behind a commit."""
    for extID in extIDs:
        session.deposit(extID, **data)
    daemon.settle()


def wait(daemon: Daemon, seconds: float) -> None:
    daemon.clock.pump([0.05] * round(seconds / 0.05))


def cutOff(daemon: Daemon, ledger: SharedLedger, session: Session, *extIDs: str, **data: Any) -> None:
    """The ledger goes away in the middle of a batch of these, before its end."""
    daemon.ledgerThread.held = True
    queued(session, daemon, *extIDs, **data)
    ledger.gone = True
    daemon.ledgerThread.release()
    daemon.settle()


# -- what is new --------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("said", [True, False], ids=["it calls", "it is found out"])
def test_newIsRefused(command: str, said: bool) -> None:
    """What is new is answered with 503 at once, and nothing is done for it; when it is there again all is as before."""
    daemon, ledger = shared()
    session = daemon.staff()
    if said:
        ledger.goAway()
    else:
        cutOff(daemon, ledger, session, "x", timeout_ms=100)
        wait(daemon, 0.2)
        session.lines()
    before = daemon.kept()
    session.deposit("a", command=command)
    [answer] = session.answers()
    assert (answer["extID"], answer["status"]) == ("a", 503)
    data = answer["data"]
    assert (data["error"], data["reason"]) == ("RET_ERR_NOSERVICE", "RET_ERR_NOSERVICE")
    assert "outcome" not in data
    assert GONE not in data["message"]
    wait(daemon, 5)
    assert (daemon.kept(), session.lines()) == (before, [])
    ledger.comeBack()
    daemon.settle()
    session.deposit("a", command=command)
    daemon.settle()
    assert told(session) == ok("a")
    assert daemon.balance() == 1000


@both
def test_joinsWhatIsUnderWay(command: str) -> None:
    """A repeat of what is queued joins it, though the ledger is away, and gets its outcome."""
    daemon, ledger = shared()
    one, two = daemon.staff(), daemon.staff()
    cutOff(daemon, ledger, one, "a", command=command)
    two.deposit("a", command=command)
    two.deposit("b", command=command)
    daemon.settle()
    assert [(a["extID"], a["status"]) for a in two.answers()] == [("b", 503)]
    ledger.comeBack()
    daemon.settle()
    assert (told(one), told(two)) == (ok("a"), ok("a", True))
    assert daemon.balance() == 1000


def test_sessionsStay() -> None:
    """Sessions are not closed, and what needs no ledger is answered."""
    daemon, ledger = shared()
    session = daemon.staff()
    ledger.goAway()
    wait(daemon, 10)
    session.send("Ping", "p")
    assert [answer["status"] for answer in session.answers()] == [200]
    assert not session.transport.disconnecting
    ledger.comeBack()
    daemon.settle()


# -- what was taken -----------------------------------------------------------------------------------


def test_batchGoesBack() -> None:
    """A batch of which nothing came is first again, in its order, before what came meanwhile; each is booked once."""
    daemon, ledger = shared(batchMax=3)
    session, listening = daemon.staff(), daemon.staff()
    daemon.ledgerThread.held = True
    queued(session, daemon, *"abcde")
    ledger.gone = True
    daemon.ledgerThread.release()
    daemon.settle()
    assert session.lines() == []
    assert daemon.runtime.queued == 5
    ledger.comeBack(said=False)
    wait(daemon, 2)
    # The first three were a batch, whose answers come before its events; then the others.
    first, last = ofDeposits(6, 3), ofDeposits(12, 2, 30)
    assert inShort(session.lines()) == [*"abc", *first, *"de", *last]
    assert inShort(listening.lines()) == [*first, *last]
    assert daemon.balance() == 5000


def test_awayAgain() -> None:
    """A batch that goes back more than once is still booked once."""
    daemon, ledger = shared()
    session = daemon.staff()
    cutOff(daemon, ledger, session, "a", "b", timeout_ms=20_000)
    for _ in range(3):
        ledger.away = ""
        # It is not back at all: what is queued is a batch again, and nothing comes of that.
        wait(daemon, 1.1)
        assert (daemon.runtime.queued, session.lines()) == (2, [])
    ledger.comeBack()
    daemon.settle()
    assert inShort(session.lines()) == ["a", "b", *ofDeposits(6, 2)]


@both
@pytest.mark.parametrize("timeout_ms", [1000, None], ids=["its own", "the configured one"])
def test_timeOutWhileAway(command: str, timeout_ms: int | None) -> None:
    """Who waits is told at its time, pending as long as its name cannot be looked up; it is never booked then."""
    daemon, ledger = shared()
    session = daemon.staff()
    more = {} if timeout_ms is None else {"timeout_ms": timeout_ms}
    cutOff(daemon, ledger, session, "a", command=command, **more)
    wait(daemon, (timeout_ms or 5000) / 1000 - 0.1)
    assert session.lines() == []
    wait(daemon, 0.2)
    assert told(session) == late("a", "pending")
    wait(daemon, 1.1)
    # It makes room already while the ledger is away.
    assert daemon.runtime.queued == 0
    ledger.comeBack()
    wait(daemon, 2)
    assert (daemon.balance(), session.lines()) == (0, [])


def test_voidWhileAway() -> None:
    """If it can be looked up by then, or has no name, it is void."""
    daemon, ledger = shared()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("a", timeout_ms=1000)
    session.send("BalanceInSync", None, {"login": 1001, "amount": 10.0, "timeout_ms": 1000})
    daemon.settle()
    ledger.gone = True
    daemon.ledgerThread.release()
    daemon.settle()
    daemon.ledgerThread.held = True
    # There again, for those who read.
    ledger.gone = False
    wait(daemon, 1.1)
    assert [(a["extID"], a["data"]["outcome"]) for a in session.answers()] == [("a", "void"), (None, "void")]
    daemon.ledgerThread.release()
    wait(daemon, 2)
    assert (daemon.balance(), session.lines()) == (0, [])


def test_lostSessionWhileAway() -> None:
    """What a session that is gone had asked for is booked if the ledger is back in its time, and never if it is not."""
    for seconds, balance in [(0.4, 1000), (0.7, 0)]:
        daemon, ledger = shared()
        one = daemon.staff()
        cutOff(daemon, ledger, one, "a", timeout_ms=500)
        one.lose()
        wait(daemon, seconds)
        ledger.comeBack()
        wait(daemon, 2)
        assert (daemon.balance(), daemon.runtime.queued) == (balance, 0)
        other = daemon.staff()
        other.deposit("a")
        daemon.settle()
        assert told(other) == ok("a", replayed=bool(balance))
        assert daemon.balance() == 1000


def test_lostDuringItsBatch() -> None:
    """What was told pending while it was in a batch, of which nothing came, is dropped: nobody asks, and its time is
    up."""
    daemon, ledger = shared()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    queued(session, daemon, "a", timeout_ms=500)
    wait(daemon, 0.6)
    assert told(session) == late("a", "pending")
    ledger.gone = True
    daemon.ledgerThread.release()
    daemon.settle()
    ledger.comeBack()
    wait(daemon, 2)
    assert (daemon.balance(), daemon.runtime.queued) == (0, 0)


def test_pendingDoesNotGoBack() -> None:
    """A batch that may have been kept is not tried again, away or not: its requests are told pending, with 500."""
    daemon, ledger = shared()
    session = daemon.staff()

    def append(entries: object) -> None:
        delattr(ledger, "_append")
        ledger.gone, ledger.away = True, GONE
        raise LedgerFailed("cut off in its COMMIT", outcome="pending")

    setattr(ledger, "_append", append)
    session.deposit("a")
    daemon.settle()
    assert [(a["status"], a["data"]["outcome"]) for a in session.answers()] == [(500, "pending")]
    ledger.comeBack()
    wait(daemon, 2)
    assert (daemon.balance(), daemon.runtime.queued) == (0, 0)


# -- how it is tried ----------------------------------------------------------------------------------


@pytest.mark.parametrize("queue", [0, 3])
def test_probes(queue: int) -> None:
    """While it is away it is asked for nothing but whether it is there, less and less often, at least once a second."""
    daemon, ledger = shared()
    session = daemon.staff()
    ledger.clock = daemon.clock
    if queue:
        cutOff(daemon, ledger, session, *map(str, range(queue)), timeout_ms=25_000)
    else:
        ledger.goAway()
        daemon.settle()
    ledger.batches, ledger.times = [], []
    wait(daemon, 10)
    assert ledger.batches == [[]] * len(ledger.batches)
    pauses = [after - before for before, after in zip(ledger.times, ledger.times[1:], strict=False)]
    assert 10 <= len(ledger.times) <= 14
    assert max(pauses) <= 1.06
    ledger.comeBack(said=False)
    wait(daemon, 1.1)
    assert daemon.balance() == 1000 * queue
    daemon.settle()
    # Then it idles again.
    assert daemon.runtime.queued == 0
    calls = ledger.calls
    wait(daemon, 3)
    assert ledger.calls == calls


def test_wakeWhileAway() -> None:
    """To be woken while it is away does not make it try more often; when it is back it tries at once."""
    daemon, ledger = shared()
    session = daemon.staff()
    cutOff(daemon, ledger, session, "a", timeout_ms=25_000)
    wait(daemon, 5)
    calls = ledger.calls
    for _ in range(40):
        ledger.wake()
        daemon.settle()
        wait(daemon, 0.05)
    assert ledger.calls - calls <= 3
    ledger.comeBack()
    daemon.settle()
    assert told(session) == ok("a")


def test_awayByItsWordOnly() -> None:
    """A ledger that says that it is away, but works, is neither asked without end nor given work."""
    daemon, ledger = shared()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    queued(session, daemon, "x")
    queued(session, daemon, "a", timeout_ms=25_000)
    setattr(ledger, "_check", lambda: None)
    ledger.away = "so it says"
    daemon.ledgerThread.release()
    calls = ledger.calls
    wait(daemon, 5)
    assert ledger.calls - calls <= 8
    assert told(session) == ok("x")
    ledger.away = ""
    ledger.wake()
    daemon.settle()
    assert told(session) == ok("a")


def test_lines() -> None:
    """That it is away and that it is back is a line each, whatever is asked meanwhile; also the next time."""
    daemon, ledger = shared()
    session = daemon.staff()
    with capturedLogs() as logged:
        for _ in range(2):
            ledger.goAway()
            for extID in "abc":
                session.deposit(extID)
                wait(daemon, 3)
            ledger.comeBack()
            wait(daemon, 3)
    lines = [(e["log_level"].name, eventAsText(e, includeSystem=False, includeTimestamp=False)) for e in logged]
    gone = ("critical", f"the ledger cannot be reached: {GONE}; nothing new is taken until it can be")
    assert lines == [gone, ("info", "the ledger works again")] * 2


# -- stopping -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 7])
def test_stopWhileAway(count: int) -> None:
    """Told to stop while it is away, it tries once more, tells all that is queued, and is done within a second."""
    daemon, ledger = shared(batchMax=2)
    session = daemon.staff()
    extIDs = [str(n) for n in range(count)]
    cutOff(daemon, ledger, session, *extIDs, timeout_ms=25_000)
    if not count:
        ledger.goAway()
    wait(daemon, 5)
    calls = ledger.calls
    stopped: list[Any] = []
    daemon.runtime.stop().addBoth(stopped.append)
    wait(daemon, 1.1)
    assert len(stopped) == 1
    assert ledger.calls - calls <= 2
    answers = session.answers()
    assert [(a["extID"], a["status"], a["data"]["outcome"]) for a in answers] == [(x, 500, "pending") for x in extIDs]
    assert daemon.clock.getDelayedCalls() == []


def test_stopWhenItIsBack() -> None:
    """Told to stop, it books what is queued if the ledger is back by then."""
    daemon, ledger = shared()
    session = daemon.staff()
    cutOff(daemon, ledger, session, "a", timeout_ms=25_000)
    stopped: list[Any] = []
    ledger.gone = False
    daemon.runtime.stop().addBoth(stopped.append)
    wait(daemon, 1.1)
    assert (told(session), len(stopped)) == (ok("a"), 1)


# -- orders -------------------------------------------------------------------------------------------


def test_ordersWhileAway() -> None:
    """With no number at hand, and no block to be had, it is no service rather than too much; nor is one asked for."""
    ledger, thread = SharedLedger(), Threads()
    made = Orders(ledger, thread, 2)
    made.give(ledger.reserveOrders(2))
    ledger.goAway()
    thread.held = True
    assert [made.take(), made.take()] == [1, 2]
    for _ in range(3):
        with pytest.raises(NoService):
            made.take()
    assert thread.waiting() == 0
    ledger.comeBack()
    with pytest.raises(Overloaded):
        made.take()
    thread.release()
    assert made.take() == 3


def test_ordersAfterwards() -> None:
    """When it is back, a block is fetched before anybody needs it: the first request has a number."""
    daemon, ledger = shared(orderBlock=4)
    session = daemon.staff()
    ledger.goAway()
    daemon.settle()
    for n in range(9):
        session.deposit(str(n))
    assert [answer["status"] for answer in session.answers()] == [503] * 9
    ledger.comeBack()
    daemon.settle()
    session.deposit("a")
    daemon.settle()
    assert told(session) == ok("a")
