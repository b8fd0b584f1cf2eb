"""The trading runtime: takes requests in, books them, and says so. In that order.

C{mainLoop} is a LoopingCall. Each turn takes what is queued, up to a bound, and hands it to the ledger,
which settles and commits it in a thread of its own; work that comes meanwhile gathers for the next turn.
An idle loop is woken by the first request. Only after the commit is anybody told: first each response,
then each event, in the order of the log.

C{mainLoop} never dies. If the ledger fails, its batch fails with an answer that says so, and the loop
backs off and lives on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..finance.records import Entry
from ..finance.settle import Outcome, Request
from ..interfaces import ILedger, ISubmission
from ..wire.errors import LedgerFailed, ManagerError, Overloaded, ShuttingDown
from .eventlog import EventLog
from .waiters import Waiters

__all__ = ["InThread", "Orders", "TradingRuntime"]

#: Calls something that blocks in some thread; a Deferred of its result.
InThread = Callable[..., "Deferred[Any]"]

_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)


@implementer(ISubmission)
class _Submission:
    """A request, until its batch is taken or it is withdrawn."""

    __slots__ = ("_queued", "outcome", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.outcome: Outcome | None = None
        self._queued = True

    def take(self) -> bool:
        """It goes into a batch; C{False} if it was withdrawn."""
        taken, self._queued = self._queued, False
        return taken

    # From the outside the same thing: whoever takes it first has it.
    withdraw = take


class Orders:
    """
    Order numbers, from blocks that were set aside durably. A second block is fetched before the first is used up.

    @param blockSize: how many numbers a block has; a crash skips at most two blocks.
    """

    _log = Logger()

    def __init__(self, ledger: ILedger, inLedger: InThread, blockSize: int) -> None:
        self._ledger = ledger
        self._inLedger = inLedger
        self._blockSize = blockSize
        self._next = self._end = 0
        self._spare: int | None = None
        self._fetching = False

    def give(self, first: int) -> None:
        """Here is a block that was set aside."""
        if self._next == self._end:
            self._next, self._end = first, first + self._blockSize
        else:
            self._spare = first

    def take(self) -> int:
        """
        A number that nobody else has or gets.

        @raise Overloaded: if none is at hand.
        """
        if self._next == self._end:
            if self._spare is None:
                self._fetch()
                raise Overloaded("no order numbers are at hand; nothing was done")
            self._next, self._end, self._spare = self._spare, self._spare + self._blockSize, None
        order = self._next
        self._next += 1
        if self._spare is None and self._end - self._next < self._blockSize // 2:
            self._fetch()
        return order

    def unused(self) -> int | None:
        """The first number from which on none was taken, if the blocks at hand are the last ones."""
        if self._spare is None:
            return self._next or None
        return self._next if self._end == self._spare else None

    def _fetch(self) -> None:
        if not self._fetching:
            self._fetching = True
            self._inLedger(self._ledger.reserveOrders, self._blockSize).addCallbacks(self._fetched, self._failed)

    def _fetched(self, first: int) -> None:
        self._fetching = False
        self.give(first)

    def _failed(self, failure: Failure) -> None:
        self._fetching = False
        if failure.check(LedgerFailed):
            self._log.critical("no order numbers could be reserved: {why}", why=failure.getErrorMessage())
        else:
            self._log.failure("no order numbers could be reserved", failure)


class TradingRuntime:
    """
    The finance backend.

    @param inLedger: runs the ledger's methods one at a time, in the order of the calls, in one thread.
    @param queueMax: how many requests may wait for their batch.
    @param batchMax: how many requests one commit takes.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        ledger: ILedger,
        inLedger: InThread,
        waiters: Waiters,
        events: EventLog,
        *,
        queueMax: int,
        batchMax: int,
        orderBlock: int,
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self._inLedger = inLedger
        self._waiters = waiters
        self._events = events
        self._queueMax = queueMax
        self._batchMax = batchMax
        self._queue: deque[_Submission] = deque()
        self._orders = Orders(ledger, inLedger, orderBlock)
        self.reserveOrder = self._orders.take
        self._loop = LoopingCall(self.mainLoop)
        self._loop.clock = clock
        self._idle: Deferred[None] | None = None
        self._failures = 0
        # What is being committed, and those who want to know when it is not any more.
        self._batch: list[_Submission] = []
        self._curious: list[Deferred[None]] = []
        # Did the last batch fail in a way that leaves open whether it was kept?
        self._unsure = False
        self._stopping = False
        self._stopped: Deferred[Any] = succeed(None)

    def start(self, firstOrder: int) -> None:
        """
        Begin. The ledger is open.

        @param firstOrder: the first of a block of orders that was reserved in it.
        """
        self._orders.give(firstOrder)
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

    def submit(self, request: Request) -> ISubmission:
        """
        Queue a request.

        @raise Overloaded: if the queue is full; nothing was done.
        @raise ShuttingDown: nothing was done.
        """
        if self._stopping:
            raise ShuttingDown
        if len(self._queue) >= self._queueMax:
            raise Overloaded(f"{len(self._queue)} requests are queued already; nothing was done")
        submission = _Submission(request)
        self._queue.append(submission)
        if self._idle is not None and len(self._queue) == 1:
            # Not at once: whoever submits goes on to say who waits for it.
            self._clock.callLater(0, self._wake)
        return submission

    def whenWritten(self, order: int) -> Deferred[None]:
        """Fires when this order is in no batch that is being committed: at once, for most."""
        if not any(getattr(s.request, "order", None) == order for s in self._batch):
            return succeed(None)
        curious: Deferred[None] = Deferred()
        self._curious.append(curious)
        return curious

    def _wake(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.callback(None)

    def mainLoop(self) -> Deferred[None]:
        """
        One turn: a batch from the queue to everyone's answer. Waits for work if there is none.

        A batch of nothing is work, too, if it is not known what became of the last one: the ledger finds out,
        and what was kept after all is broadcast.
        """
        if not self._queue and not self._stopping and not self._unsure:
            self._idle = Deferred()
            return self._idle.addCallback(lambda _: self._turn())
        return self._turn()

    def _turn(self) -> Deferred[None]:
        batch: list[_Submission] = []
        while self._queue and len(batch) < self._batchMax:
            submission = self._queue.popleft()
            if submission.take():
                batch.append(submission)
        if not batch and (self._stopping or not self._unsure):
            if self._stopping:
                self._loop.stop()
            return succeed(None)
        nowMs = int(self._clock.seconds() * 1000)
        self._batch = batch
        committed = maybeDeferred(self._inLedger, self._ledger.commit, [s.request for s in batch], nowMs)
        committed.addCallbacks(self._tell, self._tellFailed, callbackArgs=(batch,), errbackArgs=(batch,))
        return committed.addErrback(self._survive)

    def _written(self) -> None:
        self._batch = []
        curious, self._curious = self._curious, []
        for each in curious:
            each.callback(None)

    def _tell(self, outcomes: list[Outcome], batch: list[_Submission]) -> None:
        if self._failures:
            self._log.info("the ledger works again")
            self._failures = 0
        self._unsure = False
        self._written()
        entries = self._takeFound()
        for submission, outcome in zip(batch, outcomes, strict=True):
            submission.outcome = outcome
            if isinstance(outcome, Entry):
                entries.append(outcome)
                self._waiters.emitted(outcome, submission)
                continue
            if not isinstance(outcome, ManagerError):
                self._log.failure("a request could not be settled", Failure(outcome))
            self._waiters.refused(submission, outcome)
        self._events.publish(entries)

    def _tellFailed(self, failure: Failure, batch: list[_Submission]) -> Deferred[None] | None:
        if failure.check(LedgerFailed):
            # Nothing unforeseen: one line, not a traceback, and not again for each new try.
            if batch or not self._failures:
                self._log.critical("{count} requests failed: {why}", count=len(batch), why=failure.getErrorMessage())
            error = failure.value
        else:
            self._log.failure("{count} requests failed", failure, count=len(batch))
            error = LedgerFailed("the ledger failed in its commit", outcome="pending")
        assert isinstance(error, ManagerError)
        self._unsure = self._unsure or error.details.get("outcome") != "void"
        found = self._takeFound()
        if found:
            self._events.publish(found)
        self._written()
        for submission in batch:
            submission.outcome = _about(error, submission.request)
            self._waiters.refused(submission, submission.outcome)
        pause = _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]
        self._failures += 1
        return None if self._stopping else deferLater(self._clock, pause)

    def _takeFound(self) -> list[Entry]:
        """What was kept after all. Who asked for it has been told that nobody knew; others may wait for it still."""
        found = self._ledger.takeFound()
        for entry in found:
            self._waiters.emitted(entry, None)
        return found

    def _survive(self, failure: Failure) -> None:
        # A LoopingCall whose function fails stops for ever.
        self._log.failure("mainLoop failed", failure)


def _about(error: ManagerError, request: Request) -> ManagerError:
    """The same failure, with the order to ask for later, where there is one."""
    order = getattr(request, "order", 0)
    if not order:
        return error
    return LedgerFailed(error.message, error.code, kind="trade", order=order, **error.details)
