"""A question on its way, for those who may no longer want the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer

from zope.interface import implementer

from ..interfaces import ITicket
from ..wire.codes import RetCode
from ..wire.errors import LedgerFailed

__all__ = ["Ticket", "tooLong"]

# How soon to strike again, if it is still under way.
_AGAIN_S = 0.1


def tooLong(seconds: float) -> LedgerFailed:
    """What is told to whoever asks for what takes longer than that."""
    return LedgerFailed(f"to find this takes longer than {seconds:g} seconds; ask for less", RetCode.RET_ERR_TIMEOUT)


@implementer(ITicket)
class Ticket:
    """
    One question. It may be called off from any thread: if it was not begun it will not be, if it is under way it is
    interrupted.

    An interrupt strikes between two steps of SQLite's machine, however long one of them takes, which a count of
    steps would not.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._interrupt: Callable[[], None] | None = None
        self._isOff = self._isLate = False

    def callOff(self) -> None:
        self._isOff = True
        self._strike()

    @contextmanager
    def running(self, interrupt: Callable[[], None], seconds: float) -> Iterator[None]:
        timer = Timer(seconds, self._expire)
        timer.daemon = True
        with self._lock:
            self._interrupt = interrupt
        try:
            timer.start()
            self.check(seconds)
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._interrupt = None

    def check(self, seconds: float) -> None:
        if self._isOff:
            raise LedgerFailed("nobody waits for the answer any more", RetCode.RET_ERR_CANCEL)
        if self._isLate:
            raise tooLong(seconds)

    @property
    def isOver(self) -> bool:
        return self._isOff or self._isLate

    def _expire(self) -> None:
        self._isLate = True
        self._strike()

    def _strike(self) -> None:
        # Under the lock, so that it never strikes the next question of the same connection.
        with self._lock:
            if self._interrupt is None:
                return
            self._interrupt()
        # Between two statements it is lost.
        again = Timer(_AGAIN_S, self._strike)
        again.daemon = True
        again.start()
