"""Lets old idempotency keys go, where that is configured: a little at a time, through the log like everything.

What is forgotten is an entry, so that every view and every audit of the log agrees on it. It cannot be taken back,
so a clock that has leapt is not believed: only one that has gone steadily for an hour is.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..finance.masks import EVERYTHING
from ..finance.requests import Cause, ForgetKeys
from ..interfaces import ILedger, ISubmission
from ..wire.errors import ManagerError
from .mainloop import TradingRuntime
from .orders import InThread

__all__ = ["STEP", "Forgetting"]

#: How many keys are forgotten at a time.
STEP = 5000

_PAUSE_S = 1.0
_REST_S = 3600.0
_DRIFT_S = 60.0
_CAUSE = Cause("scalemgr", EVERYTHING)


class Forgetting:
    """
    Looks once an hour whether there are keys to forget.

    @param clock: the time of day.
    @param steady: a clock that only goes forward.
    @param inReader: runs the ledger's questions.
    @param keepDays: how old a key must be, in days.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        steady: IReactorTime,
        ledger: ILedger,
        runtime: TradingRuntime,
        inReader: InThread,
        keepDays: int,
    ) -> None:
        self._clock = clock
        self._steady = steady
        self._ahead = clock.seconds() - steady.seconds()
        self._ledger = ledger
        self._runtime = runtime
        self._inReader = inReader
        self._keepMs = keepDays * 86_400_000
        self._submitted: ISubmission | None = None
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin. The runtime has begun."""
        self._timer = self._clock.callLater(_REST_S, self._look)

    def stop(self) -> None:
        """Forget no more."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _leapt(self) -> bool:
        """Has the clock been set since this was last asked?"""
        before, self._ahead = self._ahead, self._clock.seconds() - self._steady.seconds()
        if abs(self._ahead - before) <= _DRIFT_S:
            return False
        self._log.warn(
            "the clock has leapt by {seconds:.0f} s; no idempotency keys are forgotten for an hour",
            seconds=self._ahead - before,
        )
        return True

    def _look(self) -> Deferred[None] | None:
        if self._leapt():
            self._rest(_REST_S)
            return None
        beforeMs = int(self._clock.seconds() * 1000) - self._keepMs
        found = self._inReader(self._ledger.forgettable, beforeMs, STEP)
        return found.addCallback(self._forget).addErrback(self._cannot).addCallback(self._rest)

    def _forget(self, upTo: int) -> float:
        """Forget up to an entry; how long to rest then, in seconds."""
        underWay = self._submitted is not None and self._submitted.outcome is None
        if underWay:
            return _PAUSE_S
        if upTo <= self._ledger.book.forgotten:
            return _REST_S
        self._log.info("the idempotency keys of entries up to {seq} are forgotten, for their age", seq=upTo)
        self._submitted = self._runtime.submit(ForgetKeys(_CAUSE, upTo))
        return _PAUSE_S

    def _cannot(self, failure: Failure) -> float:
        if failure.check(ManagerError) is None:
            self._log.failure("old idempotency keys could not be looked for", failure)
        return _REST_S

    def _rest(self, seconds: float) -> None:
        if not self._stopped:
            self._timer = self._clock.callLater(seconds, self._look)
