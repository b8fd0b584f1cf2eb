"""The events of one session: live, what it missed, and where it stands in between.

Whoever shows the token of a manager, dealer or admin gets events from then on. When the token expires there
are none (C{token:expired} says so when there would be one), until the next one: then first those that came
meanwhile, so that nothing is missed by being late with a token. A token that is revoked has expired at once.

Of those events it is sent the ones that the session has chosen (L{Channels}); marks come whatever was chosen. A
choice changes where the stream stands, live or in a replay: what was chosen before and is chosen still neither
stops nor begins again, and what is chosen newly begins there. The choice is the session's: it outlives its tokens.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from ..commands.base import STAFF
from ..finance.channels import Channels, Interest
from ..interfaces import IEventReader
from ..runtime.eventlog import EventLog
from ..runtime.replay import Replay
from ..wire.errors import DuplicateRequest
from ..wire.messages import marker
from .auth import Principal

__all__ = ["IStreamed", "Stream"]


class IStreamed(Protocol):
    """What a stream needs of its session. (Not zope's: it stays inside this folder.)"""

    def write(self, lines: bytes) -> bool:
        """Send whole lines; C{False} if they will not be sent."""

    def replayed(self) -> None:
        """It has the mark at the end of its replay."""

    def expired(self) -> None:
        """The token's time is up."""

    def cutShort(self, event: str, why: str) -> None:
        """It cannot be sent what it should be: end it, and say how far it came."""


@implementer(IEventReader)
class Stream:
    """
    What a session is sent of the log.

    @param heldMax: bytes of live events that may be held back at the end of a replay.
    @ivar seq: all that it may see and has chosen up to this entry was sent.
    @ivar channels: what it has chosen.
    @ivar interest: what that comes to for its principal, while it is sent events.
    """

    interest: Interest

    def __init__(self, session: IStreamed, events: EventLog, clock: IReactorTime, heldMax: int) -> None:
        self._session = session
        self._events = events
        self._clock = clock
        self._heldMax = heldMax
        self._principal: Principal | None = None
        # Was it ever sent events, so that there are some to miss?
        self._begun = self._live = self._closed = False
        self._replay: Replay | None = None
        # Is the session waiting for the mark at the end of its replay?
        self._marking = False
        self._peerReads = True
        # Is it being found out where it is to go on from?
        self._isHeld = False
        self.seq = events.head
        self.channels = Channels()

    def authenticated(self, principal: Principal) -> None:
        """From now on, what this principal may see."""
        if self._closed:
            return
        self._principal = principal
        if principal.role not in STAFF:
            self._stop()
            self._begun = self._marking = False
            return
        self._setInterest()
        if self._isStreaming or self._isHeld:
            return
        if not self._begun:
            self._begun = True
            self.seq = self._events.head
        if self.seq == self._events.head and not self._marking:
            self._join()
        else:
            self._begin()

    @property
    def _isStreaming(self) -> bool:
        return self._live or self._replay is not None

    @property
    def isReplaying(self) -> bool:
        """Is it on its way to a mark?"""
        return self._marking and self._principal is not None

    def subscribe(self, channels: Channels, after: int | None) -> None:
        """
        Choose, and go on from where it stands, or go back: at L{answered}, send everything after an entry, then
        a mark, then go on.

        @raise DuplicateRequest: if it is to go back and is at that already; the choice is as it was.
        """
        if after is not None and self._marking:
            raise DuplicateRequest("events are being replayed on this session already")
        if self._closed:
            return
        if after is not None:
            self._stop()
            self._begun, self._isHeld = True, False
            self.seq = after
            self._marking = True
        self.channels = channels
        self._setInterest()

    def hold(self) -> None:
        """Send no live events until L{subscribe} says where to go back to, or L{goOn}: from here, then."""
        self._isHeld = True
        if self._live:
            self._leave()

    def goOn(self) -> None:
        """It does not go back."""
        if self._isHeld:
            self._isHeld = False
            if self._begun and self._principal is not None and not self._isStreaming and not self._closed:
                self._begin()

    def _setInterest(self) -> None:
        """See that it is sent what it has chosen and its principal may see, from where it stands."""
        principal = self._principal
        if principal is None:
            return  # The next one's token sets it.
        interest = Interest(principal.mask, self.channels.inForce(principal.events))
        if self._isStreaming and interest == self.interest:
            return
        wasLive = self._live
        if wasLive:
            # The log knows a reader by its interest, so it has to leave with the old one.
            self._leave()
        self.interest = interest
        if wasLive:
            self._join()
        elif self._replay is not None:
            self._replay.change(interest)

    def answered(self) -> None:
        """What was said before a replay has been said."""
        if self._marking and self._replay is None and self._principal is not None:
            self._begin()

    def setPeerReads(self, reads: bool) -> None:
        """Has what was written left for the peer?"""
        self._peerReads = reads
        if self._replay is not None:
            self._replay.resume() if reads else self._replay.pause()

    def close(self) -> None:
        """No more, ever."""
        self._stop()
        self._marking = False
        self._closed = True

    def deliver(self, lines: bytes, seq: int) -> None:
        if self._principal is None:
            return
        if self._clock.seconds() >= self._principal.expires:
            self.expire()
        elif self._session.write(lines):
            self.seq = seq

    def expire(self) -> None:
        """The principal is not believed any more: nothing more until the next one's token, and then from here on."""
        if self._principal is None:
            return
        self._principal = None
        missed, wasStreaming = self.seq, self._isStreaming
        self._stop()
        self.seq = missed
        if wasStreaming:
            self._session.write(marker("token:expired", {"seq": missed}))
        self._session.expired()

    def _begin(self) -> None:
        self._replay = replay = Replay(
            self._events, self, self.seq, self._clock, self._heldMax, self._reached, self._unreadable
        )
        if self._peerReads:
            replay.resume()

    def _reached(self, seq: int) -> None:
        self._replay = None
        self._live = True
        self.seq = seq
        if self._marking:
            self._marking = False
            self._session.write(marker("replay:done", {"seq": seq, "epoch": self._events.epoch}))
            self._session.replayed()

    def _unreadable(self) -> None:
        self._session.cutShort("replay:failed", "the log cannot be read")

    def _stop(self) -> None:
        """Be sent nothing; C{seq} says where to go on."""
        if self._live:
            self._leave()
        replay, self._replay = self._replay, None
        if replay is not None:
            replay.stop()

    def _join(self) -> None:
        self._live = True
        self._events.attach(self)

    def _leave(self) -> None:
        self._live = False
        self._events.detach(self)
        # What it was not sent up to here was not for it.
        self.seq = self._events.head
