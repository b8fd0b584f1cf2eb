"""Where a client is in the log, and how it stays there: each event once, in order, across any number of connections.

The cursor is the epoch and the last C{seq} that was queued for the caller. Each connection begins with a
C{Subscribe} from there; what comes before its answer comes again after it, and is dropped; so is what is not beyond
the cursor. A caller who is slow cannot make the queue grow: when it is full, the session is told to send no events,
and when it has been emptied, to go on from the cursor. Answers are never held up by it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Any

from .errors import ClientError, Refused, ResyncRequired, integer
from .session import Event, Reply

__all__ = ["EVENTS", "QUEUED_MAX", "Follower"]

#: All that there are.
EVENTS = ("trade:event", "user:event", "group:event", "balance:event")

#: How many may wait for a caller.
QUEUED_MAX = 10_000


class _State(Enum):
    #: Not subscribed on this connection, or there is none.
    AWAY = 0
    #: Subscribe was sent.
    ASKING = 1
    #: What comes counts.
    OPEN = 2
    #: The queue is full, so nothing that comes counts.
    FULL = 3
    #: It cannot go on; the last that is queued says why.
    ENDED = 4


class Follower:
    """
    The events of one client.

    @param channels: which of them.
    @param fromSeq: the last entry of the log that is known; C{None}: from now on.
    @param epoch: the log that C{fromSeq} counts in; C{None}: whichever it is.
    @param queuedMax: how many may wait for the caller.
    @param marks: are C{replay:done} marks told as well?
    @ivar seq: the last entry that was queued, or is known not to be for it.
    """

    def __init__(
        self, channels: Sequence[str], fromSeq: int | None, epoch: str | None, queuedMax: int, *, marks: bool = False
    ) -> None:
        self._channels = list(channels)
        self.seq = fromSeq
        self.epoch = epoch
        self._queuedMax = queuedMax
        self._marks = marks
        self._queue: deque[Event | ClientError] = deque()
        self._state = _State.AWAY

    @property
    def isEnded(self) -> bool:
        """Has it said the last?"""
        return self._state is _State.ENDED

    def subscription(self) -> dict[str, Any]:
        """The C{data} of the C{Subscribe} that a connection begins with; it is taken to be sent."""
        self._state = _State.ASKING
        data: dict[str, Any] = {"chanels": self._channels}
        if self.seq is not None:
            data["from_seq"] = self.seq
            if self.epoch is not None:
                data["epoch"] = self.epoch
        return data

    def subscribed(self, reply: Reply) -> bool:
        """
        C{Subscribe} was answered.

        @return: is it settled? C{False}: it has to be sent again, later.
        """
        if self._state is not _State.ASKING:
            return True
        data = reply.data
        if reply.status == 200:
            epoch, seq = data.get("epoch"), data.get("seq")
            self.epoch = epoch if isinstance(epoch, str) else None
            if self.seq is None and type(seq) is int:
                self.seq = seq
            self._state = _State.OPEN
            return True
        self._state = _State.AWAY
        if reply.status == 410:
            self.end(ResyncRequired(str(data.get("message")), str(data.get("epoch")), integer(data.get("seq"))))
        elif reply.status < 500 and reply.status not in (409, 429):
            self.end(Refused("Subscribe", None, reply.status, data))
        return self.isEnded

    def heard(self, event: Event) -> bool:
        """
        An event or a mark came.

        @return: is there room for more? C{False}, once: the session has to be told to send none.
        """
        if self._state is not _State.OPEN:
            return True
        if event.seq is not None:
            if self.seq is not None and event.seq <= self.seq:
                return True
            self.seq = event.seq
            self._queue.append(event)
        elif event.event == "replay:done":
            self.seq = max(self.seq or 0, integer(event.data.get("seq")))
            if self._marks:
                self._queue.append(event)
        if len(self._queue) < self._queuedMax:
            return True
        self._state = _State.FULL
        return False

    def take(self) -> list[Event | ClientError]:
        """All that is queued. An error is the last that ever is."""
        taken = list(self._queue)
        self._queue.clear()
        return taken

    @property
    def hasMore(self) -> bool:
        """Is anything queued?"""
        return bool(self._queue)

    @property
    def isStarved(self) -> bool:
        """Was it full, and is empty now, so that it is time to go on?"""
        return self._state is _State.FULL and not self._queue

    def away(self) -> None:
        """The connection is gone, or the subscription is to be sent again."""
        if self._state is not _State.ENDED:
            self._state = _State.AWAY

    def end(self, why: ClientError) -> None:
        """There will be no more."""
        if self._state is not _State.ENDED:
            self._state = _State.ENDED
            self._queue.append(why)
