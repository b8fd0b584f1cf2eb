"""A session: lines in, lines out, and how much of either. No business.

Flow control. A session's transport is not read while as many of its requests are under way as it may have,
nor while it does not read what it was sent. What is sent to it meanwhile (the answers under way, and
events) piles up to a bound; past the bound it gets C{{"event": "lagged"}} with the number of the last event
that it was sent, as its last line, and is closed. Tables and statements, whose answers may be big, are made one at
a time for a session, and the next one when the last has been read (L{Turns}): so nobody is cut off for asking many.

A peer that has closed its own direction (C{printf ... | nc}) still gets the answers to what it asked, and the
events that it asked to be sent again. (TLS has no directions: one that closes there has left.)

Over TLS a session begins when its handshake is over: before that nothing is heard or said, and nobody is anybody. It
has its place from the start, and as long for both as other sessions have to show a token.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from cryptography.x509 import Certificate
from msgspec import Struct
from twisted.internet import tcp
from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from ..finance.channels import Channels
from ..wire.codes import SessionType
from ..wire.errors import ExtIDInUse, InvalidData, ManagerError, PermissionDenied, TokenRefused
from ..wire.messages import BadLine, Json, decode, encode, marker, response
from .auth import Principal
from .bearers import Nobody
from .gate import hostOf
from .handshakes import whyFailed
from .limits import Turns
from .stream import Stream
from .tokens import told

if TYPE_CHECKING:
    from .factory import ManagerFactory

__all__ = ["LINGER_S", "STRANGER_REFUSALS_MAX", "ManagerProtocol", "SessionSeen"]

#: How long a session that is being closed may take to read its last lines, in seconds.
LINGER_S = 5.0

#: How many lines of a peer that has shown no valid token are refused before it is closed.
STRANGER_REFUSALS_MAX = 100

# More than this does not wait for the rest of what there is to say.
_PILE_BYTES = 64 * 1024

# The mark that a session is closed because it does not read.
_LAGGED = "lagged"

_NULL = Json("null")
_BLANK = b"\r"


class SessionSeen(Struct, frozen=True):
    """
    A session, to look at.

    @ivar principal: the id of who it speaks for; empty: it has shown no valid token.
    @ivar role: the name of its C{SESSION_*}, less that; empty, too.
    @ivar peer: from where it came.
    @ivar inFlight: how many of its requests are under way.
    @ivar buffered: how many bytes wait for it to read.
    @ivar since: when it came, in unix seconds.
    @ivar seq: the entry up to which it was sent events.
    """

    number: int
    principal: str
    role: str
    peer: str
    inFlight: int
    buffered: int
    since: float
    seq: int


@implementer(IHalfCloseableProtocol, IHandshakeListener)
class ManagerProtocol(LineReceiver):
    """
    One connection.

    @ivar peer: where it is from.
    @ivar principal: who it speaks for, if it has shown a valid token, or a certificate that names somebody.
    @ivar turns: when it may be made a big answer.
    """

    delimiter = b"\n"
    _log = Logger()

    factory: ManagerFactory
    # TCP, TLS, a UNIX socket, or a test's.
    transport: Any

    def __init__(self, number: int) -> None:
        self.number = number
        self.principal: Principal | None = None
        # By extID: how many, and the key that they name.
        self._inFlight: dict[str, tuple[int, object]] = {}
        self._underWay = 0
        self._lines: deque[bytes] = deque()
        self._partial = b""
        self._cutting = False
        self._refusals = 0
        # Since it last became somebody; and ever.
        self._badTokens = self._badTokensEver = 0
        self._reading = True
        self._peerReads = True
        self._peerDone = self._peerClosed = False
        self._finishing = False
        self._lastWord: ManagerError | None = None
        self._pile: list[bytes] = []
        self._piled = 0
        self._open = False
        # Is there nothing between us and the socket? And is something waiting in the transport, all the same?
        self._isStraight = self._isHeld = False
        # Is it TLS, and is the handshake yet to end? What was shown there, whose that is, and, if nobody's, why.
        self._isSecure = self._isShaking = False
        self._certificate: Certificate | None = None
        self._bearer: Principal | None = None
        self._nobody = ""
        self._wasDenied = False
        self._authTimer: IDelayedCall | None = None
        self._lingerTimer: IDelayedCall | None = None

    # -- life -------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        limits = self.factory.limits
        self._open = True
        self._since = self.factory.clock.seconds()
        self.peer: IAddress = self.transport.getPeer()
        self._stream = Stream(self, self.factory.events, self.factory.clock, limits.bufferBytesMax)
        self.turns = Turns(self.factory.clock)
        self._isStraight = isinstance(self.transport, tcp.Connection) and _isPlain(self.transport)
        self._isSecure = self._isShaking = bool(ISSLTransport.providedBy(self.transport))
        if ITCPTransport.providedBy(self.transport) and not isinstance(self.transport.getHost(), UNIXAddress):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(_Writing(self), True)
        error = self.factory.admit(self)
        if error is not None:
            if self._isShaking:
                # To tell it would take a handshake, which is most of what a session costs.
                self._break()
                return
            # Not counted among the sessions, so it may not linger.
            self.write(response(_NULL, error.status, encode(error.data())))
            self._close()
            self.transport.loseConnection()
            return
        if limits.authSeconds:
            self._authTimer = self.factory.clock.callLater(limits.authSeconds, self._authLate)
        if not self._isShaking:
            self._begin()

    def handshakeCompleted(self) -> None:
        """TLS stands: it may have shown who it is, and may be talked to."""
        self._isShaking = False
        if self._open:
            try:
                shown = self.transport.getPeerCertificate()
                self._certificate = None if shown is None else shown.to_cryptography()
            except ValueError as e:
                # OpenSSL is less particular.
                self.factory.refused["handshake"] += 1
                self._say(f"the certificate that it has shown cannot be read: {e}")
                self._break()
                return
            self.recognize()
            self._begin()

    def _begin(self) -> None:
        if self.principal is None and self.factory.auth.anonymous is not None:
            self.authenticated(self.factory.auth.anonymous)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._isShaking and self._open:
            why = whyFailed(self.transport, reason)
            if why is not None:
                self.factory.refused["handshake"] += 1
                self._say(f"the TLS handshake failed: {why}")
        self._open = False
        self._stopAuthTimer()
        self._stream.close()
        self.turns.close()
        timer, self._lingerTimer = self._lingerTimer, None
        if timer is not None:
            timer.cancel()
        self.factory.dismiss(self)

    def readConnectionLost(self) -> None:
        """The peer will ask no more; it may still read."""
        self._peerClosed = True
        if not self._open:
            # It has heard the last, and that was all that we waited for.
            self.transport.loseConnection()
        elif not self._peerDone:
            self._peerDone = True
            self._closeIfDone()

    def writeConnectionLost(self) -> None:
        """Our own direction is closed; what remains is to wait for the peer."""

    def finish(self) -> None:
        """Read no more; close when everything is answered."""
        self._peerDone = self._finishing = True
        self._setReading()
        self._closeIfDone()

    def _closeIfDone(self) -> None:
        if not self._open or not self._peerDone or self._underWay:
            return
        if self._lastWord is not None:
            self._endWith(self._lastWord)
        elif self._finishing:
            self._leave()
        elif not self._lines and not self._stream.isReplaying:
            # Lines that had to wait are answered first.
            if self.clearLineBuffer().strip():
                self._endWith(InvalidData("the last line has no end"))
            self._leave()

    def _endWith(self, error: ManagerError) -> None:
        """Say one last thing."""
        self._refuse(_NULL, error)
        self._leave()

    def _refuse(self, extIDText: Json, error: ManagerError, name: str = "") -> None:
        """Say no, without asking anybody."""
        self.write(response(extIDText, error.status, encode(error.data())))
        self.factory.dispatcher.refused(self, extIDText, name, error)

    def _leave(self) -> None:
        """Close, and see that what was said arrives."""
        if not self._open:
            return
        self._close()
        if _isPlain(self.transport) and not self._peerClosed:
            # To close with something unread would reset the connection, and what is on its way would be lost:
            # end our direction, and read on, into the void, until the peer has ended its own.
            LineReceiver.resumeProducing(self)
            self.transport.loseWriteConnection()
        else:
            if self._isSecure:
                # Its own word of leave has to be read.
                LineReceiver.resumeProducing(self)
            self.transport.loseConnection()

    def _close(self) -> None:
        """Nothing more is heard or said. A peer that does not take its leave is cut off."""
        self._open = False
        self._stopAuthTimer()
        self._stream.close()
        self.turns.close()
        self._flush()
        self.transport.unregisterProducer()
        self._lingerTimer = self.factory.clock.callLater(LINGER_S, self.cutOff)

    def cutOff(self) -> None:
        """End the connection, now."""
        timer, self._lingerTimer = self._lingerTimer, None
        if timer is not None and timer.active():
            timer.cancel()
        self.transport.abortConnection()

    def seen(self) -> SessionSeen:
        """It, to look at."""
        principal = self.principal
        return SessionSeen(
            self.number,
            "" if principal is None else principal.id,
            "" if principal is None else SessionType(principal.role).name.removeprefix("SESSION_"),
            hostOf(self.peer),
            self._underWay,
            max(self._piled, self.factory.unread.waiting(self)),
            self._since,
            self._stream.seq,
        )

    def _break(self) -> None:
        """End a handshake, without a word."""
        self._open = False
        self._stopAuthTimer()
        self.cutOff()

    # -- who --------------------------------------------------------------------------------------------

    def authenticated(self, principal: Principal) -> None:
        """It has shown a valid token, or a certificate: C{ISession} of dispatch."""
        if self._bearer is not None and principal.id != self._bearer.id:
            raise TokenRefused(
                f"it is of {told(principal.id)}, and the certificate of the session is of {self._bearer.id}"
            )
        self._stopAuthTimer()
        self.principal = principal
        self._badTokens = 0
        self._stream.authenticated(principal)

    def recognize(self) -> bool:
        """
        Be who its certificate says, by what is configured now: somebody, somebody else, or nobody.

        @return: is it nobody any more?
        """
        if self._certificate is None or not self._open:
            return False
        before = self._bearer
        try:
            bearer, self._nobody = self.factory.bearers.of(self._certificate), ""
        except Nobody as e:
            bearer, self._nobody = None, str(e)
        if bearer == before:
            return False
        self._bearer = bearer
        if self.principal is not before:
            return False  # It has shown a token since, which counts.
        if bearer is not None:
            self.authenticated(bearer)
            return False
        self.disbelieve()
        return True

    def replayed(self) -> None:
        """It has what it asked to be sent again: C{IStreamed}."""
        self._closeIfDone()

    def expired(self) -> None:
        """The time of what its last token gave it is up; the next valid one gives it again: C{IStreamed}."""
        self.principal = None
        # What it got wrong while it was known does not count.
        self._refusals = 0
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

    def denied(self, why: str) -> None:
        """A token was missing: C{ISession} of dispatch. Said once a session, so it cannot flood the log."""
        self._refusals += 1
        if not self._wasDenied:
            self._wasDenied = True
            self._say(f"{why}; {self._nobody}" if self._nobody and self.principal is None else why)

    def tokenRefused(self, why: str) -> None:
        """A token is not accepted: C{ISession} of dispatch. So many of them end the session, and so many are logged."""
        badTokensMax = self.factory.limits.badTokensMax
        self._refusals += 1
        self._badTokens += 1
        self._badTokensEver += 1
        if self._badTokensEver <= badTokensMax:
            self._say(f"a token is refused: {why}")
        if self._badTokens >= badTokensMax and self._lastWord is None:
            # What is under way is answered first, so that nothing is left uncertain by it.
            self._lastWord = PermissionDenied("too many tokens that are not valid")
            self.finish()

    def _say(self, why: str) -> None:
        """Log what a stranger did."""
        more = self.factory.sparing.more()
        if more is not None:
            peer = hostOf(self.peer)
            self._log.info(
                "session {number} from {peer}: {why}{more}", number=self.number, peer=peer, why=why, more=more
            )

    def _authLate(self) -> None:
        self._authTimer = None
        if self._isShaking:
            self.factory.refused["handshake"] += 1
            self._say(f"its TLS handshake is not over after {self.factory.limits.authSeconds:g} seconds")
            self._break()
            return
        error = PermissionDenied(f"no valid __token within {self.factory.limits.authSeconds:g} seconds")
        self.denied(error.message)
        self._endWith(error)

    def _stopAuthTimer(self) -> None:
        timer, self._authTimer = self._authTimer, None
        if timer is not None:
            timer.cancel()

    # -- in ---------------------------------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Cut a chunk into lines, once: LineReceiver's own way copies what is left of it for each line in it, so
        that a peer who sends nothing but line ends could keep the reactor busy.
        """
        if not self._open:
            return
        *lines, self._partial = (self._partial + data).split(self.delimiter)
        self._lines.extend(line for line in lines if line and line != _BLANK)
        if not self._cutting:
            self._cutting = True
            with self.factory.outbox:
                try:
                    while self._lines and self._open and not self.paused:
                        self.lineReceived(self._lines.popleft())
                finally:
                    self._cutting = False
                # One more, for the CR before the LF.
                if len(self._partial) > self.factory.limits.lineBytesMax + 1:
                    self.lineLengthExceeded(self._partial)
                if self._peerDone:
                    self._closeIfDone()

    def clearLineBuffer(self) -> bytes:
        partial, self._partial = self._partial, b""
        return partial

    def lineReceived(self, line: bytes) -> None:
        if line.endswith(b"\r"):
            line = line[:-1]
        if len(line) > self.factory.limits.lineBytesMax:
            self.lineLengthExceeded(line)
            return
        if not self._open or not line.strip():
            return
        try:
            request = decode(line)
        except BadLine as e:
            self._refuse(e.extID, e.error)
            self._countRefusal()
            return
        again = False
        if request.extID is not None:
            key = request.data.get("idempotency_key")
            underWay = self._inFlight.get(request.extIDText)
            if underWay is None:
                self._inFlight[request.extIDText] = 1, key
            elif underWay[1] != key:
                self._refuse(request.extIDText, ExtIDInUse(), request.command)
                return
            else:
                again = True
                self._inFlight[request.extIDText] = underWay[0] + 1, key
        self._underWay += 1
        if self._underWay >= self.factory.limits.inFlightMax:
            self._setReading()
        self.factory.dispatcher.dispatch(self, request, again)

    def _countRefusal(self) -> None:
        """A peer that nobody knows may be wrong only so often; one that is known may be wrong for ever."""
        self._refusals += 1
        self._checkStranger()

    def _checkStranger(self) -> None:
        if self.principal is None and self._refusals >= STRANGER_REFUSALS_MAX:
            self._endWith(PermissionDenied("too many lines without a valid __token"))

    def lineLengthExceeded(self, line: bytes) -> None:
        if self._open:
            self._endWith(InvalidData(f"a line may have at most {self.factory.limits.lineBytesMax} bytes"))

    def _setReading(self) -> None:
        """Pause or resume the transport, as it should be now."""
        wanted = self._peerReads and not self._finishing and self._underWay < self.factory.limits.inFlightMax
        if wanted != self._reading and self._open:
            self._reading = wanted
            if wanted:
                self.resumeProducing()
            else:
                self.pauseProducing()

    # -- out --------------------------------------------------------------------------------------------

    def isOpen(self) -> bool:
        """Is anybody there to be answered? C{ISession} of dispatch."""
        return self._open

    def answer(self, extIDText: Json, status: int, data: Json, *, replayed: bool = False) -> None:
        """Send the one answer to a request, by its C{extID}: C{ISession} of dispatch."""
        self._underWay -= 1
        if extIDText != _NULL:
            count, key = self._inFlight.pop(extIDText)
            if count > 1:
                self._inFlight[extIDText] = count - 1, key
        self.write(response(extIDText, status, data, replayed=replayed))
        self._stream.answered()
        if self._refusals and self._open:
            self._checkStranger()
        if not self._reading:
            self._setReading()
        if self._peerDone:
            # More may have been read already; only then is it known to be all.
            self._closeIfDone()

    def write(self, lines: bytes) -> bool:
        """Send whole lines, soon or when the peer reads; C{False} if that will never be: C{IStreamed}."""
        if not self._open:
            return False
        piled = self._piled + len(lines)
        if self._peerReads:
            self._pile.append(lines)
            self._piled = piled
            if self.factory.outbox.isOpen and piled < _PILE_BYTES:
                self.factory.outbox.add(self)
            else:
                self._flush()
            return True
        if piled > self.factory.limits.bufferBytesMax:
            self.cutShort(_LAGGED, f"it does not read, and {self._piled} bytes have piled up")
            return False
        self._pile.append(lines)
        self._piled = piled
        self.factory.unread.add(self, len(lines))
        return self._open

    def flush(self) -> None:
        """All is said for now: C{IOutgoing}."""
        if self._open and self._peerReads:
            self._flush()

    def _flush(self) -> None:
        """Hand what has piled up to the transport."""
        pile, self._pile, self._piled = b"".join(self._pile), [], 0
        if pile and self._isStraight and not self._isHeld:
            # To let the transport do it takes two more system calls, and leaves it for the reactor's next turn.
            sent = self.transport.writeSomeData(pile)
            # If it failed, the reactor finds out for itself.
            pile = pile if isinstance(sent, Exception) else pile[sent:]
        if pile:
            self.transport.write(pile)
            if self._isStraight:
                self.transport.doWrite()
                self._isHeld = bool(self.transport.dataBuffer)
            if self._open and not self._peerReads:
                self.factory.unread.add(self, len(pile))

    def cutShort(self, event: str, why: str) -> None:
        """It cannot be sent what it should be: say how far it came, and close: C{IStreamed}."""
        if event == _LAGGED:
            self.factory.slowReaders += 1
        self._log.info(
            "session {number} is closed at event {seq}: {why}", number=self.number, seq=self._stream.seq, why=why
        )
        self._pile.append(marker(event, {"seq": self._stream.seq}))
        self._leave()

    def tooMuch(self) -> None:
        """Too much waits for those who do not read, and of those it is the first: C{IUnread}."""
        self._log.info(
            "session {number} is cut off: it has not read for longest, and too much waits for all those who do not",
            number=self.number,
        )
        self.factory.slowReaders += 1
        self._open = False
        self.cutOff()

    def peerReads(self, reads: bool) -> None:
        """What was written has, or has not, left for the peer. May be told the same thing again and again."""
        if reads == self._peerReads:
            return
        self._peerReads = reads
        if reads:
            self.factory.unread.forget(self)
            self._flush()
        self._setReading()
        # To flush may have filled the transport again.
        self.turns.setPeerReads(self._peerReads)
        self._stream.setPeerReads(self._peerReads)


def _isPlain(transport: object) -> bool:
    """Is there nothing between us and the socket?"""
    return bool(ITCPTransport.providedBy(transport)) and not ISSLTransport.providedBy(transport)


class _Writing:
    """The producer of what a session writes, as the transport sees it; the session itself is a reader's."""

    def __init__(self, session: ManagerProtocol) -> None:
        self._session = session

    def pauseProducing(self) -> None:
        self._session.peerReads(False)

    def resumeProducing(self) -> None:
        self._session.peerReads(True)

    def stopProducing(self) -> None:
        """The connection is being lost; connectionLost does what there is to do."""
