"""The doors: where connections come in, and what an operator is told of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.python.failure import Failure

__all__ = ["Doors", "StartFailed", "isLocal", "shown"]


class StartFailed(Exception, SystemExit):
    """
    The daemon cannot start; the message says why, for the operator.

    A C{SystemExit}, so that it is printed without a traceback and the process ends with status 1; an
    C{Exception}, so that a C{twistd} that has put itself into the background still hears of it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(f"scalemgr: {message}")
        self.code = f"scalemgr: {message}"


class Doors:
    """
    What listens.

    @param demo: is anybody who comes in let in? Then only this machine's own addresses will do.
    """

    def __init__(self, reactor: Any, *, demo: bool) -> None:
        self._reactor = reactor
        self._demo = demo
        self._ports: list[IListeningPort] = []

    def open(self, descriptions: Iterable[str], factory: IProtocolFactory) -> None:
        """
        Listen on Twisted endpoints.

        @raise StartFailed: naming the one that cannot be.
        """
        for description in descriptions:
            try:
                listening = serverFromString(self._reactor, description).listen(factory)
            except Exception as e:
                raise StartFailed(f"cannot listen on {description!r}: {e}") from e
            outcome: list[Any] = []
            listening.addBoth(outcome.append)
            # Every endpoint that listens on this machine is ready at once, or never.
            (port,) = outcome
            if isinstance(port, Failure):
                raise StartFailed(f"cannot listen on {description!r}: {port.getErrorMessage()}")
            self._ports.append(port)
            if self._demo and not isLocal(port.getHost()):
                raise StartFailed(f"a demo lets anybody in, so it cannot listen on {description!r}; use 127.0.0.1")

    async def close(self) -> None:
        """Take no more connections. Those that there are go on."""
        for port in self._ports:
            await maybeDeferred(port.stopListening)

    def abandon(self) -> None:
        """The start failed: let go of what was opened."""
        for port in self._ports:
            port.stopListening()

    def addresses(self) -> list[IAddress]:
        """Where connections come in."""
        return [port.getHost() for port in self._ports]


def isLocal(address: IAddress) -> bool:
    """Can only this machine get there?"""
    if isinstance(address, (IPv4Address, IPv6Address)):
        return ip_address(address.host).is_loopback
    return isinstance(address, UNIXAddress)


def shown(address: IAddress) -> str:
    """An address for people."""
    if isinstance(address, IPv6Address):
        return f"tcp [{address.host}]:{address.port}"
    if isinstance(address, IPv4Address):
        return f"tcp {address.host}:{address.port}"
    if isinstance(address, UNIXAddress) and address.name:
        return f"unix {os.fsdecode(address.name)}"
    return str(address)
