"""The trading runtime: takes requests in, books them, and says so. In that order.

C{mainLoop} is a LoopingCall. Each turn takes what is queued, up to a bound, and hands it to the ledger,
which settles and commits it in a thread of its own; work that comes meanwhile gathers for the next turn.
An idle loop is woken by the first request. Only after the commit is anybody told: first each response,
then each event, in the order of the log.

Others may write the log, too: then the ledger wakes the loop, which has a turn with a batch of nothing, and tells what
they wrote, in the order of the log.

C{mainLoop} never dies. If the ledger fails, its batch fails with an answer that says so, and the loop
backs off and lives on; while there is nothing to do it tries whether the ledger works again.

While the ledger is away, nothing new is taken. What is queued stays there, with what was in a batch of which nothing
came, until it can be booked, or its time is up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..finance.records import Entry
from ..finance.requests import Request
from ..finance.settle import Outcome
from ..interfaces import ILedger, ISubmission
from ..wire.codes import RetCode
from ..wire.errors import LedgerFailed, NoService, Overloaded, ShuttingDown
from .catching import CatchingUp
from .eventlog import EventLog
from .lookups import Lookups
from .measures import Commits
from .orders import InThread, Orders
from .queued import Queued
from .replays import Replays
from .slow import Watch
from .telling import Telling
from .underway import UnderWay, Work
from .waiters import Waiters

__all__ = ["TradingRuntime"]

_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)


_RENOUNCED = "another gateway has told that this was not booked, and never will be; nothing was done"


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
        steady = clock.seconds if steady is None else steady
        self.commits = Commits(clock, steady)
        self._telling = Telling(waiters, events, nullcontext() if gathering is None else gathering)
        self._clock = clock
        self._ledger = ledger
        self._inLedger = inLedger
        self._events = events
        self.queueMax = queueMax
        self.batchMax = batchMax
        self._queue = Queued(steady)
        self.replays = Replays(clock)
        self._underWay = UnderWay(Lookups(clock, ledger, inReader), self.replays.count)
        self.asked = self._underWay.asked
        self.whenWritten = self._underWay.written
        self._orders = Orders(ledger, inLedger, orderBlock)
        self.reserveOrder = self._orders.take
        self._loop = LoopingCall(self.mainLoop)
        self._loop.clock = clock
        self._idle: Deferred[None] | None = None
        # What it waits for after a failure, if it is the ledger that is away.
        self._resting: Deferred[None] | None = None
        self._failures = 0
        # Was the ledger away when it was last tried? And has it called since?
        self._isAway = self._woken = False
        self._catchingUp = CatchingUp()
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

        @raise NoService: if the ledger is away; nothing was done.
        @raise Overloaded: if the queue is full, or too much is under way with its key; nothing was done.
        @raise ShuttingDown: nothing was done.
        """
        name = request.cause.name
        joined = self._underWay.join(request, name)
        if joined is not None:
            return joined
        if self._stopping:
            raise ShuttingDown
        if self._ledger.away:
            raise NoService
        if len(self._queue) >= self.queueMax:
            raise Overloaded(f"{len(self._queue)} requests are queued already; nothing was done")
        work, submission = self._underWay.enter(request, name)
        self._queue.put(work)
        if self._idle is not None and len(self._queue) == 1:
            # Not at once: whoever submits goes on to say who waits for it.
            self._clock.callLater(0, self._wake)
        return submission

    def catchUp(self) -> Deferred[None]:
        """
        Tell all that is in the log by now, whoever wrote it.

        @return: a Deferred that fires when that is told, and fails with L{ManagerError} if it cannot be read now.
        """
        if self._stopping or self._ledger.away:
            return fail(ShuttingDown() if self._stopping else NoService())
        if not self._ledger.isShared:
            return succeed(None)
        told = self._catchingUp.ask()
        self.wake()
        return told

    def nudge(self) -> None:
        """Let C{mainLoop} turn, though there may be nothing to do: so one sees that it does."""
        self._wake()

    def wake(self) -> None:
        """
        The ledger calls: others may have written, or it is away, or there again. C{mainLoop} has a turn for that, now,
        or after the one that is under way. (To be called in the reactor's thread.)
        """
        self._woken = True
        if self._resting is not None and not self._ledger.away:
            self._resting.callback(None)
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

        A batch of nothing is work, too: if the ledger has called, for what others wrote; and if the last one failed, or
        the ledger is away: it finds out whether it can be written again, and what became of that one; what was kept
        after all is broadcast.
        """
        self.turns += 1
        if not (self._queue or self._stopping or self._failures or self._woken):
            self._idle = Deferred()
            return self._idle.addCallback(lambda _: self._turn())
        return self._turn()

    def _turn(self) -> Deferred[None]:
        batch: list[Work] = []
        if not self._ledger.away or self._stopping:
            batch = self._queue.take(self.batchMax)
        else:
            # What stays in the queue can be taken back.
            self._queue.sift()
        woken, self._woken = self._woken, False
        if not batch and (self._stopping or not (self._queue or self._failures or woken)):
            if self._stopping:
                self._loop.stop()
                self._catchingUp.begin()
                self._catchingUp.end(ShuttingDown())
            return succeed(None)
        self._catchingUp.begin()
        nowMs = int(self._clock.seconds() * 1000)
        self._batch = batch
        self.commits.begin(len(batch))
        requests = [work.request for work in batch]
        committed = maybeDeferred(self._inLedger, self._ledger.commit, requests, nowMs, self._queue.over(batch))
        committed.addBoth(Watch(self._clock, self._slow).end)
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

    def _tell(self, outcomes: list[Outcome], batch: list[Work]) -> Deferred[None] | None:
        if self._failures:
            self._log.info("the ledger works again")
            self._failures = 0
            self._isAway = False
            self._orders.refill()
        self.commits.succeeded(len(batch))
        entries = self._takeCommitted()
        self._underWay.known()
        self._batch = []
        self._telling.settled(batch, outcomes, entries)
        self._letGo()
        self._catchingUp.end()
        # It cannot be taken at its word then, and is not to be asked without end.
        return self._rest(_BACKOFF_S[-1]) if self._ledger.away and not self._stopping else None

    def _tellFailed(self, failure: Failure, batch: list[Work]) -> Deferred[None] | None:
        self.commits.failed(failure.getErrorMessage())
        error = failure.value
        if not isinstance(error, LedgerFailed):
            self._log.failure("a batch of {count} failed", failure, count=len(batch))
            error = LedgerFailed("the ledger failed in its commit", outcome="pending")
        isVoid = error.details.get("outcome") == "void"
        refused = batch
        if self._ledger.away and isVoid:
            # What can wait does; if nothing can, nor would anything become of the rest, and that may take long.
            refused = [] if not self._stopping else [*batch, *self._queue.take(len(self._queue))]
        if error is failure.value:
            self._sayFailed(len(refused), error.message)
        found = self._takeCommitted()
        if found:
            # It did find out what became of the last one.
            self._underWay.known()
        if not isVoid:
            self._underWay.doubt(batch)
        self._telling.emitted(found)
        self._batch = []
        if not refused:
            self._queue.putBack(batch)
        self._letGo()
        for work in refused:
            self._telling.refuse(work, error)
        self._catchingUp.end(NoService() if self._ledger.away else error)
        pause = _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]
        self._failures += 1
        return None if self._stopping else self._rest(pause)

    def _letGo(self) -> None:
        """Another gateway has told that there is nothing of these, and never will be."""
        for work in self._queue.named(self._ledger.takeRenounced()):
            self._telling.refuse(work, LedgerFailed(_RENOUNCED, RetCode.RET_ERR_CANCEL, outcome="void"))

    def _sayFailed(self, count: int, why: str) -> None:
        """Nothing unforeseen: one line, not a traceback, and not again for each new try."""
        away, before = self._ledger.away, self._isAway
        self._isAway = bool(away)
        if away and not before:
            self._log.critical("the ledger cannot be reached: {why}; nothing new is taken until it can be", why=away)
        if count or not (self._failures or away):
            self._log.critical("a batch of {count} failed: {why}", count=count, why=why)

    def _rest(self, seconds: float) -> Deferred[None]:
        """A break; if the ledger is away, until it says that it is there again."""
        rest: Deferred[None] = Deferred()
        timer = self._clock.callLater(seconds, rest.callback, None)
        self._resting = rest if self._ledger.away else None

        def end(_: None) -> None:
            self._resting = None
            if timer.active():
                timer.cancel()

        return rest.addCallback(end)

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
