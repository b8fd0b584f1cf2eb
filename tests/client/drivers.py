"""The three clients behind one face, so that one suite holds for all of them."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any, Protocol

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from scalemgr.client import AsyncClient, Client, Event, Intent, ManagerClient, Reply

PATIENCE_S = 30

__all__ = ["DRIVERS", "PATIENCE_S", "Driver"]


class Driver(Protocol):
    """A client, each of whose calls blocks."""

    def __init__(self, address: str, **more: Any) -> None: ...

    def command(self, name: str, /, **given: Any) -> Any:
        """Call an attribute."""

    def call(self, name: str, data: dict[str, Any] | None = None, **more: Any) -> Reply:
        """Call a command."""

    def together(self, calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        """Many at a time; answers and errors."""

    def events(self, count: int, **more: Any) -> list[Event]:
        """So many events."""

    def unfinished(self) -> list[Intent]:
        """Of the outbox."""

    def hangUp(self) -> None:
        """Close the client."""

    def close(self) -> None:
        """The same, and all that it ran in."""


class BlockingDriver:
    """Plainly."""

    def __init__(self, address: str, **more: Any) -> None:
        self.client = Client(address, **more)

    def command(self, name: str, /, **given: Any) -> Any:
        return getattr(self.client, name)(**given)

    def call(self, name: str, data: dict[str, Any] | None = None, **more: Any) -> Reply:
        return self.client.call(name, data, **more)

    def together(self, calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(calls)) as pool:
            futures = [pool.submit(self.client.call, name, data) for name, data in calls]
            return [future.exception() or future.result() for future in futures]

    def events(self, count: int, **more: Any) -> list[Event]:
        return list(islice(self.client.events(**more), count))

    def unfinished(self) -> list[Intent]:
        return self.client.unfinished()

    def hangUp(self) -> None:
        self.client.close()

    def close(self) -> None:
        self.hangUp()


class AsyncDriver:
    """In a loop that runs while something is waited for."""

    def __init__(self, address: str, **more: Any) -> None:
        self.runner = asyncio.Runner()
        self.client = AsyncClient(address, **more)

    def _run(self, coroutine: Any) -> Any:
        return self.runner.run(asyncio.wait_for(coroutine, PATIENCE_S))

    def command(self, name: str, /, **given: Any) -> Any:
        return self._run(getattr(self.client, name)(**given))

    def call(self, name: str, data: dict[str, Any] | None = None, **more: Any) -> Reply:
        reply: Reply = self._run(self.client.call(name, data, **more))
        return reply

    def together(self, calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        async def all() -> list[Any]:
            asked = [self.client.call(name, data) for name, data in calls]
            return await asyncio.gather(*asked, return_exceptions=True)

        found: list[Any] = self._run(all())
        return found

    def events(self, count: int, **more: Any) -> list[Event]:
        async def some() -> list[Event]:
            found: list[Event] = []
            events = self.client.events(**more)
            async for event in events:
                found.append(event)
                if len(found) == count:
                    break
            await events.aclose()  # type: ignore[attr-defined]
            return found

        found: list[Event] = self._run(some())
        return found

    def unfinished(self) -> list[Intent]:
        found: list[Intent] = self._run(self.client.unfinished())
        return found

    def hangUp(self) -> None:
        self._run(self.client.close())

    def close(self) -> None:
        self.hangUp()
        self.runner.close()


class DeferredDriver:
    """On the reactor of the tests."""

    def __init__(self, address: str, **more: Any) -> None:
        self.client = ManagerClient(reactor, address, **more)
        self.client.startService()

    def _wait(self, deferred: Deferred[Any]) -> Any:
        return pytest_twisted.blockon(deferred.addTimeout(PATIENCE_S, reactor))

    def command(self, name: str, /, **given: Any) -> Any:
        return self._wait(getattr(self.client, name)(**given))

    def call(self, name: str, data: dict[str, Any] | None = None, **more: Any) -> Reply:
        reply: Reply = self._wait(self.client.call(name, data, **more))
        return reply

    def together(self, calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        asked = [self.client.call(name, data).addErrback(lambda f: f.value) for name, data in calls]
        return [self._wait(each) for each in asked]

    def events(self, count: int, **more: Any) -> list[Event]:
        found: list[Event] = []
        enough: Deferred[None] = Deferred()

        def heard(event: Event) -> None:
            if len(found) < count:
                found.append(event)
            if len(found) == count and not enough.called:
                enough.callback(None)

        following = self.client.follow(heard, **more)
        following.addCallbacks(lambda _: None, lambda f: None if enough.called else enough.errback(f))
        try:
            self._wait(enough)
        finally:
            following.cancel()
        return found

    def unfinished(self) -> list[Intent]:
        found: list[Intent] = self._wait(self.client.unfinished())
        return found

    def hangUp(self) -> None:
        self._wait(self.client.stopService())
        # What it hung up on by itself is gone a turn later.
        self._wait(deferLater(reactor, 0))

    def close(self) -> None:
        self.hangUp()


DRIVERS: dict[str, type[Driver]] = {
    "blocking": BlockingDriver,
    "asyncio": AsyncDriver,
    "twisted": DeferredDriver,
}
