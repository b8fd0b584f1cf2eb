"""The client's side of a session, without I/O: bytes in, answers and events out.

A driver writes what L{ClientSession.request} returns, feeds what it reads to L{ClientSession.receive}, and
matches answers to requests by C{extID}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

import ujson
from msgspec import Struct

from ..wire import messages

__all__ = ["ClientSession", "Event", "Reply", "WireError"]


class WireError(Exception):
    """The peer sent something that is no message of this protocol."""


class Reply(Struct, frozen=True):
    """
    The answer to a request.

    @ivar line: as it came, without its end.
    """

    extID: messages.ExtID
    status: int
    data: dict[str, Any]
    line: str


class Event(Struct, frozen=True):
    """
    Something that happened.

    @ivar line: as it came, without its end.
    """

    event: str
    type: int | None
    data: dict[str, Any]
    seq: int | None
    line: str


class ClientSession:
    """
    One connection's worth of protocol.

    @param token: sent with each request, or C{None}.
    @param lineBytesMax: the longest line that is taken from the server.
    """

    def __init__(self, token: str | None = None, lineBytesMax: int = 64 * 1024 * 1024) -> None:
        self._token = token
        self._lineBytesMax = lineBytesMax
        self._rest = b""

    def request(self, command: str, data: Mapping[str, Any], extID: messages.ExtID) -> bytes:
        """A request, as bytes to write."""
        return messages.request(command, extID, data, self._token)

    def receive(self, data: bytes) -> list[Union[Reply, Event]]:
        """
        What has arrived whole.

        @raise WireError: if it is not of this protocol; the connection is of no more use.
        """
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        if len(self._rest) > self._lineBytesMax:
            raise WireError(f"a line of more than {self._lineBytesMax} bytes")
        return [self._message(line) for line in lines if line.strip()]

    def _message(self, line: bytes) -> Union[Reply, Event]:
        try:
            text = line.decode("utf-8")
            message = ujson.loads(text)
            if message.get("event"):
                return Event(message["event"], message.get("type"), message["data"], message.get("seq"), text)
            return Reply(message["extID"], message["status"], message["data"], text)
        except (ValueError, KeyError, AttributeError) as e:
            raise WireError(f"not a message: {line[:100]!r}") from e
