"""What goes out of a session: when it is handed to the transport, and how much of it may wait.

What is said in one go (L{Outbox}) leaves in one write. What is said while the peer does not read piles up to a bound;
past the bound the session is cut short, as it is if too much waits for all those who do not read (L{Unread}).

A plain socket is written to at once: to let the transport do it takes two more system calls, and leaves it for the
reactor's next turn.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet import tcp
from twisted.internet.interfaces import IPushProducer, ISSLTransport
from zope.interface import implementer

from .limits import IUnread, SessionLimits, Unread
from .outbox import Outbox

__all__ = ["IShared", "ISpeaking", "Outgoing"]

# More than this does not wait for the rest of what there is to say.
_PILE_BYTES = 64 * 1024


class ISpeaking(IUnread, Protocol):
    """What this needs of its session. (Not zope's: it stays inside this folder.)"""

    @property
    def transport(self) -> Any:
        """Where it all goes."""

    def peerReads(self, reads: bool) -> None:
        """What was written has, or has not, left for the peer."""

    def lagged(self, piled: int) -> None:
        """It does not read, and so many bytes have piled up: say how far it came, and close."""


class IShared(Protocol):
    """What this shares with all sessions. (Not zope's: it stays inside this folder.)"""

    @property
    def limits(self) -> SessionLimits:
        """How much may pile up, now."""

    @property
    def outbox(self) -> Outbox:
        """Where what is said in one go gathers."""

    @property
    def unread(self) -> Unread:
        """What waits for those who do not read."""


@implementer(IPushProducer)
class Outgoing:
    """
    The lines of one session on their way out; and the producer of them, as the transport sees it. (For what comes in,
    the session itself is one.)

    @ivar isOpen: is anybody there to be told?
    @ivar peerReads: has what was written left for the peer, as far as the transport takes note?
    @ivar piled: how many bytes have not been handed to the transport.
    """

    __slots__ = ("_isHeld", "_isStraight", "_pile", "_session", "_shared", "isOpen", "peerReads", "piled")

    def __init__(self, session: ISpeaking, shared: IShared) -> None:
        self._session = session
        self._shared = shared
        self._pile: list[bytes] = []
        self.piled = 0
        self.isOpen = self.peerReads = True
        # Is there nothing between us and the socket?
        transport = session.transport
        self._isStraight = isinstance(transport, tcp.Connection) and not ISSLTransport.providedBy(transport)
        # Is something waiting in the transport, all the same?
        self._isHeld = False

    def write(self, lines: bytes) -> bool:
        """Send whole lines, soon or when the peer reads; C{False} if that will never be."""
        if not self.isOpen:
            return False
        piled = self.piled + len(lines)
        if self.peerReads:
            self._pile.append(lines)
            self.piled = piled
            outbox = self._shared.outbox
            if outbox.isOpen and piled < _PILE_BYTES:
                outbox.add(self)
            else:
                self._flush()
            return True
        if piled > self._shared.limits.bufferBytesMax:
            self._session.lagged(self.piled)
            return False
        self._pile.append(lines)
        self.piled = piled
        self._shared.unread.add(self._session, len(lines))
        return self.isOpen

    def flush(self) -> None:
        """All is said for now: C{IOutgoing}."""
        if self.isOpen and self.peerReads:
            self._flush()

    def _flush(self) -> None:
        """Hand what has piled up to the transport."""
        pile, self._pile, self.piled = b"".join(self._pile), [], 0
        transport = self._session.transport
        if pile and self._isStraight and not self._isHeld:
            sent = transport.writeSomeData(pile)
            # If it failed, the reactor finds out for itself.
            pile = pile if isinstance(sent, Exception) else pile[sent:]
        if pile:
            transport.write(pile)
            if self._isStraight:
                transport.doWrite()
                self._isHeld = bool(transport.dataBuffer)
            if self.isOpen and not self.peerReads:
                self._shared.unread.add(self._session, len(pile))

    def setPeerReads(self, reads: bool) -> bool:
        """
        What was written has, or has not, left for the peer. May be told the same thing again and again.

        @return: is that news? To flush may have filled the transport again since: L{peerReads} says.
        """
        if reads == self.peerReads:
            return False
        self.peerReads = reads
        if reads:
            self._shared.unread.forget(self._session)
            self._flush()
        return True

    def waiting(self) -> int:
        """How many bytes wait for the peer to read."""
        return max(self.piled, self._shared.unread.waiting(self._session))

    def stop(self) -> None:
        """Take no more lines."""
        self.isOpen = False

    def handOver(self, lastLines: bytes = b"") -> None:
        """Let all that there is go to the transport, whatever the peer does, and these lines after it."""
        if lastLines:
            self._pile.append(lastLines)
        self._flush()
        self._session.transport.unregisterProducer()

    def drop(self) -> None:
        """Take no more lines: nobody is there to read, or soon will be."""
        self.isOpen = False
        self._shared.unread.forget(self._session)

    # -- as the transport sees it -----------------------------------------------------------------------

    def pauseProducing(self) -> None:
        self._session.peerReads(False)

    def resumeProducing(self) -> None:
        self._session.peerReads(True)

    def stopProducing(self) -> None:
        """The connection is being lost; the session is told what there is to do."""
