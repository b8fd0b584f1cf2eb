"""Doors that several daemons of one machine have together (C{SO_REUSEPORT}): the kernel gives each its share of those
who come.

All of them must want that, and be of one user: then each has a socket of its own at the same address, with a queue of
its own. One that closes lets in first who is in its queue already, for the kernel would hang up on them. (The sysctl
C{net.ipv4.tcp_migrate_req=1} moves to another's queue who comes in between. Where systemd holds the sockets none is
closed.)
"""

from __future__ import annotations

import select
import socket
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from zope.interface import implementer

__all__ = ["Sharing"]

# So often at most does one that closes look into its queue, which has no more than its backlog.
_LOOKS_MAX = 100


class Sharing:
    """A reactor that, asked to listen on TCP, shares the address with others that do."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = "") -> IListeningPort:
        """C{IReactorTCP}."""
        family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
        with socket.socket(family) as made:
            try:
                made.setblocking(False)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                made.bind(_resolve(family, interface, port))
                made.listen(backlog)
            except OSError as e:
                raise CannotListenError(interface, port, e) from e
            # The port has one of its own.
            return _Shared(self._reactor, self._reactor.adoptStreamPort(made.fileno(), family, factory))


def _resolve(family: int, interface: str, port: int) -> tuple[Any, ...]:
    if family == socket.AF_INET:
        return interface, port
    found: tuple[Any, ...] = socket.getaddrinfo(interface, port, family, flags=socket.AI_NUMERICHOST)[0][4]
    return found


@implementer(IListeningPort)
class _Shared:
    """A port that does not hang up on those who have come already."""

    def __init__(self, reactor: Any, port: Any) -> None:
        self._reactor = reactor
        self._port = port

    def startListening(self) -> None:
        """It does."""

    def stopListening(self) -> Any:
        # The port closes in the next turn; this is the last thing before that.
        self._reactor.callLater(0, self._letIn)
        return self._port.stopListening()

    def _letIn(self) -> None:
        if not self._port.connected:
            return  # It is closed already.
        waiting = select.poll()
        waiting.register(self._port, select.POLLIN)
        for _ in range(_LOOKS_MAX):
            if not waiting.poll(0):
                break
            self._port.doRead()

    def getHost(self) -> IAddress:
        host: IAddress = self._port.getHost()
        return host
