"""How the ledger's disk is: looked at now and then, in a thread, for a disk that hangs must not hang the reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..interfaces import ILedger, Storage
from ..runtime.orders import InThread

__all__ = ["EVERY_S", "Disk"]

#: How often it is looked at, in seconds.
EVERY_S = 5.0


class Disk:
    """
    What was seen of it last.

    @param clock: tells the time of day.
    @param timer: what it waits by; its C{seconds} are of a clock that is never set.
    @param inHelper: runs what blocks.
    @ivar storage: what was seen.
    @ivar looked: when that was, in unix seconds; 0: never.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, timer: IReactorTime, ledger: ILedger, inHelper: InThread) -> None:
        self._clock = clock
        self._timer = timer
        self._ledger = ledger
        self._inHelper = inHelper
        self._loop = LoopingCall(self._look)
        self._loop.clock = timer
        self._since = 0.0
        self.storage = Storage()
        self.looked = 0.0

    def start(self) -> None:
        """Begin: the ledger is open."""
        self._since = self._timer.seconds()
        # The next look waits for this one, so a disk that hangs has one thread and no more.
        self._loop.start(EVERY_S).addErrback(lambda f: self._log.failure("the disk is not looked at any more", f))

    def stop(self) -> None:
        """No more."""
        if self._loop.running:
            self._loop.stop()

    @property
    def age(self) -> float:
        """How old what was seen is, in seconds: since the start, if nothing was."""
        return self._timer.seconds() - self._since

    def _look(self) -> Any:
        return self._inHelper(self._ledger.storage).addCallbacks(self._saw, self._sawNot)

    def _saw(self, storage: Storage) -> None:
        self._since = self._timer.seconds()
        self.storage, self.looked = storage, self._clock.seconds()

    def _sawNot(self, failure: Failure) -> None:
        # Its age tells.
        self._log.warn("the ledger's disk cannot be looked at: {why}", why=failure.getErrorMessage())
