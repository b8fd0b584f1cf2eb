"""Sessions behind TLS without a reactor: a client of Python's own ssl, and bytes carried to and fro by hand."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, capturedLogs, eventAsText
from twisted.python.failure import Failure

from scalemgr.server.protocol import ManagerProtocol
from scalemgr.server.tls import Files, Speaker, Terms, load

from ..certificates import Authority, Credential, clientContext
from ..helpers import Daemon

#: Who signs what is good.
AUTHORITY = Authority()


def speaker(folder: Path, authority: Authority, terms: Terms, now: float) -> Speaker:
    """What a door speaks, with a fresh certificate."""
    file = authority.server().write(folder / "server.pem")
    return Speaker(None, load(Files(file, file), terms, now))


class Wire(StringTransport):
    """A transport that knows what TCP knows."""

    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing here is delayed."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Nothing here is left alone for long."""

    def write(self, data: bytes) -> None:
        if not self.aborted:
            super().write(data)

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class SecureSession:
    """
    A client behind TLS.

    @ivar failed: what its own TLS says went wrong.
    @ivar heard: bytes that came, as they were on the wire, since the handshake began.
    @param session: an earlier one, to be resumed.
    @param garble: what becomes of bytes on their way to the daemon.
    """

    def __init__(
        self,
        daemon: Daemon,
        door: Speaker,
        context: ssl.SSLContext,
        session: ssl.SSLSession | None = None,
        garble: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._garble = garble
        self._daemon = daemon
        self.wire = Wire()
        self.wrapper = door.wrap(daemon.clock, daemon.factory).buildProtocol(None)
        assert self.wrapper is not None
        inside: Any = self.wrapper.wrappedProtocol  # type: ignore[attr-defined]
        self.protocol: ManagerProtocol = inside
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="127.0.0.1", session=session)
        self._shaken = self._lost = False
        self._text = b""
        self.failed = ""
        self.said = self._going = b""
        self.heard = b""
        self.wrapper.makeConnection(self.wire)

    def pump(self) -> SecureSession:
        """Carry bytes to and fro until none move any more."""
        while self._step():
            pass
        return self

    def _step(self) -> bool:
        self._daemon.settle()
        came = self.wire.value()
        self.wire.clear()
        self.heard += came
        self._in.write(came)
        self._read()
        self._going += self._out.read()
        if self._isLost() and not self._lost:
            self._lost = True
            self.wrapper.connectionLost(Failure(ConnectionAborted() if self.wire.aborted else ConnectionDone()))
        elif self._going and not self._lost and self.wire.producerState == "producing":
            going, self._going = self._going, b""
            self.said += going
            self.wrapper.dataReceived(self._garble(going))
            return True
        return bool(came)

    def _isLost(self) -> bool:
        return self.wire.disconnecting or self.wire.aborted

    def _read(self) -> None:
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while piece := self._tls.read(65536):
                self._text += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as e:
            self.failed = self.failed or str(e)

    @property
    def offered(self) -> int:
        """The version of TLS in the first message."""
        return int.from_bytes(self.said[9:11])

    @property
    def session(self) -> ssl.SSLSession | None:
        """What it could be resumed with."""
        return self._tls.session

    @property
    def isResumed(self) -> bool:
        """Was it?"""
        return bool(self._tls.session_reused)

    def leave(self) -> None:
        """Take its leave, as TLS has it."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass
        self.pump()

    @property
    def certificate(self) -> bytes | None:
        """The server's."""
        return self._tls.getpeercert(binary_form=True)

    @property
    def isLost(self) -> bool:
        """Has the daemon closed it?"""
        return self._lost

    def send(self, command: str, extID: object = None, data: object = None, **more: object) -> None:
        """A request; and what comes of it."""
        text = json.dumps({"command": command, "extID": extID, "data": data or {}, **more})
        self.sendRaw(text.encode() + b"\r\n")

    def sendRaw(self, data: bytes) -> None:
        """Bytes, as they are; and what comes of them."""
        self._tls.write(data)
        self.pump()

    def lines(self) -> list[dict[str, Any]]:
        """What was sent to it since it was last asked."""
        *whole, self._text = self._text.split(b"\r\n")
        return [json.loads(line) for line in whole]

    def answers(self) -> list[dict[str, Any]]:
        """Of those, the answers."""
        return [line for line in self.lines() if "event" not in line]


class Doorway:
    """A daemon behind TLS that asks for certificates of L{AUTHORITY}."""

    def __init__(self, folder: Path, *, required: bool = True, **more: Any) -> None:
        self.folder = folder
        self.daemon = Daemon(**more)
        # The certificates are of these days.
        self.daemon.clock.rightNow = time.time()
        self.authority = AUTHORITY.write(folder / "ca.pem")
        self.terms = Terms(self.authority, required)
        self.door: Speaker = speaker(folder, AUTHORITY, self.terms, self.daemon.clock.seconds())
        self.said: list[str] = []

    def context(self, shows: Credential | None = None, only: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A client's, that shows this."""
        file = None if shows is None else shows.write(self.folder / "client.pem")
        context = clientContext(self.authority, file)
        if only is not None:
            context.minimum_version = context.maximum_version = only
        return context

    def connect(
        self, context: ssl.SSLContext, first: bytes = b"", resuming: ssl.SSLSession | None = None
    ) -> SecureSession:
        """
        What comes of it; what is logged is in C{said}.

        @param first: what is on the wire before the client begins.
        """
        with capturedLogs() as logged:
            session = SecureSession(self.daemon, self.door, context, resuming)
            if first:
                session.wrapper.dataReceived(first)
            session.pump()
        self.said += texts(logged)
        return session


def texts(logged: list[LogEvent]) -> list[str]:
    """What there is in a log."""
    return [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in logged]
