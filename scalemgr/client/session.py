"""The client's side of a session, without I/O: bytes in, answers and events out.

A driver writes what L{ClientSession.request} returns, feeds what it reads to L{ClientSession.receive}, and
matches answers to requests by C{extID}. What is to be asked again, and when, is L{scalemgr.client.core}'s.
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
    @ivar replayed: is it the outcome of an earlier request with the same key?
    """

    extID: messages.ExtID
    status: int
    data: dict[str, Any]
    line: str
    replayed: bool = False


class Event(Struct, frozen=True):
    """
    Something that happened.

    @ivar event: its name, such as C{trade:event}.
    @ivar type: an C{EV_RECORD_*}; C{None} of a mark.
    @ivar seq: its place in the log; C{None} of a mark.
    @ivar line: as it came, without its end.
    @ivar time: when it was booked, unix seconds; C{None} of a mark.
    """

    event: str
    type: int | None
    data: dict[str, Any]
    seq: int | None
    line: str
    time: float | None = None


class ClientSession:
    """
    One connection's worth of protocol.

    @param token: sent with each request, or C{None}.
    @param lineBytesMax: the longest line that is taken from the server.
    """

    def __init__(self, token: str | None = None, lineBytesMax: int = 64 * 1024 * 1024) -> None:
        self.token = token
        self._lineBytesMax = lineBytesMax
        # Pieces of a line that is not whole yet: a table comes in thousands of them.
        self._pieces: list[bytes] = []
        self._length = 0

    def request(self, command: str, data: Mapping[str, Any] | messages.Json, extID: messages.ExtID) -> bytes:
        """A request, as bytes to write."""
        return messages.request(command, extID, data, self.token)

    def receive(self, data: bytes) -> list[Union[Reply, Event]]:
        """
        What has arrived whole.

        @raise WireError: if it is not of this protocol; the connection is of no more use.
        """
        if b"\n" not in data:
            self._keep(data)
            return []
        first, *lines = data.split(b"\n")
        lines.insert(0, b"".join((*self._pieces, first)))
        self._pieces, self._length = [], 0
        self._keep(lines.pop())
        return [self._message(line) for line in lines if line.strip()]

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._length += len(piece)
        if self._length > self._lineBytesMax:
            raise WireError(f"a line of more than {self._lineBytesMax} bytes")

    def _message(self, line: bytes) -> Union[Reply, Event]:
        try:
            text = line.decode("utf-8").removesuffix("\r")
            message = ujson.loads(text)
            if message.get("event"):
                seq, data = message.get("seq"), _object(message["data"])
                # That of a mark is in its data.
                if not _isPlace(seq) or (seq is None and not _isPlace(data.get("seq"))):
                    raise ValueError("the seq is no number")
                return Event(message["event"], message.get("type"), data, seq, text, message.get("time"))
            status = message["status"]
            if type(status) is not int:
                raise ValueError("the status is no number")
            replayed = message.get("replayed") is True
            return Reply(message["extID"], status, _object(message["data"]), text, replayed)
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise WireError(f"not a message: {line[:100]!r}") from e


def _object(data: object) -> dict[str, Any]:
    if type(data) is not dict:
        raise ValueError("data is no object")
    return data


def _isPlace(seq: object) -> bool:
    return seq is None or type(seq) is int
