"""From any thread into the reactor's: however often one calls, at most one call is on its way."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorFromThreads

__all__ = ["Waker"]


class Waker:
    """
    To be called from any thread: what L{ILedger.follow} is given.

    @param wake: is called in the reactor's thread, at least once after each call.
    """

    def __init__(self, reactor: IReactorFromThreads, wake: Callable[[], None]) -> None:
        self._reactor = reactor
        self._wake = wake
        self._isComing = False

    def __call__(self) -> None:
        # Two threads at once may both find it False: then it comes twice. That it is missed cannot be, for it is False
        # again before the reactor's thread begins.
        if not self._isComing:
            self._isComing = True
            self._reactor.callFromThread(self._come)

    def _come(self) -> None:
        self._isComing = False
        self._wake()
