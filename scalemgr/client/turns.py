"""Whose turn it is to be sent: an attempt is ready, then on its way, and if it has to be made once more, that is later.

L{Turns.next} gives what is ready, one by one, while there is room in the window; L{Turns.begin} puts it on its way;
L{Turns.answered} and L{Turns.lost} take it from there. L{Turns.again} and L{Turns.deny} are for another attempt:
after a while, and with another token. What an answer means, and who is told, is L{scalemgr.client.requests}'.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count
from random import Random

from .asking import Asked
from .patience import RequestSettings, backoffS

__all__ = ["Turns"]

# Between two tries of what has to wait for another answer on the same connection.
_TURN_S = 0.05


class Turns:
    """
    Of all that is to be sent, or was.

    @param random: where extIDs and jitter come from.
    """

    def __init__(self, settings: RequestSettings, random: Random) -> None:
        self._settings = settings
        self._random = random
        self._prefix = f"{random.getrandbits(96):024x}"
        self._numbers = count(1)
        self._ready: deque[Asked] = deque()
        self._inFlight: dict[str, Asked] = {}
        self._denied: list[Asked] = []
        self._later: list[tuple[float, int, Asked]] = []

    def extID(self) -> str:
        """One that nobody ever used before: a server that gets no other name for a request takes this."""
        return f"{self._prefix}-{next(self._numbers):x}"

    # -- what is ready ------------------------------------------------------------------------------------

    def add(self, asked: Asked) -> None:
        """It is ready, after all others."""
        self._ready.append(asked)

    def addFirst(self, asked: Asked) -> None:
        """It is ready, before all others."""
        self._ready.appendleft(asked)

    def next(self) -> Asked | None:
        """The next that is to be sent; C{None}: none is, or too many are on their way."""
        while self._ready and len(self._inFlight) < self._settings.windowMax:
            asked = self._ready.popleft()
            if not asked.isOver:
                return asked
        return None

    def takeReady(self) -> list[Asked]:
        """All that would be sent."""
        ready, self._ready = self._ready, deque()
        return [asked for asked in ready if not asked.isOver]

    # -- what is on its way -------------------------------------------------------------------------------

    def begin(self, asked: Asked, token: str | None, now: float) -> str | None:
        """It is sent now, under this extID; C{None}: not now, for another one has it, and is to be answered first."""
        extID = asked.extID or self.extID()
        if extID in self._inFlight:
            # Only of a plugin's command.
            self.again(asked, now, _TURN_S)
            return None
        asked.sentAs = extID
        asked.token = token
        self._inFlight[extID] = asked
        return extID

    def answered(self, extID: str) -> Asked | None:
        """What the answer is to; C{None}: to nothing that is on its way."""
        asked = self._inFlight.pop(extID, None)
        if asked is not None:
            asked.sentAs = None
        return asked

    def lost(self) -> list[Asked]:
        """There will be no more answers: to these, the last first."""
        inFlight, self._inFlight = self._inFlight, {}
        for asked in inFlight.values():
            asked.sentAs = None
        return list(reversed(inFlight.values()))

    def remove(self, asked: Asked) -> None:
        """It is over: a late answer is nobody's, and does not count as being on its way."""
        if asked.sentAs is not None:
            self._inFlight.pop(asked.sentAs, None)

    # -- what is to be sent once more ---------------------------------------------------------------------

    def again(self, asked: Asked, now: float, afterS: float | None = None) -> None:
        """
        Ask once more, after a while; jittered also where the server has named one, for it has named it to many.

        @param afterS: how long, in seconds; C{None}: longer each time.
        """
        asked.attempts += 1
        if afterS is None:
            mostS = self._settings.againMaxS if asked.deadline is not None else self._settings.againLaterMaxS
            afterS = backoffS(asked.attempts, self._random, mostS=mostS)
        else:
            afterS *= self._random.uniform(1.0, 1.25)
        heapq.heappush(self._later, (now + afterS, next(self._numbers), asked))

    @property
    def wakeAt(self) -> float | None:
        """When L{woken} is to be called; C{None}: never."""
        return self._later[0][0] if self._later else None

    def woken(self, now: float) -> None:
        """It is time."""
        while self._later and self._later[0][0] <= now:
            asked = heapq.heappop(self._later)[2]
            if not asked.isOver:
                self._ready.append(asked)

    def deny(self, asked: Asked) -> None:
        """It waits for another token."""
        self._denied.append(asked)

    def readmit(self) -> None:
        """There is another token: what was denied is ready, before all others."""
        self._ready.extendleft(reversed(self.takeDenied()))

    def takeDenied(self) -> list[Asked]:
        """All that waited for another token, in the order in which they were denied."""
        denied, self._denied = self._denied, []
        return [asked for asked in denied if not asked.isOver]
