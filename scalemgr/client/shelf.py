"""What there is for the outbox to do: what it is to keep, and what it is to note as over.

The requests hand in (L{Shelf.keep}, L{Shelf.settle}), L{scalemgr.client.keeping} takes out (L{Shelf.takeToKeep},
L{Shelf.takeToSettle}), and says when it is on the disk (L{Shelf.kept}, L{Shelf.settled}). What was handed in and is
not taken yet can be had back (L{Shelf.release}); what was taken is, or will be, on the disk.
"""

from __future__ import annotations

from collections.abc import Iterable

from .asking import Asked, Told
from .errors import NotApplied, OutcomeUnknown

__all__ = ["Shelf"]


class Shelf:
    """Between the requests of a client and its outbox."""

    def __init__(self) -> None:
        # What is to be kept; that and what is being kept; what is to be noted as over.
        self._toKeep: dict[Asked, None] = {}
        self._keeping: set[Asked] = set()
        self._toSettle: list[tuple[int, str]] = []
        # By row, who is told only when it is noted; C{None}: nobody.
        self._settling: dict[int, Told | None] = {}

    @property
    def isBusy(self) -> bool:
        """Has the outbox something to do that somebody waits for?"""
        return bool(self._keeping or self._settling)

    def isAwaited(self, rows: Iterable[int]) -> bool:
        """Is anybody told only when the outbox has noted these?"""
        return any(self._settling.get(row) is not None for row in rows)

    # -- what is to be kept -------------------------------------------------------------------------------

    def keep(self, asked: Asked) -> None:
        """It is to be on the disk before it is sent."""
        self._toKeep[asked] = None
        self._keeping.add(asked)

    def release(self, asked: Asked) -> bool:
        """Have it back, if it is here. C{False}: too late, the outbox was given it, and has not said yet."""
        if asked in self._toKeep:
            del self._toKeep[asked]
            self._keeping.discard(asked)
        return asked not in self._keeping

    def releaseAll(self) -> None:
        """The same, of all for which it is not too late."""
        for asked in list(self._toKeep):
            self.release(asked)

    def takeToKeep(self) -> list[Asked]:
        """What the outbox is to keep; then L{kept} is to be called with each."""
        toKeep, self._toKeep = list(self._toKeep), {}
        return toKeep

    def kept(self, asked: Asked) -> None:
        """The outbox has said what became of it."""
        self._keeping.discard(asked)

    # -- what is over -------------------------------------------------------------------------------------

    def settle(self, row: int, outcome: str, told: Told | None) -> None:
        """
        It need not be repeated.

        @param told: what somebody is told, but not before that is noted.
        """
        self._toSettle.append((row, outcome))
        self._settling[row] = told

    def takeToSettle(self) -> list[tuple[int, str]]:
        """(row, outcome) of what the outbox need not have repeated; then L{settled} is to be called with the rows."""
        toSettle, self._toSettle = self._toSettle, []
        return toSettle

    def settled(self, rows: Iterable[int], why: str) -> list[Told]:
        """
        The outbox has noted that these are over.

        @param why: or why it has not.
        @return: what can be told now.
        """
        waited = [self._settling.pop(row, None) for row in rows]
        return [_unnoted(told, why) if why else told for told in waited if told is not None]


def _unnoted(told: Told, why: str) -> Told:
    """What is not noted as over is asked again by whoever opens the outbox next."""
    asked, result = told.asked, told.result
    if not isinstance(result, NotApplied):
        return told
    reason = f"{result.reason}; but the outbox could not note that ({why}), so it will be asked again"
    return Told(asked, told.waiter, OutcomeUnknown(asked.command, asked.key, reason, asked.order))
