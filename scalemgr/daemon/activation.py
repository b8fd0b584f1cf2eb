"""Doors that are open before the daemon is: sockets that systemd listens on, and hands over (socket activation).

They belong to C{etc/scalemgr.socket}, so they stay open when the daemon ends, and whoever comes meanwhile waits for the
next one instead of being refused. Nothing has to be said twice for that: C{listen} is as ever, and where an endpoint of
it is an address that systemd listens on already, its socket is used (with TLS or whatever else the endpoint says).
An address that is handed over and in no endpoint is an error: nobody would answer there.

Whether they have names does not matter: systemd gives them some, C{systemd-socket-activate} does only if it is told to.
Only an endpoint that asks for one (C{systemd:}, which is Twisted's) needs it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from .doors import StartFailed, shown
from .sharing import Sharing

__all__ = ["HandedOver", "inherited", "startedWith"]

# The descriptor that is the first of those that are handed over.
_FIRST = 3

# What "on all of this machine's addresses" is called by those who have bound it.
_EVERYWHERE = {ip_address("0.0.0.0"), ip_address("::")}


def startedWith() -> dict[str, str]:
    """The environment that this process was started with, whatever was changed of it since; empty: it is not known."""
    try:
        written = Path("/proc/self/environ").read_bytes()
    except OSError:
        return {}
    return dict(os.fsdecode(line).split("=", 1) for line in written.split(b"\0") if b"=" in line)


def inherited(reactor: Any, environ: Mapping[str, str], pid: int) -> list[int]:
    """
    The descriptors that this process was handed over. Twisted has read of them first, and tells by its endpoints; but
    of what has no names, or not as many as there are, it forgets all, and takes it out of C{os.environ} all the same.

    @param environ: what the process was started with.
    @param pid: its number.
    """
    numbers: list[int] = []
    try:
        while True:
            endpoint: Any = serverFromString(reactor, f"systemd:domain=INET:index={len(numbers)}")
            numbers.append(endpoint.fileno)
    except IndexError:
        pass
    count = environ.get("LISTEN_FDS", "")
    if numbers or environ.get("LISTEN_PID") != str(pid) or not count.isdecimal():
        return numbers
    return list(range(_FIRST, _FIRST + int(count)))


class HandedOver:
    """
    A reactor that, asked to listen where one of these sockets does, takes that.

    @param numbers: descriptors of sockets that listen.
    """

    def __init__(self, reactor: Any, numbers: Iterable[int]) -> None:
        self._reactor = reactor
        # Those that nobody has asked for, with where they are.
        self._free = {number: _addressOf(number) for number in numbers}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def sharing(self) -> HandedOver:
        """The same sockets; but those that are not among them are shared with other daemons of this machine."""
        other = HandedOver(Sharing(self._reactor), ())
        other._free = self._free
        return other

    def unclaimed(self) -> list[IAddress]:
        """Where nobody has asked to listen."""
        return list(self._free.values())

    def checkClaimed(self) -> None:
        """
        All have asked who will.

        @raise StartFailed: if a socket is left.
        """
        if self._free:
            raise StartFailed(
                f"systemd hands over {', '.join(map(shown, self.unclaimed()))}, and no endpoint of listen is there: "
                "add one to the configuration, or take it out of the socket unit"
            )

    def listenTCP(self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = "") -> IListeningPort:
        """C{IReactorTCP}."""

        def isIt(address: IAddress) -> bool:
            return (
                isinstance(address, (IPv4Address, IPv6Address))
                and address.port == port
                and _isOn(interface, address.host)
            )

        found = self._adopt(isIt, factory)
        return self._reactor.listenTCP(port, factory, backlog, interface) if found is None else found

    def listenSSL(
        self, port: int, factory: IProtocolFactory, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """C{IReactorSSL}."""
        return self.listenTCP(port, TLSMemoryBIOFactory(contextFactory, False, factory), backlog, interface)

    def listenUNIX(
        self, address: str, factory: IProtocolFactory, backlog: int = 50, mode: int = 0o666, wantPID: bool = False
    ) -> IListeningPort:
        """C{IReactorUNIX}."""
        found = self._adopt(UNIXAddress(address).__eq__, factory)
        return self._reactor.listenUNIX(address, factory, backlog, mode, wantPID) if found is None else found

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory) -> IListeningPort:
        """C{IReactorSocket}: for an endpoint that names a socket (C{systemd:}), and is right about its kind or not."""
        address = self._free.pop(fileDescriptor, None)
        family = addressFamily if address is None else _familyOf(fileDescriptor)
        port = self._reactor.adoptStreamPort(fileDescriptor, family, factory)
        return port if address is None else _Lent(port)

    def _adopt(self, isIt: Callable[[IAddress], object], factory: IProtocolFactory) -> IListeningPort | None:
        for number, address in self._free.items():
            if isIt(address) is True:
                os.set_blocking(number, False)
                port = self.adoptStreamPort(number, 0, factory)
                # The port has one of its own.
                os.close(number)
                return port
        return None


@implementer(IListeningPort)
class _Lent:
    """
    A port whose socket is somebody else's. It is not closed, which would take the file of a UNIX socket away; it is not
    attended to any more, and who comes waits for who comes next.
    """

    def __init__(self, port: Any) -> None:
        self._port = port

    def startListening(self) -> None:
        """It does."""

    def stopListening(self) -> None:
        self._port.stopReading()

    def getHost(self) -> IAddress:
        host: IAddress = self._port.getHost()
        return host


def _socketOf(number: int) -> socket.socket:
    return socket.socket(fileno=os.dup(number))


def _familyOf(number: int) -> int:
    with _socketOf(number) as found:
        return found.family


def _addressOf(number: int) -> IAddress:
    try:
        with _socketOf(number) as found:
            name = found.getsockname()
            if found.type == socket.SOCK_STREAM and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                if found.family == socket.AF_INET:
                    return IPv4Address("TCP", *name)
                if found.family == socket.AF_INET6:
                    return IPv6Address("TCP", *name)
                if found.family == socket.AF_UNIX:
                    return UNIXAddress(name)
    except OSError:
        # It is no socket at all.
        pass
    return _NoDoor(number)


@implementer(IAddress)
class _NoDoor:
    """Something else that was handed over. No endpoint is there."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __str__(self) -> str:
        return f"descriptor {self._number}, which takes no connections"


def _isOn(interface: str, host: str) -> bool:
    """Is this the interface that an endpoint names? One that names none means all of them."""
    if not interface:
        return ip_address(host) in _EVERYWHERE
    try:
        return ip_address(interface) == ip_address(host)
    except ValueError:
        return False
