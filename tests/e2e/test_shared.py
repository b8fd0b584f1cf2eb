"""A log that others write, under the real service: what its ledger says in a thread of its own is heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from scalemgr.config import Access, Settings
from scalemgr.daemon import service as serviceModule
from scalemgr.daemon.service import ManagerService, StartFailed
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.server.auth import Keys
from scalemgr.server.discovery import findCommands
from scalemgr.wire.errors import LedgerFailed

from ..helpers import NOW_MS, SECRET, populate, token
from ..runtime.shared import SharedLedger
from .clients import PATIENCE_S, Client
from .daemons import LOOPBACK


def serviceOn(
    ledger: SharedLedger, folder: Path, monkeypatch: pytest.MonkeyPatch, reactor: Any = reactor
) -> ManagerService:
    """Not started yet."""
    monkeypatch.setattr(serviceModule, "ledgerAt", lambda *_: ledger)
    # What a reactor in memory listens on is no address of this machine.
    settings = replace(Settings(), listen=[LOOPBACK], access=Access(allow_plain=True))
    return ManagerService(reactor, settings, findCommands(), Keys("HS256", [SECRET]), folder)


@pytest.fixture
def ledger() -> SharedLedger:
    made = SharedLedger()
    made.open(NOW_MS)
    populate(made)
    return made


@pytest.fixture
def service(ledger: SharedLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManagerService]:
    running = serviceOn(ledger, tmp_path, monkeypatch)
    running.startService()
    yield running
    pytest_twisted.blockon(running.stopService().addTimeout(PATIENCE_S, reactor))


def elsewhere(f: Callable[[], object]) -> None:
    """In some other thread."""
    thread = Thread(target=f)
    thread.start()
    thread.join()


@pytest_twisted.ensureDeferred
async def test_othersAndAway(ledger: SharedLedger, connect: Callable[..., Deferred[Client]]) -> None:
    """A session that only listens is told what others wrote; while the ledger is away it stays, and is told 503; and
    when that is back all goes on."""
    crm = await connect(token())
    assert (await crm.call(1, "Ping")).status == 200
    head = ledger.book.seq

    def others() -> None:
        ledger.byOthers(1000)
        ledger.wake()

    # Nobody has said yet that there is something: it is read because somebody knows it.
    ledger.byOthers(1000)
    seen = await crm.call(2, "Subscribe", chanels=["trade:event", "balance:event"], from_seq=head + 2)
    assert (seen.status, seen.data["seq"]) == (200, head + 2)
    # What it knows already it is not told.
    heard = crm.heardOf("balance:event")
    elsewhere(others)
    await heard
    told = [event.seq for event in crm.events if event.event in ("trade:event", "balance:event")]
    assert told == [head + 3, head + 4]
    elsewhere(ledger.goAway)
    refused = await crm.call("d", "BalanceInSync", login=1001, amount=5.0)
    assert (refused.status, refused.data["reason"]) == (503, "RET_ERR_NOSERVICE")
    elsewhere(ledger.comeBack)
    assert (await crm.call("d", "BalanceInSync", login=1001, amount=5.0)).status == 200


@pytest_twisted.ensureDeferred
async def test_lost(ledger: SharedLedger, service: ManagerService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger with which nothing more can be done ends the daemon, once: who looks after that starts it again."""
    ended: Deferred[None] = Deferred()
    monkeypatch.setattr(reactor, "stop", lambda: ended.callback(None))
    ledger.lost = "it is another one"
    elsewhere(ledger.goAway)
    elsewhere(ledger.goAway)
    await ended.addTimeout(PATIENCE_S, reactor)


@pytest.mark.parametrize(
    ("method", "error"),
    [("open", LedgerRefused("no server is there")), ("reserveOrders", LedgerFailed("no server is there"))],
)
def test_startWhileAway(
    ledger: SharedLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    """A start while the ledger is away fails with that sentence."""

    def fail(*_: object) -> None:
        raise error

    setattr(ledger, method, fail)
    with pytest.raises(StartFailed, match=r"^scalemgr: no server is there$"):
        serviceOn(ledger, tmp_path, monkeypatch, MemoryReactorClock()).startService()
