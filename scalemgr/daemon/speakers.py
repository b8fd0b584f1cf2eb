"""Doors that speak TLS (L{scalemgr.server.tls}): how an operator writes them, and which certificates they have.

- C{tls:8443:interface=10.0.0.1}, with the certificate and key of C{[tls]};
- C{tls:} in front of any other endpoint that is not TLS itself, such as C{tls:tcp6:8443} or
  C{tls:systemd:domain=INET:index=0};
- C{ssl:8443:privateKey=key.pem:certKey=certificate.pem}, with files of its own, as Twisted writes it.

All of them ask of clients what C{[tls]} says. (Twisted's own C{tls:}, of a folder of certificates, is not to be had: it
asks clients for nothing.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..config import ConfigError, Settings, Tls
from ..server.tls import CertificateRefused, Files, Loaded, Speaker, Terms, load
from .reloading import Apply

__all__ = ["Speakers"]

_PART = re.compile(r"(?:[^:\\]|\\.)+", re.DOTALL)
_FILES = {"privateKey", "certKey", "extraCertChain"}
_TRANSPORT = {"interface", "backlog"}


class Speakers:
    """
    What the doors speak TLS with.

    @param clock: of the wall.
    @param tls: how it is spoken.
    @param base: the folder that relative paths in the settings start from.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, tls: Tls, base: Path) -> None:
        self._clock = clock
        self._tls = tls
        self._base = base
        self._speakers: list[Speaker] = []

    def parse(self, description: str) -> tuple[str, Speaker | None]:
        """
        What an operator wrote: the endpoint of the transport, and what is spoken on it; C{None}: not TLS.

        @raise ValueError: if it cannot be; or L{CertificateRefused}. The message says why, for the operator.
        """
        kind, _, rest = description.partition(":")
        if kind.lower() == "tls":
            if not self._tls.certificate:
                raise ValueError("it needs certificate and key in [tls] of the configuration")
            first = rest.partition(":")[0]
            if first.lower() in ("", "tls", "ssl"):
                raise ValueError("write tls: and a port, or tls: in front of an endpoint that is not TLS itself")
            return (f"tcp:{rest}" if first.isdigit() else rest), self._add(None)
        if kind.lower() == "ssl":
            endpoint, files = _parseSsl(rest)
            return endpoint, self._add(files)
        return description, None

    def _add(self, files: Files | None) -> Speaker:
        speaker = Speaker(files, self._load(files, self._tls, self._clock.seconds()))
        self._speakers.append(speaker)
        return speaker

    def _load(self, files: Files | None, tls: Tls, now: float) -> Loaded:
        if files is None:
            if not tls.certificate:
                raise CertificateRefused("an endpoint needs certificate and key")
            files = Files(self._base / tls.certificate, self._base / (tls.key or tls.certificate))
        authorities = self._base / tls.client_ca if tls.client_ca else None
        return load(files, Terms(authorities, tls.client_certificate == "required"), now)

    def announce(self) -> None:
        """Log what the operator should know of what was read at the start."""
        self._warn(speaker.loaded for speaker in self._speakers)
        if self._tls.client_ca and not self._speakers:
            self._log.warn("tls.client_ca asks clients for certificates, but no endpoint speaks TLS: nobody is asked")

    def prepare(self, settings: Settings) -> Apply:
        """Read certificates, keys and authorities again, for the connections to come: C{IReloadable}."""
        tls, now = settings.tls, self._clock.seconds()
        try:
            loaded = [self._load(speaker.files, tls, now) for speaker in self._speakers]
        except CertificateRefused as e:
            raise ConfigError(f"tls: {e}") from e
        for speaker, new in zip(self._speakers, loaded, strict=True):
            # One that has expired where it is is not held against the rest of the configuration.
            if speaker.loaded.isInForce(now) and not new.isInForce(now):
                raise ConfigError(f"tls: {new.warnings[0]}. The one that was read before is still valid")

        def apply() -> str:
            self._tls = tls
            said: dict[str, None] = {}
            for speaker, new in zip(self._speakers, loaded, strict=True):
                # Doors with the same files have the same to say.
                said |= dict.fromkeys(new.news(speaker.loaded))
                speaker.loaded = new
            self._warn(loaded)
            return "; ".join(said)

        return apply

    def certificateExpires(self) -> float | None:
        """When the first of the certificates that are shown ends, in unix seconds; C{None}: none is."""
        return min((speaker.loaded.expires for speaker in self._speakers), default=None)

    def _warn(self, loaded: Iterable[Loaded]) -> None:
        for warning in dict.fromkeys(warning for one in loaded for warning in one.warnings):
            self._log.warn("{warning}", warning=warning)


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
