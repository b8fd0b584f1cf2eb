"""How the connection of a session is ended, so that what it was told arrives.

To close a plain socket with something unread in it would reset the connection, and what is on its way would be lost:
so our own direction is closed, and what still comes is read, into the void, until the peer has closed its own. TLS has
no directions; there it is the peer's own word of leave that has to be read. A peer that takes too long is cut off.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime, ISSLTransport, ITCPTransport

__all__ = ["LINGER_S", "ILeaving", "Leaving"]

#: How long a session that is being closed may take to read its last lines, in seconds.
LINGER_S = 5.0


class ILeaving(Protocol):
    """What this needs of its session. (Not zope's: it stays inside this folder.)"""

    @property
    def transport(self) -> Any:
        """What is to be closed."""

    def resumeProducing(self) -> None:
        """Read on."""


class Leaving:
    """
    The end of one connection.

    @ivar peerClosed: has the peer closed its own direction?
    """

    __slots__ = ("_clock", "_session", "_timer", "peerClosed")

    def __init__(self, session: ILeaving, clock: IReactorTime) -> None:
        self._session = session
        self._clock = clock
        self.peerClosed = False
        self._timer: IDelayedCall | None = None

    def close(self) -> None:
        """Close it, once all that was said can arrive."""
        session = self._session
        transport = session.transport
        isSecure = ISSLTransport.providedBy(transport)
        if ITCPTransport.providedBy(transport) and not isSecure and not self.peerClosed:
            session.resumeProducing()
            transport.loseWriteConnection()
        else:
            if isSecure:
                session.resumeProducing()
            transport.loseConnection()

    def linger(self) -> None:
        """It may take so long, and no longer."""
        self._timer = self._clock.callLater(LINGER_S, self.cutOff)

    def cutOff(self) -> None:
        """End it, now."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        self._session.transport.abortConnection()

    def lost(self) -> None:
        """It has ended."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
