"""Pages of the console that listen, without a browser: what they are told, message by message."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from .house import Visitor, Windowed


class Message(NamedTuple):
    """One server-sent event; C{id} is empty if it has none."""

    event: str
    id: str
    data: Any


def unchunked(data: bytes) -> bytes:
    """What was sent in chunks."""
    whole = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        count = int(size, 16)
        assert rest[count : count + 2] == b"\r\n"
        whole, data = whole + rest[:count], rest[count + 2 :]
    return whole


class Listening:
    """
    A page that listens to a console.

    @ivar status: of the answer.
    @ivar headers: of the answer, names in small letters.
    """

    def __init__(self, house: Windowed, query: str = "", **headers: str) -> None:
        self.visitor = Visitor(house)
        named = {"Host": "127.0.0.1:8081", **headers}
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
        self.visitor.say(f"GET /stream{query} HTTP/1.1\r\n{head}\r\n".encode())
        head, _, self._begun = self._value().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    def _value(self) -> bytes:
        value: bytes = self.visitor.transport.value()
        self.visitor.transport.clear()
        return value

    @property
    def isOver(self) -> bool:
        """Was its connection closed, or its answer brought to an end?"""
        return self.visitor.transport.disconnecting or self.visitor.transport.disconnected

    def heard(self) -> list[Message]:
        """What it was told since it was last asked."""
        text = unchunked(self._begun + self._value()).decode()
        self._begun = b""
        assert text.endswith("\n\n") or not text
        messages = []
        for block in text.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if "event" in fields:
                messages.append(Message(fields["event"], fields.get("id", ""), json.loads(fields["data"])))
        return messages

    def entries(self) -> list[int]:
        """Of those, the events of the log, by their place in it."""
        return [message.data["seq"] for message in self.heard() if message.event == "entry"]

    def lose(self) -> None:
        """The browser has gone."""
        self.visitor.lose()
