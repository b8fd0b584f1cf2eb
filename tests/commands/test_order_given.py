"""A deposit that names an order: it changes that one, or makes a new one."""

from __future__ import annotations

import pytest

from scalemgr.finance.records import BALANCE_EVENT, TRADE_EVENT
from scalemgr.wire.codes import EventRecordType, TradeCommand, TradeState

from ..helpers import Daemon, booked, fresh, inShort, ofDeposits, token, trades


def test_update() -> None:
    """A deposit under an existing order changes that one: EV_RECORD_UPDATE, and the balance moves by the difference."""
    daemon = Daemon()
    session = daemon.staff()
    order = booked(daemon, session, "a", 250.0, comment="first", open_time=100)["order"]
    for seq, amount, comment, balance in ((8, 300.0, "second", 30_000), (10, 20.0, "third", 2_000)):
        daemon.clock.advance(60)
        session.deposit(fresh(), amount, order=order, comment=comment)
        daemon.settle()
        answer, event, told = session.lines()
        assert inShort([event, told]) == [str(seq), f"{seq + 1}:{amount:g}"]
        data = answer["data"]
        assert (event["type"], event["data"]) == (EventRecordType.EV_RECORD_UPDATE, data)
        assert (data["order"], data["profit"], data["comment"]) == (order, amount, comment)
        assert (data["cmd"], data["state"]) == (TradeCommand.OP_BALANCE_IN, TradeState.TS_CLOSED_NORMAL)
        assert (data["open_time"], data["update_time"]) == (100, int(daemon.clock.seconds()))
        assert daemon.balance() == balance
    entries = daemon.ledger.entries(5, 10)
    assert [entry.event for entry in entries] == [TRADE_EVENT, BALANCE_EVENT] * 3
    assert [entry.balance for entry in entries if entry.event == TRADE_EVENT] == [25_000, 5_000, -28_000]


def test_updateLeavesTheRest() -> None:
    """What an update does not say stays as it was, and an update that moves no money is no new version."""
    daemon = Daemon()
    session = daemon.staff()
    first = booked(daemon, session, "a", 250.0, comment="first", open_time=100, close_time=200)
    second = booked(daemon, session, "b", 250.0, order=first["order"])
    assert second == first
    third = booked(daemon, session, "c", 250.0, order=first["order"], comment="")
    assert third == {**first, "comment": ""}
    assert daemon.balance() == 25_000


def test_updateBelowTheFloor() -> None:
    """A deposit cannot be made smaller by more than is left of it."""
    daemon = Daemon()
    session = daemon.staff()
    order = booked(daemon, session, "a", 100.0)["order"]
    account = daemon.ledger.book.accounts[1001]
    daemon.ledger.book.accounts[1001] = type(account)(1001, "demo", 1, 2_000, 0, 2)
    session.deposit("b", 50.0, order=order)
    daemon.settle()
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["reason"], answer["data"]["available"]) == (
        409,
        "RET_TRADE_NO_MONEY",
        20.0,
    )
    assert daemon.balance() == 2_000


def test_updateOfAnotherLogin() -> None:
    """An order of one account cannot be changed in the name of another."""
    daemon = Daemon()
    session = daemon.staff()
    order = booked(daemon, session, "a")["order"]
    before = daemon.kept()
    session.deposit("b", 99.0, login=1002, order=order)
    daemon.settle()
    [answer] = session.lines()
    assert (answer["status"], answer["data"]["reason"]) == (400, "RET_TRADE_INCORRECT_ORDER")
    assert daemon.kept() == before


@pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])
def test_updatesInOneBatch(command: str) -> None:
    """Two updates of one order from two sessions in one batch: each is answered with its own, not the other's."""
    daemon = Daemon()
    one, two = daemon.staff(), daemon.connect(token("another"))
    order = booked(daemon, one, "a", 1.0)["order"]
    one.deposit("same", 2.0, command, order=order, comment="one")
    two.deposit("same", 3.0, command, order=order, comment="two")
    one.deposit("more", 4.0, command, order=order, comment="three")
    daemon.settle()
    name = "amount" if command == "BalanceIn" else "profit"
    lines = one.lines()
    assert [(line.get("extID"), line["data"].get(name)) for line in lines[:2]] == [("same", 2.0), ("more", 4.0)]
    assert [(line["type"], line["data"]["profit"]) for line in trades(lines[2:])] == [(1, 2.0), (1, 3.0), (1, 4.0)]
    assert inShort(lines[2:]) == ["8", "9:2", "10", "11:3", "12", "13:4"]
    assert [(line.get("extID"), line["data"].get(name)) for line in two.lines()[:1]] == [("same", 3.0)]
    assert daemon.balance() == 400


# -- an order that does not -----------------------------------------------------------------------------


def test_unknownOrder() -> None:
    """An order that does not exist makes a new transaction with an order of the server's: EV_RECORD_ADD."""
    daemon = Daemon()
    session = daemon.staff()
    session.deposit("x", order=1242279)
    daemon.settle()
    lines = session.lines()
    assert inShort(lines) == ["x", *ofDeposits(6)]
    answer, event, _ = lines
    assert (answer["status"], answer["data"]["order"], event["type"]) == (200, 1, EventRecordType.EV_RECORD_ADD)
    assert daemon.balance() == 1000


@pytest.mark.parametrize("command", ["BalanceIn", "BalanceInSync"])
def test_strictOrders(command: str) -> None:
    """Where orders are strict, one that does not exist is 404 and nothing is booked; one that does is changed."""
    daemon = Daemon(strictOrders=True)
    session = daemon.staff()
    order = booked(daemon, session, "a")["order"]
    before = daemon.kept()
    session.deposit("b", command=command, order=order + 1)
    daemon.settle()
    [answer] = session.lines()
    assert (answer["status"], answer["data"]["reason"]) == (404, "RET_NOT_FOUND")
    assert daemon.kept() == before
    assert booked(daemon, session, "c", 7.0, order=order)["order"] == order
    assert booked(daemon, session, "d", order=0)["order"] not in (0, order)


def test_orderOutsideTheMask() -> None:
    """An order of a group that the caller may not see is to it an order that does not exist, and stays as it was."""
    daemon = Daemon()
    order = booked(daemon, daemon.staff(), login=2001)["order"]
    session = daemon.connect(token(groups="demo"))
    data = booked(daemon, session, "x", 5.0, order=order)
    assert data["order"] != order
    assert (daemon.balance(2001), daemon.balance(1001)) == (1000, 500)
