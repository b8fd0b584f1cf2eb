"""What only the client for Twisted does: cancelling, callbacks that take their time, and being a service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_twisted
from twisted.application.service import IService, MultiService
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from scalemgr.client import Event, ManagerClient, Reply, Unreachable

from .drivers import PATIENCE_S


def within(deferred: Deferred[Reply]) -> Deferred[Reply]:
    return deferred.addTimeout(PATIENCE_S, reactor)


@pytest_twisted.async_yield_fixture
async def running(port: int) -> AsyncIterator[ManagerClient]:
    """A client that is served."""
    client = ManagerClient(reactor, f"tcp:127.0.0.1:{port}")
    client.startService()
    yield client
    await client.stopService()


@pytest_twisted.ensureDeferred
async def test_isAService(port: int) -> None:
    """It is a service among others: what is asked before it is started waits, and it can be stopped with them."""
    parent = MultiService()
    client = ManagerClient(reactor, f"tcp:127.0.0.1:{port}")
    verifyObject(IService, client)
    client.setServiceParent(parent)
    early = client.call("Ping")
    assert not early.called
    parent.startService()
    assert (await within(early)).status == 200
    await parent.stopService()


@pytest_twisted.ensureDeferred
async def test_stoppedWhileConnecting(nobody: int) -> None:
    """It can be stopped before it ever was connected, twice, and leaves nothing behind."""
    client = ManagerClient(reactor, f"tcp:127.0.0.1:{nobody}")
    client.startService()
    await client.stopService()
    await client.stopService()


@pytest_twisted.ensureDeferred
async def test_cancelled(running: ManagerClient) -> None:
    """Who cancels waits no longer; others do."""
    given = running.call("GetGroups")
    other = running.call("Ping")
    given.cancel()
    with pytest.raises(CancelledError):
        await given
    assert (await within(other)).status == 200


def test_cancelledByAnother() -> None:
    """Who is cancelled by what another was told, at the same moment, is told nothing; others are all the same."""
    clock = MemoryReactorClock()
    client = ManagerClient(clock, "tcp:127.0.0.1:1")
    first, second, third = (client.call("Ping", deadline=1) for _ in range(3))
    first.addErrback(lambda _: second.cancel())
    clock.advance(1)
    for cancelled, error in ((second, CancelledError), (third, Unreachable)):
        failures: list[Failure] = []
        cancelled.addErrback(failures.append)
        assert [failure.type for failure in failures] == [error]


@pytest_twisted.ensureDeferred
async def test_callbackTakesItsTime(running: ManagerClient) -> None:
    """The next event waits for what the callback returned; calls do not."""
    heard: list[int | None] = []
    waiting: list[Deferred[None]] = []

    def hear(event: Event) -> Deferred[None]:
        heard.append(event.seq)
        waiting.append(Deferred())
        return waiting[-1]

    following = running.follow(hear, from_seq=0)
    for n in range(1, 4):
        while len(heard) < n:
            await within(running.call("Ping"))
        await within(running.call("Ping"))
        assert heard == list(range(1, n + 1))
        waiting[-1].callback(None)
    following.cancel()
    with pytest.raises(CancelledError):
        await following


@pytest_twisted.ensureDeferred
async def test_callbackFails(running: ManagerClient) -> None:
    """A callback that fails is the end of the events, and what it failed with is told."""

    def hear(event: Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await running.follow(hear, from_seq=0).addTimeout(PATIENCE_S, reactor)
    again: Deferred[Event] = Deferred()
    once: Callable[[Event], object] = lambda event: None if again.called else again.callback(event)  # noqa: E731
    following = running.follow(once, from_seq=0).addErrback(lambda failure: failure.trap(CancelledError))
    assert (await again.addTimeout(PATIENCE_S, reactor)).seq == 1
    following.cancel()


@pytest_twisted.ensureDeferred
async def test_stoppedWhileFollowing(port: int) -> None:
    """When the client is stopped, that is the end of the events, and no failure."""
    client = ManagerClient(reactor, f"tcp:127.0.0.1:{port}")
    client.startService()
    following = client.follow(lambda event: None)
    await within(client.call("Ping"))
    await client.stopService()
    assert following.called
    await following
