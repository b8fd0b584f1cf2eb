"""The promises over real sockets: repeats across a kill, and events that were missed while the log grows."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import deferLater

from scalemgr.daemon.service import ManagerService
from scalemgr.server import leaving

from ..helpers import token
from ..lines import LineClient
from .clients import PATIENCE_S, Client
from .daemons import LOOPBACK, daemon, deposit

Connect = Callable[..., "Deferred[Client]"]


def test_repeatAfterSigkill(tmp_path: Path) -> None:
    """After kill -9 and a restart a repeat gets the first outcome, byte for byte, and the money has moved once."""
    arguments = ("--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK)
    with daemon(tmp_path, *arguments) as (first, port):
        booked = deposit(port, "payment-1001")
        with LineClient("127.0.0.1", port) as client:
            refused = json.loads(client.call("BalanceIn", {"login": 7, "amount": 1}, "payment-7").line)
        first.end(signal.SIGKILL)
    with daemon(tmp_path, *arguments) as (_, port):
        assert deposit(port, "payment-1001") == {**booked, "replayed": True}
        with LineClient("127.0.0.1", port) as client:
            again = json.loads(client.call("BalanceIn", {"login": 7, "amount": 1}, "payment-7").line)
            assert again == {**refused, "replayed": True}
            assert client.call("GetRequest", {"extID": "payment-1001"}).data["data"] == booked["data"]
            account = client.call("GetAccountByLogin", {"login": 1001}).data
            assert (account["balance"], account["balance_version"]) == (250.0, 1)


#: All of them, as their names are on the wire.
EVENTS = ["trade:event", "user:event", "group:event", "balance:event"]


async def opened(connect: Connect) -> Client:
    """A client, when there is an account for it."""
    crm = await connect(token())
    await crm.call("g", "AddGroup", group="g", currency="JPY")
    await crm.call("a", "AddUser", group="g", name="n", password="secret", leverage=1, enable=1, email="")
    return crm


@pytest_twisted.ensureDeferred
async def test_resumedWhileTheLogGrows(connect: Connect) -> None:
    """Who leaves and comes back, again and again, while deposits are made, has the whole log in the end, once."""
    crm = await opened(connect)
    seen: list[int] = []
    epoch = (await crm.call("p", "Ping")).data["epoch"]
    for round in range(5):
        made = [crm.call(f"{round}-{n}", "BalanceInSync", login=1001, amount=1) for n in range(400)]
        client = await connect(token())
        reply = await client.call(1, "Subscribe", chanels=EVENTS, from_seq=max(seen, default=0), epoch=epoch)
        assert reply.status == 200
        await gatherResults(made[: 100 * round])
        assert client.transport is not None
        client.transport.loseConnection()
        await client.gone()
        seen += [event.seq for event in client.events if event.seq is not None]
        await gatherResults(made)
    last = await connect(token())
    whole = last.heardOf("replay:done")
    await last.call(1, "Subscribe", chanels=EVENTS, from_seq=max(seen), epoch=epoch)
    await whole
    seen += [event.seq for event in last.events if event.seq is not None]
    # A group, an account, and two events of each deposit.
    assert seen == list(range(1, 2 + 2 * 5 * 400 + 1))


@pytest_twisted.ensureDeferred
async def test_whoHasClosedItsSideIsNotWaitedFor(
    connect: Connect, service: ManagerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that closed its side, got its answer and left is gone at once: a stop need not wait for it."""
    monkeypatch.setattr(leaving, "LINGER_S", 10 * PATIENCE_S)
    client = await connect(token())
    asked = client.call(1, "Ping")
    assert ITCPTransport.providedBy(client.transport)
    client.transport.loseWriteConnection()
    assert (await asked).status == 200
    await client.gone()
    for _ in range(PATIENCE_S * 10):
        if not service.sessions():
            return
        await deferLater(reactor, 0.1)
    raise AssertionError("the session is still there")
