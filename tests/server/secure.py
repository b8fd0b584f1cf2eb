"""Sessions behind TLS without a reactor: a client of Python's own ssl, and bytes carried to and fro by hand."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from scalemgr.server.protocol import ManagerProtocol
from scalemgr.server.tls import Files, Speaker, Terms, load

from ..certificates import Authority
from ..helpers import Daemon


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

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class SecureSession:
    """
    A client behind TLS.

    @ivar failed: what its own TLS says went wrong.
    @ivar heard: bytes that came, as they were on the wire, since the handshake began.
    """

    def __init__(self, daemon: Daemon, door: Speaker, context: ssl.SSLContext) -> None:
        self._daemon = daemon
        self.wire = Wire()
        self.wrapper = door.wrap(daemon.clock, daemon.factory).buildProtocol(None)
        assert self.wrapper is not None
        session: Any = self.wrapper.wrappedProtocol  # type: ignore[attr-defined]
        self.protocol: ManagerProtocol = session
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="127.0.0.1")
        self._shaken = self._lost = False
        self._text = b""
        self.failed = ""
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
        going = self._out.read()
        if self._isLost() and not self._lost:
            self._lost = True
            self.wrapper.connectionLost(Failure(ConnectionAborted() if self.wire.aborted else ConnectionDone()))
        elif going and not self._lost and self.wire.producerState == "producing":
            self.wrapper.dataReceived(going)
        return bool(came or going)

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
    def isLost(self) -> bool:
        """Has the daemon closed it?"""
        return self._lost

    def send(self, command: str, extID: object = None, data: object = None, **more: object) -> None:
        """A request; and what comes of it."""
        text = json.dumps({"command": command, "extID": extID, "data": data or {}, **more})
        self._tls.write(text.encode() + b"\r\n")
        self.pump()

    def lines(self) -> list[dict[str, Any]]:
        """What was sent to it since it was last asked."""
        *whole, self._text = self._text.split(b"\r\n")
        return [json.loads(line) for line in whole]

    def answers(self) -> list[dict[str, Any]]:
        """Of those, the answers."""
        return [line for line in self.lines() if "event" not in line]
