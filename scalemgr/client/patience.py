"""How patient a client is: how long it waits, and how long between two tries."""

from __future__ import annotations

from random import Random

from msgspec import Struct

__all__ = ["Redialing", "RequestSettings", "backoffS"]

# A connection that lasted so long, in seconds, was one.
_LASTING_S = 1.0


class RequestSettings(Struct, frozen=True):
    """
    How patient a client is, and how much it takes.

    @ivar deadlineS: how long a caller waits who does not say, in seconds.
    @ivar againMaxS: the longest time between two attempts of a request, while somebody waits.
    @ivar againLaterMaxS: the same, of what only the outbox waits for.
    @ivar windowMax: requests on their way at a time. More wait here.
    @ivar openMax: requests that are not answered, in all. One more is refused.
    @ivar lineBytesMax: the longest request: as the server's C{line_bytes}.
    """

    deadlineS: float = 30.0
    againMaxS: float = 5.0
    againLaterMaxS: float = 30.0
    windowMax: int = 256
    openMax: int = 10_000
    lineBytesMax: int = 1024 * 1024


def backoffS(attempts: int, random: Random, firstS: float = 0.05, mostS: float = 30.0) -> float:
    """How long to wait after so many failures (1 and up), in seconds: longer each time, with jitter."""
    longest = min(mostS, firstS * 2.0 ** min(attempts - 1, 32))
    return random.uniform(longest / 2, longest)


class Redialing:
    """
    When to connect again. A server that takes connections only to end them is left alone for longer each time, like one
    that takes none.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0
        self._connectedAt: float | None = None

    def connected(self, now: float) -> None:
        """There is a connection."""
        self._connectedAt = now

    def afterS(self, now: float) -> float:
        """There is none (any more): how long to wait before the next attempt, in seconds."""
        if self._connectedAt is not None and now - self._connectedAt >= _LASTING_S:
            self._failures = 0
        self._connectedAt = None
        self._failures += 1
        return backoffS(self._failures, self._random)
