"""Somebody who books, while others look on."""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import Any

from ..helpers import fresh

__all__ = ["PATIENCE_S", "Office"]

PATIENCE_S = 30


class Office:
    """A session of a daemon; each of its requests has a name of its own."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._lines = self._socket.makefile("rb")

    def tell(self, command: str, **data: Any) -> str:
        """Send a request; its extID."""
        extID = fresh()
        self._socket.sendall(json.dumps({"command": command, "extID": extID, "data": data}).encode() + b"\r\n")
        return extID

    def answer(self, extID: str) -> dict[str, Any]:
        """Wait for the answer to a request."""
        for line in self._lines:
            message: dict[str, Any] = json.loads(line)
            if message.get("extID") == extID and "event" not in message:
                return message
        raise AssertionError("the daemon closed the connection")

    def ask(self, command: str, **data: Any) -> dict[str, Any]:
        """A request that is answered well; what it is answered."""
        answer = self.answer(self.tell(command, **data))
        assert answer["status"] == 200, answer
        said: dict[str, Any] = answer["data"]
        return said

    def deposit(self, comment: str, login: int = 1001, amount: float = 250.0) -> dict[str, Any]:
        """A deposit; the trade."""
        return self.ask("BalanceInSync", login=login, amount=amount, comment=comment)

    def __enter__(self) -> Office:
        return self

    def __exit__(self, type: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._lines.close()
        self._socket.close()
