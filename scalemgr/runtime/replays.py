"""How often keys come back, and how late: an old one betrays a client that uses its extIDs again."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..finance.records import Entry

__all__ = ["OLD_MS", "Replays"]

#: A retry comes sooner than this, in milliseconds.
OLD_MS = 60 * 60 * 1000


class Replays:
    """
    Counts them.

    @ivar total: repeats that were answered from the log.
    @ivar old: those of them whose first was older than L{OLD_MS}.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.total = 0
        self.old = 0

    def count(self, first: Entry) -> None:
        """One more."""
        self.total += 1
        ageMs = round(self._clock.seconds() * 1000) - first.time_ms
        if ageMs <= OLD_MS:
            return
        self.old += 1
        # The first, the tenth, the hundredth: enough to be seen, too few to flood the log.
        if str(self.old).strip("0") == "1":
            self._log.warn(
                "{count} repeats of requests older than an hour so far; the last, {key!r} of {principal}, was booked "
                "{hours:.0f} hours ago. If that client uses its extIDs again, its new deposits are taken for "
                "repeats: give it a token with the claim key = explicit",
                count=self.old,
                key=first.key,
                principal=first.principal,
                hours=ageMs / OLD_MS,
            )
