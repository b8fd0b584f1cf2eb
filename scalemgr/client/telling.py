"""What callers are told, and which keys are in doubt since.

Who was told that it is not known may ask again with the same key: that call is in doubt from its beginning, until an
answer is about all that had the key (L{Telling.isCertain}).

What is not to be sent after all is told only when the outbox has noted that: it goes by way of the L{Shelf}.
"""

from __future__ import annotations

from collections.abc import Iterable

from .asking import Asked, Told
from .errors import ClientError, OutcomeUnknown
from .session import Reply
from .shelf import Shelf

__all__ = ["Telling"]

# So many keys in doubt are remembered.
_DOUBTS_MAX = 10_000


class Telling:
    """
    Between the requests of a client and those who wait for them.

    @param shelf: what the outbox is to note goes there.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._told: list[Told] = []
        # The keys whose callers wait no longer, and have no certain answer; the last of them.
        self._doubts: dict[str, None] = {}

    def take(self) -> list[Told]:
        """What became of requests since this was last asked."""
        told, self._told = self._told, []
        return told

    # -- doubts -------------------------------------------------------------------------------------------

    def isInDoubt(self, asked: Asked) -> bool:
        """Was a caller with its key left without a certain answer?"""
        return asked.key in self._doubts

    def doubt(self, asked: Asked) -> None:
        """Its caller waits no longer, and it may be booked; if it has no key, nobody can ask for it again."""
        if asked.key is not None:
            self._doubts[asked.key] = None
            if len(self._doubts) > _DOUBTS_MAX:
                del self._doubts[next(iter(self._doubts))]

    def isCertain(self, asked: Asked) -> None:
        """An answer came that is about all that had its key."""
        if asked.key is not None:
            self._doubts.pop(asked.key, None)

    # -- what became of them ------------------------------------------------------------------------------

    def leave(self, asked: Asked, error: ClientError) -> None:
        """Its caller is told that it is not known, and waits no longer; the outbox does."""
        self.doubt(asked)
        if asked.waiter is not None:
            self._told.append(Told(asked, asked.waiter, error))
        asked.waiter = asked.deadline = None

    def finish(self, asked: Asked, result: Reply | ClientError) -> None:
        """It is over."""
        told = Told(asked, asked.waiter, result)
        if isinstance(result, OutcomeUnknown):
            self.doubt(asked)
        if asked.row is None:
            self._told.append(told)
        elif isinstance(result, Reply):
            # If that is not noted, to ask again does no harm.
            self._told.append(told)
            self._shelf.settle(asked.row, str(result.status), None)
        elif isinstance(result, OutcomeUnknown):
            self._told.append(told)
        else:
            # It must not be sent after all, by whoever opens the outbox next: so first that, and then this.
            self._shelf.settle(asked.row, str(result), told)

    def settled(self, rows: Iterable[int], why: str) -> None:
        """
        The outbox has noted that these are over: who waited for that is told.

        @param why: or why it has not.
        """
        self._told += self._shelf.settled(rows, why)
