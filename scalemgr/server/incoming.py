"""What comes in of a session: chunks, cut into lines; and whether any more is read now.

A chunk is cut into lines once: LineReceiver's own way copies what is left of it for each line in it, so that a peer who
sends nothing but line ends could keep the reactor busy. Lines that have been read already when the session pauses
wait here.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from .limits import SessionLimits
from .outgoing import Outgoing

__all__ = ["IBounding", "IListening", "Incoming"]

_LF = b"\n"
_BLANK = b"\r"


class IListening(Protocol):
    """What this needs of its session: a LineReceiver. (Not zope's: it stays inside this folder.)"""

    paused: bool

    def pauseProducing(self) -> None:
        """Read no more, for now."""

    def resumeProducing(self) -> None:
        """Read on, after the lines that wait."""

    def lineReceived(self, line: bytes) -> None:
        """A line, less its LF."""

    def lineLengthExceeded(self, line: bytes) -> None:
        """It is too long, and may have no end."""


class IBounding(Protocol):
    """What this shares with all sessions. (Not zope's: it stays inside this folder.)"""

    @property
    def limits(self) -> SessionLimits:
        """How long a line may be, now."""


class Incoming:
    """
    The lines of one session on their way in.

    @ivar isReading: is the transport read?
    @ivar waiting: lines that were read, and not looked at yet.
    """

    __slots__ = ("_isCutting", "_out", "_partial", "_session", "_shared", "isReading", "waiting")

    def __init__(self, session: IListening, out: Outgoing, shared: IBounding) -> None:
        """
        @param out: what goes out; once that is closed nothing is heard either.
        """
        self._session = session
        self._out = out
        self._shared = shared
        self.waiting: deque[bytes] = deque()
        self._partial = b""
        self._isCutting = False
        self.isReading = True

    def add(self, data: bytes) -> bool:
        """
        A chunk.

        @return: is it for the caller to call L{workOff}? Else that is under way.
        """
        *lines, self._partial = (self._partial + data).split(_LF)
        self.waiting.extend(line for line in lines if line and line != _BLANK)
        return not self._isCutting

    def workOff(self) -> None:
        """Hand the session its lines, while it is open and not paused."""
        session, out, waiting = self._session, self._out, self.waiting
        self._isCutting = True
        try:
            while waiting and out.isOpen and not session.paused:
                session.lineReceived(waiting.popleft())
        finally:
            self._isCutting = False
        # One more, for the CR before the LF.
        if len(self._partial) > self._shared.limits.lineBytesMax + 1:
            session.lineLengthExceeded(self._partial)

    def clear(self) -> bytes:
        """Forget, and return, what has no end yet."""
        partial, self._partial = self._partial, b""
        return partial

    def setReading(self, wanted: bool) -> None:
        """Pause or resume the transport, as it should be now."""
        if wanted != self.isReading:
            self.isReading = wanted
            if wanted:
                self._session.resumeProducing()
            else:
                self._session.pauseProducing()
