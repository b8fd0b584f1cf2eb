"""Being ended from outside, by Ctrl-C or a signal, without leaving anything of what was started or made."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Interrupted", "beEndable", "held"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """
    Somebody ends the bench. Raised once: what then cleans up is not interrupted again.

    @ivar number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Ending:
    holds = 0
    asked: int | None = None
    isRaised = False

    @classmethod
    def onSignal(cls, number: int, frame: object) -> None:
        if cls.asked is None:
            cls.asked = number
        cls.obey()

    @classmethod
    def obey(cls) -> None:
        if cls.asked is not None and not cls.holds and not cls.isRaised:
            cls.isRaised = True
            raise Interrupted(cls.asked)


def beEndable() -> None:
    """From here on such a signal raises L{Interrupted}; one that is ignored (as C{nohup} has it) stays ignored."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _Ending.onSignal)


@contextmanager
def held() -> Iterator[None]:
    """
    A signal that comes during the block is obeyed at its end.

    Where something is made that has to be known before it can be removed, nothing may come between the two: an
    exception out of the midst of C{Popen}, say, leaves a process of which nobody here knows.
    """
    _Ending.holds += 1
    try:
        yield
    finally:
        _Ending.holds -= 1
        _Ending.obey()
