"""The doors: where connections come in, and what an operator is told of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

from msgspec import Struct
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..config import ConfigError, Settings
from ..demo import EXAMPLE
from ..server.proxied import Proxies
from ..server.tls import Speaker
from .reloading import Apply
from .speakers import Speakers

__all__ = ["Door", "Doors", "StartFailed", "isLocal", "shown"]


class StartFailed(Exception, SystemExit):
    """
    The daemon cannot start; the message says why, for the operator.

    A C{SystemExit}, so that it is printed without a traceback and the process ends with status 1; an
    C{Exception}, so that a C{twistd} that has put itself into the background still hears of it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(f"scalemgr: {message}")
        self.code = f"scalemgr: {message}"


class Door(Struct, frozen=True):
    """
    One that is open.

    @ivar description: as the operator wrote it.
    @ivar speaker: what it speaks TLS with; C{None}: it is plain.
    """

    description: str
    port: IListeningPort
    speaker: Speaker | None

    def __str__(self) -> str:
        return shown(self.port.getHost()) + (" with TLS" if self.speaker is not None else "")


class Doors:
    """
    What listens. Plain TCP does so on this machine's own addresses, and elsewhere only if that is allowed in so many
    words: tokens would go over the network for everybody to read.

    @param speakers: what those that speak TLS do it with.
    @param demo: is anybody who comes in let in? Then only this machine's own addresses will do.
    """

    _log = Logger()

    def __init__(self, reactor: Any, speakers: Speakers, *, demo: bool) -> None:
        self._reactor = reactor
        self._speakers = speakers
        self._demo = demo
        self._doors: list[Door] = []
        self._exposed: list[str] = []
        self._proxies: Proxies | None = None

    def open(
        self,
        descriptions: Iterable[str],
        factory: IProtocolFactory,
        *,
        allowPlain: bool = False,
        proxies: Proxies | None = None,
    ) -> None:
        """
        Listen on Twisted endpoints, and on those that L{Speakers} understand.

        @param allowPlain: may they be plain, and not on this machine's own addresses?
        @param proxies: those who say of whom they speak, before TLS too; C{None}: nobody is believed.
        @raise StartFailed: naming the one that cannot be.
        """
        self._proxies = proxies
        for description in descriptions:
            try:
                endpoint, speaker = self._speakers.parse(description)
                inside = factory if speaker is None else speaker.wrap(self._reactor, factory)
                if proxies is not None:
                    inside = proxies.before(inside)
                listening = serverFromString(self._reactor, endpoint).listen(inside)
            except Exception as e:
                raise StartFailed(f"cannot listen on {description!r}: {e}") from e
            outcome: list[Any] = []
            listening.addBoth(outcome.append)
            # Every endpoint that listens on this machine is ready at once, or never.
            (port,) = outcome
            if isinstance(port, Failure):
                raise StartFailed(f"cannot listen on {description!r}: {port.getErrorMessage()}")
            self._doors.append(Door(description, port, speaker))
            if self._demo and not isLocal(port.getHost()):
                raise StartFailed(f"a demo lets anybody in, so it cannot listen on {description!r}; use 127.0.0.1")
            if speaker is None and not isLocal(port.getHost()):
                if not allowPlain:
                    raise StartFailed(_PLAIN.format(description))
                self._exposed.append(description)
                self._log.warn(
                    "{description!r} is plain TCP for other machines: tokens and passwords go over the network in "
                    "clear. Use tls: instead",
                    description=description,
                )

    def prepare(self, settings: Settings) -> Apply:
        """See that what is open may be open: C{IReloadable}."""
        if self._exposed and not settings.access.allow_plain:
            raise ConfigError(_PLAIN.format(self._exposed[0]))
        return lambda: None

    async def close(self) -> None:
        """Take no more connections. Those that there are go on."""
        for door in self._doors:
            await maybeDeferred(door.port.stopListening)
        if self._proxies is not None:
            self._proxies.close()

    def abandon(self) -> None:
        """The start failed: let go of what was opened."""
        for door in self._doors:
            door.port.stopListening()

    def __iter__(self) -> Iterator[Door]:
        """Those that are open."""
        return iter(self._doors)

    def announce(self, log: Logger) -> None:
        """
        Tell an operator what is open, and in a demo how to try it.

        @param log: the daemon's, which says so of itself.
        """
        for door in self._doors:
            log.info("listening on {door}", door=str(door))
            address = door.port.getHost()
            if self._demo and door.speaker is None and isinstance(address, (IPv4Address, IPv6Address)):
                line, host, port = shlex.quote(EXAMPLE), address.host, address.port
                log.info("try it: printf '%s\\r\\n' {line} | nc {host} {port}", line=line, host=host, port=port)

    def addresses(self) -> list[IAddress]:
        """Where connections come in."""
        return [door.port.getHost() for door in self._doors]


_PLAIN = (
    "{!r} is plain TCP for other machines: tokens and passwords would go over the network in clear. Listen on tls: "
    "instead, or on interface=127.0.0.1, or set allow_plain = true in [access]"
)


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
