"""One raw session over a blocking socket: each line as it comes, nothing repeated, nothing explained."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count
from types import TracebackType
from typing import Any

from scalemgr.client.session import ClientSession, Event, Reply, WireError

__all__ = ["LineClient"]


class LineClient:
    """
    One connection, for one thread.

    @param timeoutS: how long to wait for anything, in seconds.
    @raise OSError: if it cannot connect; from any method, if the connection is lost or too slow.
    """

    def __init__(self, host: str, port: int, *, token: str | None = None, timeoutS: float = 30.0) -> None:
        self._session = ClientSession(token)
        self._socket = socket.create_connection((host, port), timeoutS)
        self._numbers = count(1)
        self._events: deque[Event] = deque()

    def call(self, command: str, data: Mapping[str, Any], extID: str | None = None) -> Reply:
        """
        Ask, and wait for the answer. Events that come before it are kept for L{events}.

        @param extID: the id of the request; for a money command, also its idempotency key. Without one,
            a number that is used once a connection.
        """
        wanted = extID if extID is not None else f"call-{next(self._numbers)}"
        self._socket.sendall(self._session.request(command, data, wanted))
        answer: Reply | None = None
        while answer is None:
            for message in self._receive():
                if isinstance(message, Event):
                    self._events.append(message)
                elif message.extID == wanted:
                    answer = message
        return answer

    def events(self) -> Iterator[Event]:
        """Each event as it comes, for as long as they are asked for."""
        while True:
            while self._events:
                yield self._events.popleft()
            self._events.extend(m for m in self._receive() if isinstance(m, Event))

    def _receive(self) -> list[Reply | Event]:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        try:
            return self._session.receive(data)
        except WireError:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> LineClient:
        return self

    def __exit__(self, type: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
