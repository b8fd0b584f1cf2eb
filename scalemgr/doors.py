"""The doors: where connections come in, and what an operator is told of them.

A door is a Twisted endpoint, or one of those that speak TLS (L{scalemgr.server.tls}):

- C{tls:8443:interface=10.0.0.1}, with the certificate and key of C{[tls]};
- C{tls:} in front of any other endpoint that is not TLS itself, such as C{tls:tcp6:8443} or
  C{tls:systemd:domain=INET:index=0};
- C{ssl:8443:privateKey=key.pem:certKey=certificate.pem}, with files of its own, as Twisted writes it.

All of them ask of clients what C{[tls]} says. (Twisted's own C{tls:}, of a folder of certificates, is not to be had: it
asks clients for nothing.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from msgspec import Struct
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from .config import ConfigError, Settings, Tls
from .server.bearers import Bearers
from .server.factory import ManagerFactory
from .server.tls import CertificateRefused, Files, Loaded, Speaker, Terms, load

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
    @ivar speaker: what it speaks TLS with; C{None}: it speaks none.
    """

    description: str
    port: IListeningPort
    speaker: Speaker | None

    def __str__(self) -> str:
        return shown(self.port.getHost()) + (" with TLS" if self.speaker is not None else "")


class Doors:
    """
    What listens.

    @param clock: of the wall.
    @param tls: how TLS is spoken.
    @param base: the folder that relative paths in the settings start from.
    @param demo: is anybody who comes in let in? Then only this machine's own addresses will do.
    """

    _log = Logger()

    def __init__(self, reactor: Any, clock: IReactorTime, tls: Tls, base: Path, *, demo: bool) -> None:
        self._reactor = reactor
        self._clock = clock
        self._tls = tls
        self._base = base
        self._demo = demo
        self._doors: list[Door] = []

    def open(self, descriptions: Iterable[str], factory: ManagerFactory) -> None:
        """
        Listen.

        @raise StartFailed: naming the one that cannot be.
        """
        self._factory = factory
        factory.bearers = Bearers(self._tls.clients)
        for description in descriptions:
            try:
                endpoint, speaker = self._parse(description)
                wanted = factory if speaker is None else speaker.wrap(self._reactor, factory)
                listening = serverFromString(self._reactor, endpoint).listen(wanted)
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
        speakers = [door.speaker for door in self._doors if door.speaker is not None]
        self._warn(speaker.loaded for speaker in speakers)
        if self._tls.client_ca and not speakers:
            self._log.warn("tls.client_ca asks clients for certificates, but no endpoint speaks TLS: nobody is asked")

    def _parse(self, description: str) -> tuple[str, Speaker | None]:
        """The endpoint for the transport, and what is spoken on it."""
        kind, _, rest = description.partition(":")
        if kind.lower() == "tls":
            if not self._tls.certificate:
                raise ValueError("it needs certificate and key in [tls] of the configuration")
            first = rest.partition(":")[0]
            if first.lower() in ("", "tls", "ssl"):
                raise ValueError("write tls: and a port, or tls: in front of an endpoint that is not TLS itself")
            return (f"tcp:{rest}" if first.isdigit() else rest), self._speaker(None)
        if kind.lower() == "ssl":
            endpoint, files = _parseSsl(rest)
            return endpoint, self._speaker(files)
        return description, None

    def _speaker(self, files: Files | None) -> Speaker:
        return Speaker(files, _load(files, self._tls, self._base, self._clock.seconds()))

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """
        Read certificates, keys and authorities again, for the connections to come. It blocks on the disk.

        @return: what makes it so; nothing is changed before that is called.
        @raise ConfigError: if something is wrong with them.
        """
        tls, now = settings.tls, self._clock.seconds()
        bearers = Bearers(tls.clients)
        speakers = [door.speaker for door in self._doors if door.speaker is not None]
        try:
            loaded = [_load(speaker.files, tls, self._base, now) for speaker in speakers]
        except CertificateRefused as e:
            raise ConfigError(f"tls: {e}") from e
        for speaker, new in zip(speakers, loaded, strict=True):
            if speaker.loaded.isInForce(now) and not new.isInForce(now):
                # One that has expired in its place is not held against the rest of the configuration.
                raise ConfigError(f"tls: {new.warnings[0]}; the one that there is is still valid, and stays")

        def apply() -> None:
            self._tls = tls
            for speaker, new in zip(speakers, loaded, strict=True):
                speaker.loaded = new
            self._warn(loaded)
            self._factory.setBearers(bearers)

        return apply

    def _warn(self, loaded: Iterable[Loaded]) -> None:
        # Doors with the same files have the same to say.
        for warning in dict.fromkeys(warning for one in loaded for warning in one.warnings):
            self._log.warn("{warning}", warning=warning)

    async def close(self) -> None:
        """Take no more connections. Those that there are go on."""
        for door in self._doors:
            await maybeDeferred(door.port.stopListening)

    def abandon(self) -> None:
        """The start failed: let go of what was opened."""
        for door in self._doors:
            door.port.stopListening()

    @property
    def doors(self) -> list[Door]:
        """Those that are open."""
        return list(self._doors)

    def addresses(self) -> list[IAddress]:
        """Where connections come in."""
        return [door.port.getHost() for door in self._doors]

    def certificateExpires(self) -> float | None:
        """When the first of the certificates that it shows ends, in unix seconds; C{None}: it shows none."""
        return min((door.speaker.loaded.expires for door in self._doors if door.speaker is not None), default=None)


def _load(files: Files | None, tls: Tls, base: Path, now: float) -> Loaded:
    """
    @param files: C{None}: those of the settings.
    @raise CertificateRefused: naming the file.
    """
    if files is None:
        if not tls.certificate:
            raise CertificateRefused("an endpoint needs certificate and key in [tls]")
        files = Files(base / tls.certificate, base / (tls.key or tls.certificate))
    authorities = base / tls.client_ca if tls.client_ca else None
    return load(files, Terms(authorities, tls.client_certificate == "required"), now)


_PART = re.compile(r"(?:[^:\\]|\\.)+", re.DOTALL)
_FILES = {"privateKey", "certKey", "extraCertChain"}
_TRANSPORT = {"interface", "backlog"}


def _parseSsl(rest: str) -> tuple[str, Files]:
    """What follows C{ssl:}, as Twisted understands it."""
    positional: list[str] = []
    named: dict[str, str] = {}
    for part in _PART.findall(rest):
        name, equals, value = part.partition("=")
        value = re.sub(r"\\(.)", r"\1", value if equals else name)
        if equals:
            named[name] = value
        else:
            positional.append(value)
    unknown = named.keys() - _FILES - _TRANSPORT
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))} cannot be chosen; TLS 1.2 is the least, with forward secrecy")
    if len(positional) != 1:
        raise ValueError("expected ssl:PORT:privateKey=FILE:certKey=FILE")
    key = named.get("privateKey", "server.pem")
    chain = named.get("extraCertChain")
    files = Files(Path(named.get("certKey", key)), Path(key), None if chain is None else Path(chain))
    transport = [f"{name}={quoteStringArgument(named[name])}" for name in sorted(_TRANSPORT & named.keys())]
    return ":".join(["tcp", quoteStringArgument(positional[0]), *transport]), files


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
    return str(address)
