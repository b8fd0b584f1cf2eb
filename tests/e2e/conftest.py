"""A daemon in this process, and connections to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol

from scalemgr.config import Settings, Web
from scalemgr.daemon.service import ManagerService
from scalemgr.ledger.settings import LedgerSettings
from scalemgr.server.auth import Keys
from scalemgr.server.discovery import findCommands

from ..helpers import SECRET
from .clients import PATIENCE_S, Client
from .daemons import LOOPBACK


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ManagerService]:
    """A daemon on a fresh embedded ledger, listening on a free port."""
    settings = replace(Settings(), listen=[LOOPBACK], web=Web(listen=LOOPBACK), ledger=LedgerSettings())
    running = ManagerService(reactor, settings, findCommands(), Keys("HS256", [SECRET]), tmp_path)
    running.startService()
    yield running
    pytest_twisted.blockon(running.stopService().addTimeout(PATIENCE_S, reactor))


@pytest.fixture
def connect(service: ManagerService) -> Iterator[Callable[..., Deferred[Client]]]:
    """Opens connections to it, and sees that they are closed."""
    opened: list[Client] = []

    def open(token: str | None) -> Deferred[Client]:
        client = Client(token)
        opened.append(client)
        (address,) = service.addresses()
        return connectProtocol(HostnameEndpoint(reactor, "127.0.0.1", address.port), client)  # type: ignore[attr-defined]

    yield open
    for client in opened:
        if client.transport is not None and not client.lost.called:
            client.transport.loseConnection()
            pytest_twisted.blockon(client.gone())
