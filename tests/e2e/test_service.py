"""The service on a real reactor, with real sockets, threads and files, in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest_twisted
from twisted.internet.defer import Deferred

from scalemgr.client.session import Reply

from ..helpers import onAccount, token
from .clients import Client


@pytest_twisted.ensureDeferred
async def test_mainJobOnAFreshLedgerThroughTheWireAlone(connect: Callable[..., Deferred[Client]]) -> None:
    """With a token and nothing else, a client makes a group and an account, deposits, and looks at both."""
    crm = await connect(token("crm", "manager"))
    listener = await connect(token("backoffice", "dealer"))
    assert (await listener.call(1, "Ping")).status == 200
    assert (await crm.call("g", "AddGroup", group="real-usd", currency="USD")).status == 200
    opened = await crm.call(
        "a", "AddUser", group="real-usd", name="O'Brien", password="correct horse", leverage=100, enable=1, email="o@b"
    )
    assert (opened.status, opened.data["login"], opened.data["currency"]) == (200, 1001, "USD")
    booked = await crm.call("d", "BalanceInSync", login=1001, amount=59.970000000000006, comment="O'Brien's")
    assert booked.status == 200
    assert "'" not in booked.line
    assert (booked.data["profit"], booked.data["comment"]) == (59.97, "O'Brien's")
    order = booked.data["order"]
    assert (await crm.call("t", "GetTradeByOrder", order=order)).data.items() >= booked.data.items()
    changed = await crm.call("u", "BalanceInSync", login=1001, amount=50, order=order)
    assert (changed.data["order"], changed.data["profit"], changed.data["comment"]) == (order, 50.0, "O'Brien's")
    account = (await crm.call("q", "GetAccountByLogin", login=1001)).data
    assert (account["balance"], account["name"], account["balance_version"]) == (50.0, "O'Brien", 2)
    assert "correct horse" not in str(crm.heard)
    # The listener heard all of it, in the order of the log.
    await listener.call(2, "Ping")
    assert [(e.event, e.type, e.seq) for e in listener.events] == [
        ("group:event", 0, 1),
        ("user:event", 0, 2),
        ("trade:event", 0, 3),
        ("balance:event", 1, 4),
        ("trade:event", 1, 5),
        ("balance:event", 1, 6),
    ]
    assert listener.events[2].data == booked.data
    assert [listener.events[n].data for n in (3, 5)] == [onAccount(1001, 1, 5997), onAccount(1001, 2, 5000)]


@pytest_twisted.ensureDeferred
async def test_answersPrecedeTheirEvents(connect: Callable[..., Deferred[Client]]) -> None:
    """Over a real socket too, each of many pipelined deposits is answered before its own event comes."""
    crm = await connect(token())
    await crm.call("g", "AddGroup", group="g", currency="JPY")
    await crm.call("a", "AddUser", group="g", name="n", password="secret", leverage=1, enable=1, email="")
    answers = [await d for d in [crm.call(n, "BalanceInSync", login=1001, amount=n + 1) for n in range(300)]]
    assert [a.data["profit"] for a in answers] == [float(n + 1) for n in range(300)]
    answered: set[int] = set()
    for message in crm.heard:
        if isinstance(message, Reply):
            answered.add(message.data.get("order", 0))
        elif message.event == "trade:event":
            assert message.data["order"] in answered
    balance = (await crm.call("q", "GetAccountByLogin", login=1001)).data["balance"]
    assert balance == sum(range(1, 301))


@pytest_twisted.ensureDeferred
async def test_tablesAndStatements(connect: Callable[..., Deferred[Client]]) -> None:
    """Tables and statements are answered by threads of their own, as of all that was answered before, in order."""
    crm = await connect(token())
    await crm.call("g", "AddGroup", group="g", currency="USD")
    await crm.call("a", "AddUser", group="g", name="n", password="secret", leverage=1, enable=1, email="")
    for n in range(1, 21):
        assert (await crm.call(n, "BalanceInSync", login=1001, amount=n)).status == 200
        table = (await crm.call("t", "MngGetTradesByFilter", orderBy=[["open_time", "desc"]], limit=1)).data
        assert (table["count"], table["rows"][0][0]) == (n, n)
    asked = [crm.call(f"s{n}", "GetStatement", login=1001, limit=n) for n in range(1, 21)]
    for n, answer in enumerate([await d for d in asked], 1):
        assert (len(answer.data["rows"]), answer.data["closing_balance"]) == (n, 210.0)
