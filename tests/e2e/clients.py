"""A client on the reactor of the tests."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from scalemgr.client.session import ClientSession, Event, Reply

PATIENCE_S = 20


class Client(Protocol):
    """A client of the kind that integrations are: requests out, answers by extID, events as they come."""

    def __init__(self, token: str | None) -> None:
        self._session = ClientSession(token)
        self._asked: dict[Any, Deferred[Reply]] = {}
        self.events: list[Event] = []
        self.heard: list[Reply | Event] = []
        self.lost: Deferred[None] = Deferred()
        self._awaited: dict[str, Deferred[None]] = {}

    def call(self, extID: Any, command: str, **data: Any) -> Deferred[Reply]:
        """Ask; a Deferred of the answer."""
        assert self.transport is not None
        self._asked[extID] = Deferred()
        self.transport.write(self._session.request(command, data, extID))
        return self._asked[extID].addTimeout(PATIENCE_S, reactor)

    def gone(self) -> Deferred[None]:
        """When the connection is closed."""
        return self.lost.addTimeout(PATIENCE_S, reactor)

    def heardOf(self, event: str) -> Deferred[None]:
        """When the next event of this name comes."""
        return self._awaited.setdefault(event, Deferred()).addTimeout(PATIENCE_S, reactor)

    def dataReceived(self, data: bytes) -> None:
        for message in self._session.receive(data):
            self.heard.append(message)
            if isinstance(message, Event):
                self.events.append(message)
                awaited = self._awaited.pop(message.event, None)
                if awaited is not None:
                    awaited.callback(None)
            else:
                self._asked.pop(message.extID).callback(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)
