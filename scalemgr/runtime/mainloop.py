"""The trading runtime: takes requests in, books them, and says so. In that order.

C{mainLoop} is a LoopingCall. Each turn takes what is queued, up to a bound, and hands it to the ledger,
which settles and commits it in a thread of its own; work that comes meanwhile gathers for the next turn.
An idle loop is woken by the first request. Only after the commit is anybody told: first each response,
then each event, in the order of the log.

C{mainLoop} never dies. If the ledger fails, its batch fails with an answer that says so, and the loop
backs off and lives on; while there is nothing to do it tries whether the ledger works again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..finance.records import Entry
from ..finance.requests import Request
from ..finance.settle import Outcome, Replay
from ..interfaces import ILedger, ISubmission
from ..wire.errors import LedgerFailed, ManagerError, Overloaded, ShuttingDown
from .eventlog import EventLog
from .lookups import Lookups
from .measures import Commits
from .orders import InThread, Orders
from .replays import Replays
from .underway import UnderWay, Work
from .waiters import Waiters

__all__ = ["TradingRuntime"]

_Result = TypeVar("_Result")

# A commit that takes longer is worth a line, in seconds.
_SLOW_S = 2.0
_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)


class TradingRuntime:
    """
    The finance backend.

    @param inLedger: runs the ledger's methods one at a time, in the order of the calls, in one thread.
    @param inReader: runs its questions.
    @param queueMax: how many requests may wait for their batch.
    @param batchMax: how many requests one commit takes.
    @param gathering: entered while a batch is told, so that what each session is told can leave at once.
    @param steady: the time of a clock that is never set, in seconds; C{None}: the clock's.
    @ivar queueMax: may be changed at any time; so may C{batchMax}.
    @ivar turns: how often C{mainLoop} has been called.
    @ivar commits: what has become of them.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        ledger: ILedger,
        inLedger: InThread,
        inReader: InThread,
        waiters: Waiters,
        events: EventLog,
        *,
        queueMax: int,
        batchMax: int,
        orderBlock: int,
        gathering: AbstractContextManager[None] | None = None,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.commits = Commits(clock, clock.seconds if steady is None else steady)
        self._gathering = nullcontext() if gathering is None else gathering
        self._clock = clock
        self._ledger = ledger
        self._inLedger = inLedger
        self._waiters = waiters
        self._events = events
        self.queueMax = queueMax
        self.batchMax = batchMax
        self._queue: deque[Work] = deque()
        self.replays = Replays(clock)
        self._underWay = UnderWay(Lookups(clock, ledger, inReader), self.replays.count)
        self.asked = self._underWay.asked
        self.whenWritten = self._underWay.written
        self._orders = Orders(ledger, inLedger, orderBlock)
        self.reserveOrder = self._orders.take
        self._loop = LoopingCall(self.mainLoop)
        self._loop.clock = clock
        self._idle: Deferred[None] | None = None
        self._failures = 0
        # What is being committed.
        self._batch: list[Work] = []
        self.turns = 0
        self._stopping = False
        self._stopped: Deferred[Any] = succeed(None)

    def start(self, firstOrder: int) -> None:
        """
        Begin. The ledger is open.

        @param firstOrder: the first of a block of orders that was reserved in it.
        """
        self._orders.give(firstOrder)
        # What was committed before anybody was there to be told, by a demo for instance.
        self._ledger.takeCommitted()
        self._events.head = self._ledger.book.seq
        # Interval 0: the next turn begins as soon as the reactor has looked at the sockets again.
        self._stopped = self._loop.start(0)

    def stop(self) -> Deferred[int | None]:
        """
        Take no more requests, and finish those that were taken.

        @return: a Deferred of the first order that nobody got, for L{ILedger.close}.
        """
        self._stopping = True
        self._wake()
        return self._stopped.addCallback(lambda _: self._orders.unused())

    @property
    def queued(self) -> int:
        """How many requests wait for their commit to begin."""
        return len(self._queue)

    @property
    def running(self) -> bool:
        """Does C{mainLoop} turn, or wait for work?"""
        return self._loop.running

    def submit(self, request: Request) -> ISubmission:
        """
        Queue a request, or join it if it is under way already.

        @raise Overloaded: if the queue is full, or too much is under way with its key; nothing was done.
        @raise ShuttingDown: nothing was done.
        """
        name = request.cause.name
        joined = self._underWay.join(request, name)
        if joined is not None:
            return joined
        if self._stopping:
            raise ShuttingDown
        if len(self._queue) >= self.queueMax:
            raise Overloaded(f"{len(self._queue)} requests are queued already; nothing was done")
        work, submission = self._underWay.enter(request, name)
        self._queue.append(work)
        if self._idle is not None and len(self._queue) == 1:
            # Not at once: whoever submits goes on to say who waits for it.
            self._clock.callLater(0, self._wake)
        return submission

    def nudge(self) -> None:
        """Let C{mainLoop} turn, though there may be nothing to do: so one sees that it does."""
        self._wake()

    def _wake(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.callback(None)

    @property
    def isCommitting(self) -> bool:
        """Does it wait for the ledger?"""
        return self.commits.isUnderWay

    def mainLoop(self) -> Deferred[None]:
        """
        One turn: a batch from the queue to everyone's answer. Waits for work if there is none.

        A batch of nothing is work, too, if the last one failed: the ledger finds out whether it can be written again,
        and what became of that one; what was kept after all is broadcast.
        """
        self.turns += 1
        if not self._queue and not self._stopping and not self._failures:
            self._idle = Deferred()
            return self._idle.addCallback(lambda _: self._turn())
        return self._turn()

    def _turn(self) -> Deferred[None]:
        batch: list[Work] = []
        while self._queue and len(batch) < self.batchMax:
            work = self._queue.popleft()
            if work.take():
                batch.append(work)
        if not batch and (self._stopping or not self._failures):
            if self._stopping:
                self._loop.stop()
            return succeed(None)
        nowMs = int(self._clock.seconds() * 1000)
        self._batch = batch
        self.commits.begin(len(batch))
        committed = maybeDeferred(self._inLedger, self._ledger.commit, [work.request for work in batch], nowMs)
        committed.addBoth(_Watch(self._clock, self._slow).end)
        committed.addCallbacks(self._tell, self._tellFailed, callbackArgs=(batch,), errbackArgs=(batch,))
        return committed.addErrback(self._survive)

    def _slow(self, seconds: float) -> None:
        self._log.warn(
            "the ledger has been at a commit of {count} for {seconds:g} s, and {waiting} more wait; is its disk stuck, "
            "or does somebody else hold its file?",
            count=len(self._batch),
            seconds=seconds,
            waiting=len(self._queue),
        )

    def _tell(self, outcomes: list[Outcome], batch: list[Work]) -> None:
        if self._failures:
            self._log.info("the ledger works again")
            self._failures = 0
        self.commits.succeeded(len(batch))
        entries = self._takeCommitted()
        self._underWay.known()
        self._batch = []
        with self._gathering:
            for work, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Entry):
                    work.settle(outcome, replay=False)
                    self._answer(work)
                elif isinstance(outcome, Replay):
                    work.settle(outcome.entry, replay=True)
                    self._answer(work)
                else:
                    if not isinstance(outcome, ManagerError):
                        self._log.failure("a request could not be settled", Failure(outcome))
                    self._refuse(work, outcome)
            self._waiters.emitted(*entries)
            self._events.publish(entries)

    def _tellFailed(self, failure: Failure, batch: list[Work]) -> Deferred[None] | None:
        self.commits.failed(failure.getErrorMessage())
        if failure.check(LedgerFailed):
            # Nothing unforeseen: one line, not a traceback, and not again for each new try.
            if batch or not self._failures:
                self._log.critical("a batch of {count} failed: {why}", count=len(batch), why=failure.getErrorMessage())
            error = failure.value
        else:
            self._log.failure("a batch of {count} failed", failure, count=len(batch))
            error = LedgerFailed("the ledger failed in its commit", outcome="pending")
        assert isinstance(error, LedgerFailed)
        found = self._takeCommitted()
        if found:
            # It did find out what became of the last one.
            self._underWay.known()
        if error.details.get("outcome") != "void":
            self._underWay.doubt(batch)
        self._waiters.emitted(*found)
        self._events.publish(found)
        self._batch = []
        for work in batch:
            self._refuse(work, error)
        pause = _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]
        self._failures += 1
        return None if self._stopping else deferLater(self._clock, pause)

    def _refuse(self, work: Work, error: Exception) -> None:
        """Nothing was kept of it. That nothing ever was, is only said when it is certain."""
        if not isinstance(error, LedgerFailed):
            work.fail(error)
            self._answer(work)
            return
        if error.details.get("outcome") != "void":
            work.fail(_about(error, work, "pending"))
            self._answer(work)
            return

        def certain(outcome: str | None) -> None:
            if outcome is not None:
                work.fail(_about(error, work, outcome))
            self._answer(work)

        work.certainty().addCallback(certain).addErrback(self._survive)

    def _answer(self, work: Work) -> None:
        # To answer one may make another go away. And nobody asks for what is done: else the two would hold each other
        # until the collector finds them.
        askers = tuple(work.askers)
        work.askers.clear()
        for asker in askers:
            self._waiters.settled(asker)

    def _takeCommitted(self) -> list[Entry]:
        """
        What is in the log now. Some of it may have been kept after all: who asked for it has been told that nobody
        knew; others may wait for it still.
        """
        entries = self._ledger.takeCommitted()
        self._underWay.found(entries)
        return entries

    def _survive(self, failure: Failure) -> None:
        # A LoopingCall whose function fails stops for ever.
        self._log.failure("mainLoop failed", failure)


class _Watch:
    """Says so when something takes long: after a while, and again each time it has taken twice as long."""

    def __init__(self, clock: IReactorTime, say: Callable[[float], None]) -> None:
        self._clock = clock
        self._say = say
        self._timer = clock.callLater(_SLOW_S, self._late, _SLOW_S)

    def _late(self, seconds: float) -> None:
        self._say(seconds)
        self._timer = self._clock.callLater(seconds, self._late, 2 * seconds)

    def end(self, result: _Result) -> _Result:
        """It is over."""
        self._timer.cancel()
        return result


def _about(error: LedgerFailed, work: Work, outcome: str) -> LedgerFailed:
    """The same failure, with what can be said of this work, and the order to ask for later, where there is one."""
    details: dict[str, Any] = {"kind": "trade", "order": work.order} if work.order else {}
    return LedgerFailed(error.message, error.code, **{**details, **error.details, "outcome": outcome})
