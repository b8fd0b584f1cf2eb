"""Two clocks: one to wait by, and one to write down.

A wall clock is set: by an administrator, by NTP, by a virtual machine that wakes up. What waits by it then waits too
long or not at all, so whatever waits does so by a clock that only goes forward. What is written down (the time
of an entry, whether a token has expired) is the wall clock's.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

__all__ = ["WallClock", "makeSteady"]


def makeSteady(reactor: Any) -> None:
    """
    Let a reactor, which otherwise goes by the wall clock, wait by the one that only goes forward. What it is
    waiting for already is not disturbed.
    """
    offset = reactor.seconds() - time.monotonic()
    reactor.seconds = lambda: offset + time.monotonic()


@implementer(IReactorTime)
class WallClock:
    """
    The time of day, in seconds since 1970.

    @param timer: what C{callLater} waits by.
    """

    def __init__(self, timer: IReactorTime) -> None:
        self.callLater = timer.callLater
        self.getDelayedCalls = timer.getDelayedCalls

    def seconds(self) -> float:
        return time.time()
