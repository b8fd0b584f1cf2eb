"""What somebody missed, page by page, until they are where the log is.

A page is read only when the one before has left for the peer, so a replay costs one page of memory however
much there is to replay. Within a page of the end, what happens meanwhile is held back, so that the last page
meets the live events without a gap and without a repeat, however fast the log grows. So does it if the reader's
interest changes on the way: what is held back was held for the old one, so it is forgotten, and read from the log.

Where a log that others share cannot be read, its server may be away: then the replay waits where it is until it can be.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..finance.channels import Interest
from ..interfaces import IEventReader
from ..wire.errors import LedgerFailed
from .eventlog import EventLog

__all__ = ["PAGE", "Replay"]

#: Entries a page.
PAGE = 500
_AGAIN_S = 1.0


@implementer(IEventReader)
class Replay:
    """
    One reader's way from an entry to the end of the log.

    @param reader: who gets the pages; when the replay is over, it is attached to the log.
    @param after: the entry after which it begins.
    @param clock: for the time until it tries again.
    @param heldMax: how many bytes of live events may be held back while the last page is read.
    @param reached: called with the entry after which the live events begin, before they do.
    @param failed: called if the log cannot be read.
    """

    _log = Logger()

    def __init__(
        self,
        events: EventLog,
        reader: IEventReader,
        after: int,
        clock: IReactorTime,
        heldMax: int,
        reached: Callable[[int], None],
        failed: Callable[[], None],
    ) -> None:
        self._events = events
        self._reader = reader
        self._clock = clock
        self._heldMax = heldMax
        self._reached = reached
        self._failed = failed
        self.interest = reader.interest
        self._seq = after
        self._running = self._reading = self._stopped = False
        # It could not be read, and is tried again then.
        self._again: IDelayedCall | None = None
        self._isWaiting = False
        # Where it meets the live events, and what has come since.
        self._end: int | None = None
        self._held: list[tuple[bytes, int]] = []
        self._heldBytes = 0

    def resume(self) -> None:
        """Go on: the peer reads."""
        self._running = True
        self._goOn()

    def pause(self) -> None:
        """Read no further for now."""
        self._running = False

    def change(self, interest: Interest) -> None:
        """From where it stands on, these events."""
        self._letGo()
        self.interest = interest

    def stop(self) -> None:
        """That was all."""
        self._stopped = True
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._letGo()

    def deliver(self, lines: bytes, seq: int) -> None:
        """Hold a live event back."""
        if self._end is None:
            return
        self._held.append((lines, seq))
        self._heldBytes += len(lines)
        if self._heldBytes > self._heldMax:
            # The end was not as near as it seemed. It is in the log.
            self._letGo()

    def _letGo(self) -> None:
        if self._end is not None:
            self._events.detach(self)
            self._end, self._held, self._heldBytes = None, [], 0

    def _goOn(self) -> None:
        if self._reading or not self._running or self._stopped or self._again is not None:
            return
        head = self._events.head
        if self._end is None and head - self._seq <= PAGE:
            self._end = head
            self._events.attach(self)
        count = min(PAGE, (head if self._end is None else self._end) - self._seq)
        if not count:
            self._finish()
            return
        self._reading = True
        page = self._events.page(self._seq, count, self)
        page.addCallback(self._got, self._seq + count).addErrback(self._cannot)

    def _got(self, lines: bytes, seq: int) -> None:
        self._reading = self._isWaiting = False
        if self._stopped:
            return
        self._seq = seq
        if lines:
            self._reader.deliver(lines, seq)
        if seq == self._end:
            self._finish()
        else:
            self._goOn()

    def _finish(self) -> None:
        if self._stopped:
            return
        assert self._end is not None
        end, held = self._end, self._held
        self._letGo()
        self._stopped = True
        self._events.attach(self._reader)
        self._reached(end)
        for lines, seq in held:
            self._reader.deliver(lines, seq)

    def _cannot(self, failure: Failure) -> None:
        self._reading = False
        if self._stopped:
            return
        if self._events.isShared and failure.check(LedgerFailed):
            if not self._isWaiting:
                why = failure.getErrorMessage()
                self._log.warn("a replay waits at entry {seq}: {why}", seq=self._seq, why=why)
            self._isWaiting = True
            self._again = self._clock.callLater(_AGAIN_S, self._tryAgain)
            return
        self._log.failure("a replay from entry {seq} failed", failure, seq=self._seq)
        self.stop()
        self._failed()

    def _tryAgain(self) -> None:
        self._again = None
        self._goOn()
