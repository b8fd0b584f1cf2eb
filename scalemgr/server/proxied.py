"""Connections that come through a proxy, which says of whom (L{scalemgr.wire.proxyheader}).

Who connects from one of the addresses that C{proxies} names must say so first, before TLS too; from then on the peer is
the one that it names, for everybody who asks the transport. Who connects from elsewhere is served as he is, and a
header that he sends is what any other bytes would be: anybody could say that he is somebody else.

A proxy that sends something else, or no header in time, is closed, and a line says which one it is (L{Sparing}). One
that connects and goes away again, with or without a header that names nobody, has only looked whether somebody is
there: of that there is nothing to be said.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    ILoggingContext,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides, directlyProvides, implementer, providedBy

from ..wire.proxyheader import BadHeader, readHeader
from .gate import Gate, hostOf
from .sparing import Sparing

__all__ = ["HEADER_S", "WAITING_MAX", "Proxies"]

#: How long a proxy may take for its header, in seconds; one that is there for itself, for its first byte after it, too.
HEADER_S = 5.0
#: How many connections may be at that.
WAITING_MAX = 1000


class Proxies:
    """
    What is done with those who are proxies.

    @param gate: knows who is one.
    @param sparing: for what strangers do.
    @param refused: is called for each connection that is closed for want of a header.
    @ivar clock: what their time is taken by.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, gate: Gate, sparing: Sparing, refused: Callable[[], object]) -> None:
        self.clock = clock
        self._gate = gate
        self._sparing = sparing
        self._refused = refused
        # Those whose headers are yet to come.
        self._waiting: dict[_Headed, None] = {}

    def before(self, factory: IProtocolFactory) -> IProtocolFactory:
        """Make what builds sessions of this factory behind proxies, and for everybody else as ever."""
        return _Factory(self, factory)

    def build(self, factory: IProtocolFactory, addr: IAddress) -> IProtocol | None:
        """Somebody has connected."""
        return _Headed(self, factory) if self._gate.isProxy(addr) else factory.buildProtocol(addr)

    def enter(self, connection: _Headed) -> bool:
        """One waits for its header from now on, if there is room for that."""
        if len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting[connection] = None
        return True

    def leave(self, connection: _Headed) -> None:
        """It does not any more."""
        self._waiting.pop(connection, None)

    def tell(self, proxy: IAddress, why: str) -> None:
        """A proxy was closed: log why."""
        self._refused()
        more = self._sparing.more()
        if more is not None:
            self._log.warn(
                "a connection from the proxy {proxy} is closed: {why}{more}", proxy=hostOf(proxy), why=why, more=more
            )

    def close(self) -> None:
        """The doors are shut: whoever has yet to say of whom he speaks does not get in any more."""
        for connection in tuple(self._waiting):
            connection.drop()

    def __len__(self) -> int:
        """How many connections wait for their headers."""
        return len(self._waiting)


@implementer(IProtocolFactory, ILoggingContext)
class _Factory:
    """What a door builds its sessions with."""

    def __init__(self, proxies: Proxies, inside: IProtocolFactory) -> None:
        self._proxies = proxies
        self._inside = inside

    def doStart(self) -> None:
        self._inside.doStart()

    def doStop(self) -> None:
        self._inside.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        return self._proxies.build(self._inside, addr)

    def logPrefix(self) -> str:
        context = ILoggingContext(self._inside, None)
        return type(self._inside).__name__ if context is None else context.logPrefix()


class _Headed(Protocol):
    """One connection of a proxy: first its header, then all that it is about is somebody else's."""

    # TCP, or a test's.
    transport: Any

    def __init__(self, proxies: Proxies, factory: IProtocolFactory) -> None:
        self._proxies = proxies
        self._factory = factory
        self._data = b""
        self._inside: Any = None
        self._late: IDelayedCall | None = None
        # Is it there for itself, and has said no more than that?
        self._isLooking = False
        self._isOver = False

    def connectionMade(self) -> None:
        if self._proxies.enter(self):
            self._late = self._proxies.clock.callLater(HEADER_S, self._isLate)
        else:
            self._refuse(f"{WAITING_MAX} others have yet to send their PROXY headers")

    def dataReceived(self, data: bytes) -> None:
        if self._inside is not None:
            self._inside.dataReceived(data)
        elif self._isLooking:
            self._begin(self.transport, data)
        elif not self._isOver:
            self._data += data
            self._read()

    def _read(self) -> None:
        try:
            header = readHeader(self._data)
        except BadHeader as e:
            self._refuse(str(e))
            return
        if header is None:
            return
        rest, self._data = self._data[header.size :], b""
        if header.host:
            kind = IPv6Address if ip_address(header.host).version == 6 else IPv4Address
            self._begin(_Relayed(self.transport, kind("TCP", header.host, header.port)), rest)
        elif rest:
            self._begin(self.transport, rest)
        else:
            self._isLooking = True

    def _begin(self, transport: Any, data: bytes) -> None:
        """Let in whoever it is."""
        self._stop()
        inside = self._inside = self._factory.buildProtocol(transport.getPeer())
        if inside is None:
            self.drop()
            return
        if IHalfCloseableProtocol.providedBy(inside):
            alsoProvides(self, IHalfCloseableProtocol)
        inside.makeConnection(transport)
        if data:
            inside.dataReceived(data)

    def _isLate(self) -> None:
        self._late = None
        if self._isLooking:
            self.drop()
        else:
            self._refuse(f"it has sent no PROXY header within {HEADER_S:g} seconds")

    def _refuse(self, why: str) -> None:
        self._proxies.tell(self.transport.getPeer(), why)
        self.drop()

    def drop(self) -> None:
        """End it, without a word."""
        self._stop()
        self.transport.abortConnection()

    def _stop(self) -> None:
        """It does not wait any more."""
        self._isOver, self._isLooking = True, False
        late, self._late = self._late, None
        if late is not None:
            late.cancel()
        self._proxies.leave(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inside is not None:
            self._inside.connectionLost(reason)
        elif not self._isOver:
            if self._data:
                self._proxies.tell(self.transport.getPeer(), "it has left in the middle of its PROXY header")
            self._stop()

    # If those inside care for them.

    def readConnectionLost(self) -> None:
        self._inside.readConnectionLost()

    def writeConnectionLost(self) -> None:
        self._inside.writeConnectionLost()


class _Relayed:
    """A proxy's transport, whose peer is the one that the proxy speaks for. All else is as it is."""

    def __init__(self, transport: Any, peer: IAddress) -> None:
        self._transport = transport
        self._peer = peer
        # An attribute of its own: it is what is asked for most.
        self.write = transport.write
        directlyProvides(self, providedBy(transport))

    def getPeer(self) -> IAddress:
        return self._peer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
