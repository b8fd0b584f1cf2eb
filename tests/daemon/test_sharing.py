"""Doors that several daemons have together: real sockets, and a reactor that does nothing by itself."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory
from twisted.internet.testing import MemoryReactorClock

from scalemgr.daemon.activation import HandedOver
from scalemgr.daemon.sharing import Sharing


class Reactor(MemoryReactorClock):
    """Adopts real sockets, and turns when it is told to."""

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: ServerFactory) -> Any:
        port: Any = tcp.Port._fromListeningDescriptor(self, fileDescriptor, addressFamily, factory)
        port.startListening()
        return port


class Counting(ServerFactory):
    """Counts who comes in, and closes."""

    def __init__(self) -> None:
        self.came: list[IAddress] = []

    def buildProtocol(self, addr: IAddress) -> None:
        self.came.append(addr)


@pytest.fixture
def listen() -> Iterator[Callable[..., Any]]:
    """Opens doors, and sees that all are closed."""
    opened: list[tuple[Reactor, Any]] = []

    def open(at: int, interface: str = "127.0.0.1", factory: ServerFactory | None = None) -> tuple[Reactor, Any]:
        reactor = Reactor()
        port = Sharing(reactor).listenTCP(at, factory or Counting(), 50, interface)
        opened.append((reactor, port))
        return opened[-1]

    yield open
    for reactor, port in opened:
        port.stopListening()
        reactor.advance(0)


@pytest.mark.parametrize("interface", ["127.0.0.1", "::1", "", "::"])
def test_several(listen: Callable[..., Any], interface: str) -> None:
    """Several may be at one address, of either kind; each is told where that is, and is asked to listen once."""
    _, first = listen(0, interface)
    at = first.getHost()
    _, second = listen(at.port, interface)
    assert second.getHost() == at
    second.startListening()


def test_notWithWhoDoesNotShare(listen: Callable[..., Any]) -> None:
    """Who does not share is not shared with: his address is taken, and that is said as ever."""
    with socket.create_server(("127.0.0.1", 0)) as alone, pytest.raises(CannotListenError) as caught:
        listen(alone.getsockname()[1])
    assert caught.value.socketError.errno == errno.EADDRINUSE
    with pytest.raises(CannotListenError):
        listen(0, "192.0.2.1")


def test_whoHasComeIsLetIn(listen: Callable[..., Any]) -> None:
    """A door that closes lets in first whoever is in its queue, however many, for he has been told that he is in."""
    factory = Counting()
    reactor, port = listen(0, factory=factory)
    at = port.getHost()
    peers = [socket.create_connection((at.host, at.port)) for _ in range(30)]
    # So few are taken at a time when little happens.
    port._port.numberAccepts = 1
    closed: Deferred[None] = port.stopListening()
    assert (factory.came, closed.called) == ([], False)
    peers.append(socket.create_connection((at.host, at.port)))
    reactor.advance(0)
    assert closed.called
    assert sorted(address.port for address in factory.came) == sorted(peer.getsockname()[1] for peer in peers)
    for peer in peers:
        peer.close()


def test_whatIsHandedOverIsNotShared(listen: Callable[..., Any]) -> None:
    """A socket of systemd's is used as it is; where there is none, the door is shared."""
    with socket.create_server(("127.0.0.1", 0)) as given:
        reactor = Reactor()
        over = HandedOver(reactor, [os.dup(given.fileno())])
        sharing = over.sharing()
        lent = sharing.listenTCP(given.getsockname()[1], Counting(), 50, "127.0.0.1")
        assert not over.unclaimed()
        over.checkClaimed()
        shared = sharing.listenTCP(0, Counting(), 50, "127.0.0.1")
        listen(shared.getHost().port)
        with pytest.raises(CannotListenError):
            listen(lent.getHost().port)
        shared.stopListening()
        lent.stopListening()
        reactor.advance(0)
        lent._port.loseConnection()
        reactor.advance(0)


def test_allElseIsTheReactors() -> None:
    """Of a reactor nothing else is changed."""
    reactor = Reactor()
    assert Sharing(reactor).callLater == reactor.callLater
