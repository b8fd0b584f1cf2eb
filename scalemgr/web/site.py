"""The site: how HTTP is spoken here, and how much of it.

Everything is bounded. A connection has L{REQUEST_S} for each request, from when it may begin to when it is whole,
however slowly it drips, and as long for its answer to be taken; a request has L{BODY_MAX} bytes at most; and there are
L{CONNECTIONS_MAX} connections: one more is closed, and so is, on an address that is not only this machine's own, one
from where nobody may come from, or where half of them are from already: a load balancer is still answered then. (One
that C{[access]} names among its proxies may always look whether the house is ready.)

However many requests come at once, on one connection or on many, one is answered in each turn of the reactor, so that
deposits go on in between; and none while its peer has yet to read what it was answered before.

No answer says which software this is, in which version; none is kept by whoever passes it on; and nobody who asks is
written down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from ..server.factory import TurnedAway
from ..server.gate import Gate, hostOf, neighboursOf
from .guard import Guard
from .resources import Refusal

__all__ = ["BODY_MAX", "CONNECTIONS_MAX", "NEIGHBOURS_MAX", "REQUEST_S", "WebSite"]

#: How long a connection may take for a request, and for the answer to leave, in seconds.
REQUEST_S = 20.0
#: How many bytes the body of a request may have: a token has 8 KiB at most.
BODY_MAX = 16 * 1024
#: How many connections there may be.
CONNECTIONS_MAX = 128
#: How many from one address, unless it is this machine's.
NEIGHBOURS_MAX = CONNECTIONS_MAX // 2

# How long one that is closed may take to read the rest, in seconds.
_LINGER_S = 1.0

_TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

# What every answer says, unless it says otherwise.
_HEADERS = {
    b"Cache-Control": b"no-store",
    b"Content-Security-Policy": b"default-src 'none'; frame-ancestors 'none'",
    b"Referrer-Policy": b"no-referrer",
    b"X-Content-Type-Options": b"nosniff",
}


class _Channel(HTTPChannel):
    """
    One connection.

    @ivar peerReads: has what was written left for the peer, as far as it matters?
    """

    site: WebSite
    # TCP, TLS, or a test's.
    transport: Any
    peerReads = True
    _late: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.channels[self] = None
        self._hurry()

    def requestDone(self, request: Request) -> None:
        # The next request may be here already, and be worked off in this.
        self._hurry()
        super().requestDone(request)

    def pauseProducing(self) -> None:
        self.peerReads = False
        super().pauseProducing()

    def resumeProducing(self) -> None:
        self.peerReads = True
        super().resumeProducing()
        self.site.answerNext()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.calm()
        super().connectionLost(reason)
        self.site.gone(self)

    def _hurry(self) -> None:
        self.calm()
        self._late = self.site.timer.callLater(REQUEST_S, self.cutOff)

    def calm(self) -> None:
        """The request has been taken; what it is answered may take its time."""
        late, self._late = self._late, None
        if late is not None and late.active():
            late.cancel()

    def refuse(self, answer: bytes) -> None:
        """Say this, and close."""
        self.transport.write(answer)
        self.loseConnection()

    def cutOff(self) -> None:
        """End it, now."""
        self.transport.abortConnection()


class _Request(Request):
    """One request."""

    defaultContentType = b"text/plain; charset=utf-8"
    channel: _Channel
    # A file in memory.
    content: Any
    _isTooLarge = False

    def gotLength(self, length: int | None) -> None:
        # Not a file on the disk, however much is announced: no more than this is taken.
        super().gotLength(0)
        self._check(length or 0)

    def handleContentChunk(self, data: bytes) -> None:
        self._check(self.content.tell() + len(data))
        if not self._isTooLarge:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if not self._isTooLarge:
            self.channel.site.asked(self.channel, lambda: self._begin(command, path, version))

    def _begin(self, command: bytes, path: bytes, version: bytes) -> None:
        """It is its turn."""
        self.channel.calm()
        # Twisted would read anybody's form, before it is known whether there is one to be read, and trip over odd ones.
        self.requestHeaders.removeHeader(b"content-type")
        super().requestReceived(command, path, version)

    def _check(self, size: int) -> None:
        if size > BODY_MAX and not self._isTooLarge:
            self._isTooLarge = True
            self.channel.refuse(_TOO_LARGE)


class WebSite(Site):
    """
    The site.

    @param front: the folder of all pages.
    @param timer: what is waited by.
    @param gate: knows from where nobody may come.
    @ivar channels: the connections that there are.
    """

    # Without Twisted's switch between versions of HTTP.
    protocol: Any = _Channel
    noisy = False

    def __init__(self, front: Resource, guard: Guard, timer: IReactorTime, gate: Gate) -> None:
        # Its own time-out begins anew with each byte that comes; ours does not.
        super().__init__(front, requestFactory=_Request, timeout=None, reactor=timer)
        self.timer = timer
        self.channels: dict[_Channel, None] = {}
        self._guard = guard
        self._gate = gate
        # The requests that have come, of each connection one: what answers them.
        self._asked: dict[_Channel, Callable[[], None]] = {}
        self._isTurnTaken = False
        self._finished: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:
        isAllowed = self._gate.isAllowed(addr) or self._gate.isProxy(addr)
        isWelcome = self._guard.isLocal or (isAllowed and self._isRoomFor(addr))
        return super().buildProtocol(addr) if isWelcome and len(self.channels) < CONNECTIONS_MAX else TurnedAway()

    def _isRoomFor(self, addr: IAddress | None) -> bool:
        """Is there room for one more from there?"""
        neighbours = neighboursOf(hostOf(addr))
        there = sum(neighboursOf(hostOf(channel.transport.getPeer())) == neighbours for channel in self.channels)
        return there < NEIGHBOURS_MAX

    def log(self, request: object) -> None:
        """Nobody is written down."""

    def getResourceFor(self, request: Request) -> IResource:
        request.responseHeaders.removeHeader(b"Server")
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        if not self._guard.isMeant(request):
            return Refusal(421, "This is not the house that your browser was told of: it is localhost, or 127.0.0.1.")
        found: IResource = super().getResourceFor(request)
        return found

    def asked(self, channel: _Channel, begin: Callable[[], None]) -> None:
        """
        A request has come, and waits for its turn.

        @param begin: begins to answer it.
        """
        self._asked[channel] = begin
        self.answerNext()

    def answerNext(self) -> None:
        """Answer who has waited for longest, and reads, unless somebody was answered in this turn of the reactor."""
        channel = next((channel for channel in self._asked if channel.peerReads), None)
        if channel is not None and not self._isTurnTaken:
            self._isTurnTaken = True
            self.timer.callLater(0, self._turnOver)
            self._asked.pop(channel)()

    def _turnOver(self) -> None:
        self._isTurnTaken = False
        self.answerNext()

    def gone(self, channel: _Channel) -> None:
        """A connection has ended."""
        self.channels.pop(channel, None)
        self._asked.pop(channel, None)
        if self._finished is not None and not self.channels:
            finished, self._finished = self._finished, None
            finished.callback(None)

    def finish(self) -> Deferred[None]:
        """End all connections. Fires when they are gone."""
        finished = self._finished = Deferred()
        for channel in tuple(self.channels):
            channel.loseConnection()
        late = self.timer.callLater(_LINGER_S, self._cutOff)
        if not self.channels:
            self._finished = None
            finished.callback(None)

        def over(result: None) -> None:
            if late.active():
                late.cancel()

        return finished.addCallback(over)

    def _cutOff(self) -> None:
        for channel in tuple(self.channels):
            channel.cutOff()
