"""Those who wait until what others wrote is told here, too: who knows an entry from another gateway, for instance."""

from __future__ import annotations

from twisted.internet.defer import Deferred

__all__ = ["CatchingUp"]


class CatchingUp:
    """Whoever asks while a commit is under way is answered by the next one: that one may have read the log already."""

    def __init__(self) -> None:
        self._next: list[Deferred[None]] = []
        self._now: list[Deferred[None]] = []

    def ask(self) -> Deferred[None]:
        """When all that is in the log by now is told; it fails if that is not to be known."""
        told: Deferred[None] = Deferred()
        self._next.append(told)
        return told

    def begin(self) -> None:
        """A commit begins, which reads the log first."""
        self._now += self._next
        self._next = []

    def end(self, error: Exception | None = None) -> None:
        """
        What it read is told.

        @param error: why nothing could be read; C{None}: something was.
        """
        asking, self._now = self._now, []
        for told in asking:
            if error is None:
                told.callback(None)
            else:
                told.errback(error)
