"""A session: lines in, lines out, and how much of either. No business.

This joins what a session is made of, each of which has a file: what comes in (L{Incoming}) and is under way
(L{InFlight}), what goes out (L{Outgoing}) and what of that are events (L{Stream}), who it is (L{Who}), and how it
ends (L{Leaving}). Here is its life, and who is told of what.

Flow control. A session's transport is not read while as many of its requests are under way as it may have,
nor while it does not read what it was sent. What is sent to it meanwhile (the answers under way, and
events) piles up to a bound; past the bound it gets C{{"event": "lagged"}} with the number of the last event
that it was sent, as its last line, and is closed. Tables and statements, whose answers may be big, are made one at
a time for a session, and the next one when the last has been read (L{Turns}): so nobody is cut off for asking many.

A peer that has closed its own direction (C{printf ... | nc}) still gets the answers to what it asked, and the
events that it asked to be sent again. (TLS has no directions: one that closes there has left.)

Over TLS a session begins when its handshake is over. It has its place from the start, and as long for both as other
sessions have to show a token.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IHandshakeListener, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from ..finance.channels import Channels
from ..wire.codes import SessionType
from ..wire.errors import ExtIDInUse, InvalidData, ManagerError
from ..wire.messages import BadLine, Json, decode, encode, marker, response
from .auth import Principal
from .gate import hostOf
from .incoming import Incoming
from .inflight import NO_EXTID, InFlight
from .leaving import Leaving
from .limits import Turns
from .outgoing import Outgoing
from .seen import SessionSeen
from .stream import Stream
from .who import Who

if TYPE_CHECKING:
    from .factory import ManagerFactory

__all__ = ["ManagerProtocol"]


@implementer(IHalfCloseableProtocol, IHandshakeListener)
class ManagerProtocol(LineReceiver):
    """
    One connection.

    @ivar peer: where it is from.
    @ivar turns: when it may be made a big answer.
    @ivar write: sends whole lines, soon or when the peer reads; returns C{False} if that will never be: C{IStreamed}.
    """

    delimiter = b"\n"
    _log = Logger()

    factory: ManagerFactory
    # TCP, TLS, a UNIX socket, or a test's.
    transport: Any
    # An attribute, not a method: one call less for each line of each session.
    write: Callable[[bytes], bool]

    def __init__(self, number: int) -> None:
        self.number = number
        self._inFlight = InFlight()
        # Will it ask no more? Is it that we ask it to go? With what to say last?
        self._peerDone = self._finishing = False
        self._lastWord: ManagerError | None = None

    # -- life -------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        factory = self.factory
        self._since = factory.clock.seconds()
        self.peer: IAddress = self.transport.getPeer()
        self._out = Outgoing(self, factory)
        self.write = self._out.write
        self._in = Incoming(self, self._out, factory)
        self._stream = Stream(self, factory.events, factory.clock, factory.limits.bufferBytesMax)
        self.turns = Turns(factory.clock)
        self._who = Who(self, self._stream, factory)
        self._leaving = Leaving(self, factory.clock)
        if ITCPTransport.providedBy(self.transport) and not isinstance(self.transport.getHost(), UNIXAddress):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self._out, True)
        error = factory.admit(self)
        if error is not None:
            if self._who.isShaking:
                # To tell it would take a handshake, which is most of what a session costs.
                self.breakOff()
                return
            # Not counted among the sessions, so it may not linger.
            self.write(response(NO_EXTID, error.status, encode(error.data())))
            self._close()
            self.transport.loseConnection()
            return
        self._who.begin()

    def handshakeCompleted(self) -> None:
        """TLS stands: it may have shown who it is, and may be talked to."""
        if self._out.isOpen:
            self._who.handshakeCompleted()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._out.isOpen:
            self._who.lost(reason)
        self._out.drop()
        self._who.patience.stop()
        self._stream.close()
        self.turns.close()
        self._leaving.lost()
        self.factory.dismiss(self)

    def readConnectionLost(self) -> None:
        """The peer will ask no more; it may still read."""
        self._leaving.peerClosed = True
        if not self._out.isOpen:
            # It has heard the last, and that was all that we waited for.
            self.transport.loseConnection()
        elif not self._peerDone:
            self._peerDone = True
            self._closeIfDone()

    def writeConnectionLost(self) -> None:
        """Our own direction is closed; what remains is to wait for the peer."""

    def finish(self, lastWord: ManagerError | None = None) -> None:
        """Read no more; close when everything is answered, and with this as the last thing to say: C{ISomebody}."""
        self._peerDone = self._finishing = True
        self._lastWord = self._lastWord or lastWord
        self._setReading()
        self._closeIfDone()

    def _closeIfDone(self) -> None:
        if not self._out.isOpen or not self._peerDone or self._inFlight.count:
            return
        if self._lastWord is not None:
            self.endWith(self._lastWord)
        elif self._finishing:
            self._leave()
        elif not self._in.waiting and not self._stream.isReplaying:
            # Lines that had to wait are answered first.
            if self.clearLineBuffer().strip():
                self.endWith(InvalidData("the last line has no end"))
            self._leave()

    def endWith(self, error: ManagerError) -> None:
        """Say one last thing, and close: C{ISomebody}."""
        self._refuse(NO_EXTID, error)
        self._leave()

    def _refuse(self, extIDText: Json, error: ManagerError, name: str = "") -> None:
        """Say no, without asking anybody."""
        self.write(response(extIDText, error.status, encode(error.data())))
        self.factory.dispatcher.refused(self, extIDText, name, error)

    def _leave(self, lastLines: bytes = b"") -> None:
        """Close, and see that what was said arrives."""
        if self._out.isOpen:
            self._close(lastLines)
            self._leaving.close()

    def _close(self, lastLines: bytes = b"") -> None:
        """Nothing more is heard or said. A peer that does not take its leave is cut off."""
        self._out.stop()
        self._who.patience.stop()
        self._stream.close()
        self.turns.close()
        self._out.handOver(lastLines)
        self._leaving.linger()

    def cutOff(self) -> None:
        """End the connection, now."""
        self._leaving.cutOff()

    def seen(self) -> SessionSeen:
        """It, to look at."""
        principal = self.principal
        return SessionSeen(
            self.number,
            "" if principal is None else principal.id,
            "" if principal is None else SessionType(principal.role).name.removeprefix("SESSION_"),
            hostOf(self.peer),
            self._inFlight.count,
            self._out.waiting(),
            self._since,
            self._stream.seq,
            "" if principal is None else self.factory.auth.kidOf(principal),
            "" if principal is None else principal.tokenId,
            None if principal is None or principal.expires == inf else principal.expires,
        )

    def breakOff(self) -> None:
        """End it, without a word: C{ISomebody}."""
        self._out.drop()
        self._who.patience.stop()
        self.cutOff()

    # -- who --------------------------------------------------------------------------------------------

    @property
    def principal(self) -> Principal | None:
        """Who it speaks for: C{ISession} of dispatch."""
        return self._who.principal

    def authenticated(self, principal: Principal) -> None:
        """It has shown a valid token: C{ISession} of dispatch."""
        self._who.authenticated(principal)

    def denied(self, why: str) -> None:
        """A token was missing: C{ISession} of dispatch."""
        self._who.denied(why)

    def tokenRefused(self, why: str) -> None:
        """A token is not accepted: C{ISession} of dispatch."""
        self._who.tokenRefused(why)

    def recognize(self) -> bool:
        """
        Be who its certificate says, by what is configured now.

        @return: is it nobody any more?
        """
        return self._out.isOpen and self._who.recognize()

    def note(self, why: str, more: str) -> None:
        """Log what it did, being a stranger: C{ISomebody}."""
        peer = hostOf(self.peer)
        self._log.info("session {number} from {peer}: {why}{more}", number=self.number, peer=peer, why=why, more=more)

    # -- its events -------------------------------------------------------------------------------------

    def replayed(self) -> None:
        """It has what it asked to be sent again: C{IStreamed}."""
        self._closeIfDone()

    def expired(self) -> None:
        """The time of what its last token gave it is up; the next valid one gives it again: C{IStreamed}."""
        self._who.expired()
        self._closeIfDone()

    def disbelieve(self) -> None:
        """What its last token gave it is taken away, as if the time of that were up."""
        self._stream.expire()

    @property
    def channels(self) -> Channels:
        """What it has chosen to be sent: C{ISession} of dispatch."""
        return self._stream.channels

    def subscribe(self, channels: Channels, after: int | None) -> None:
        """Choose; and, once this is answered, go back to an entry of the log: C{ISession} of dispatch."""
        self._stream.subscribe(channels, after)

    def hold(self) -> None:
        """Send no events until it is known where to go back to: C{ISubscriber} of its context."""
        self._stream.hold()

    def goOn(self) -> None:
        """It does not go back: C{ISubscriber} of its context."""
        self._stream.goOn()

    # -- in ---------------------------------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        if self._out.isOpen and self._in.add(data):
            with self.factory.outbox:
                self._in.workOff()
                if self._peerDone:
                    self._closeIfDone()

    def clearLineBuffer(self) -> bytes:
        return self._in.clear()

    def lineReceived(self, line: bytes) -> None:
        if line.endswith(b"\r"):
            line = line[:-1]
        if len(line) > self.factory.limits.lineBytesMax:
            self.lineLengthExceeded(line)
            return
        if not self._out.isOpen or not line.strip():
            return
        try:
            request = decode(line)
        except BadLine as e:
            self._refuse(e.extID, e.error)
            self._who.lineRefused()
            return
        try:
            again = self._inFlight.begin(request.extIDText, request.data.get("idempotency_key"))
        except ExtIDInUse as e:
            self._refuse(request.extIDText, e, request.command)
            return
        if self._inFlight.count >= self.factory.limits.inFlightMax:
            self._setReading()
        self.factory.dispatcher.dispatch(self, request, again)

    def lineLengthExceeded(self, line: bytes) -> None:
        if self._out.isOpen:
            self.endWith(InvalidData(f"a line may have at most {self.factory.limits.lineBytesMax} bytes"))

    def _setReading(self) -> None:
        """Pause or resume the transport, as it should be now."""
        if self._out.isOpen:
            isBusy = self._inFlight.count >= self.factory.limits.inFlightMax
            self._in.setReading(self._out.peerReads and not self._finishing and not isBusy)

    # -- out --------------------------------------------------------------------------------------------

    def isOpen(self) -> bool:
        """Is anybody there to be answered? C{ISession} of dispatch."""
        return self._out.isOpen

    def answer(self, extIDText: Json, status: int, data: Json, *, replayed: bool = False) -> None:
        """Send the one answer to a request, by its C{extID}: C{ISession} of dispatch."""
        self._inFlight.end(extIDText)
        self.write(response(extIDText, status, data, replayed=replayed))
        self._stream.answered()
        if self._who.patience.refusals and self._out.isOpen:
            self._who.check()
        if not self._in.isReading:
            self._setReading()
        if self._peerDone:
            # More may have been read already; only then is it known to be all.
            self._closeIfDone()

    def cutShort(self, event: str, why: str) -> None:
        """It cannot be sent what it should be: say how far it came, and close: C{IStreamed}."""
        seq = self._stream.seq
        self._log.info("session {number} is closed at event {seq}: {why}", number=self.number, seq=seq, why=why)
        self._leave(marker(event, {"seq": seq}))

    def lagged(self, piled: int) -> None:
        """It does not read, and so many bytes have piled up: C{ISpeaking}."""
        self.factory.slowReaders += 1
        self.cutShort("lagged", f"it does not read, and {piled} bytes have piled up")

    def tooMuch(self) -> None:
        """Too much waits for those who do not read, and of those it is the first: C{IUnread}."""
        self._log.info(
            "session {number} is cut off: it has not read for longest, and too much waits for all those who do not",
            number=self.number,
        )
        self.factory.slowReaders += 1
        self._out.stop()
        self.cutOff()

    def peerReads(self, reads: bool) -> None:
        """What was written has, or has not, left for the peer: C{ISpeaking}."""
        if self._out.setPeerReads(reads):
            self._setReading()
            # To flush may have filled the transport again.
            self.turns.setPeerReads(self._out.peerReads)
            self._stream.setPeerReads(self._out.peerReads)
