"""Groups, trades by their number, and the line itself."""

from __future__ import annotations

from typing import Any

import pytest

from ..helpers import Daemon, fresh, token


def ask(daemon: Daemon, command: str, data: dict[str, Any], **claims: Any) -> dict[str, Any]:
    session = daemon.connect(token(**claims))
    session.send(command, fresh(), data)
    daemon.settle()
    [answer] = session.answers()
    return answer


# -- groups -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("currency", "digits"), [("USD", 2), ("JPY", 0), ("KWD", 3), ("BTC", 8)])
def test_addGroup(currency: str, digits: int) -> None:
    """A group is made with the decimals of its currency, and everyone who may see it hears of it."""
    daemon = Daemon()
    wide, narrow = daemon.staff(), daemon.connect(token(groups="demo"))
    narrow.send("Ping", "hello")
    narrow.raw()
    answer = ask(daemon, "AddGroup", {"group": "vip-1", "currency": currency})
    assert answer["status"] == 200
    assert answer["data"] == {"group": "vip-1", "currency": currency, "digits": digits, "floor": 0.0}
    group = daemon.ledger.book.group("vip-1")
    assert group is not None
    assert (group.currency, group.digits) == (currency, digits)
    [event] = wide.lines()
    assert (event["event"], event["type"], event["data"]) == ("group:event", 0, answer["data"])
    assert narrow.raw() == b""


@pytest.mark.parametrize("currency", ["", "usd", "XXQ", "XAU", "x" * 13, 7, None])
def test_badCurrency(currency: object) -> None:
    """A currency whose decimals nobody knows is refused by name, and nothing is made."""
    daemon = Daemon()
    before = daemon.kept()
    answer = ask(daemon, "AddGroup", {"group": "vip", "currency": currency})
    assert (answer["status"], answer["data"]["field"]) == (400, "currency")
    assert daemon.kept() == before


@pytest.mark.parametrize("group", ["", "a b", "a*", "!a", "a,b", "a\tb", "a\n", "x" * 65, 7, None])
def test_badGroupName(group: object) -> None:
    """A name that a mask would read as something else is refused."""
    daemon = Daemon()
    before = daemon.kept()
    answer = ask(daemon, "AddGroup", {"group": group, "currency": "USD"})
    assert (answer["status"], answer["data"]["field"]) == (400, "group")
    assert daemon.kept() == before


@pytest.mark.parametrize("group", ["x" * 64, "Демо-1", "a'b", "real\\eu/1", "\U0001f600"])
def test_goodGroupName(group: str) -> None:
    """Any other name comes back as it was, and accounts can be opened in it by a mask that spells it."""
    daemon = Daemon()
    answer = ask(daemon, "AddGroup", {"group": group, "currency": "USD"}, groups=group)
    assert answer["data"] == {"group": group, "currency": "USD", "digits": 2, "floor": 0.0}


def test_groupExists() -> None:
    """A group is made once; to make it again changes nothing, whatever its currency would be."""
    daemon = Daemon()
    before = daemon.kept()
    answer = ask(daemon, "AddGroup", {"group": "demo", "currency": "EUR"})
    assert (answer["status"], answer["data"]["reason"]) == (409, "RET_DUPLICATE_RECORD")
    assert daemon.kept() == before


def test_groupOutsideTheMask() -> None:
    """Nobody makes a group that they could not see."""
    daemon = Daemon()
    before = daemon.kept()
    answer = ask(daemon, "AddGroup", {"group": "vip", "currency": "USD"}, groups="real-*")
    assert (answer["status"], answer["data"]["reason"]) == (403, "RET_NOT_ENOUGH_RIGHTS")
    assert daemon.kept() == before


@pytest.mark.parametrize(("role", "status"), [(0, 403), (1, 200), (2, 403), (3, 200), (4, 403)])
def test_whoMayAddGroups(role: int, status: int) -> None:
    """Managers and admins make groups; nobody else does."""
    assert ask(Daemon(), "AddGroup", {"group": "vip", "currency": "USD"}, role=role, login=1001)["status"] == status


# -- trades -------------------------------------------------------------------------------------------


def test_getTradeByOrder() -> None:
    """A trade is shown with the published columns, as it is now."""
    daemon = Daemon()
    session = daemon.staff()
    for amount, order in ((1.0, 0), (59.97, 1)):
        session.deposit(fresh(), amount, order=order, comment="it's")
        daemon.settle()
        booked = session.lines()[0]["data"]
        answer = ask(daemon, "GetTradeByOrder", {"order": 1})
        assert answer["status"] == 200
        assert answer["data"].items() >= {**booked, "profit": amount}.items()
        published = "order login cmd state symbol reason volume open_time close_time open_price close_price sl tp"
        published += " profit commission storage comment digits expiration"
        assert answer["data"].keys() >= set(published.split())


@pytest.mark.parametrize("order", [0, 2, 2**53 - 1])
def test_noSuchTrade(order: int) -> None:
    """An order that does not exist is answered as published."""
    daemon = Daemon()
    ask(daemon, "BalanceInSync", {"login": 1001, "amount": 1})
    answer = ask(daemon, "GetTradeByOrder", {"order": order})
    assert (answer["status"], answer["data"]["error"]) == (404, "TRADE_NOT_FOUND")


def test_tradeOutsideTheMask() -> None:
    """A trade of a group outside the caller's mask is answered exactly like one that does not exist."""
    daemon = Daemon()
    ask(daemon, "BalanceInSync", {"login": 2001, "amount": 1})
    outside = ask(daemon, "GetTradeByOrder", {"order": 1}, groups="demo")
    assert outside["data"]["message"] == "order 1 does not exist, or not for you"
    assert outside["data"].keys() == ask(daemon, "GetTradeByOrder", {"order": 2}, groups="demo")["data"].keys()
    assert ask(daemon, "GetTradeByOrder", {"order": 1}, groups="real-*")["status"] == 200


@pytest.mark.parametrize("order", [None, -1, "1", 1.5, 2**53])
def test_badOrder(order: object) -> None:
    """An order that can be none is refused by name."""
    answer = ask(Daemon(), "GetTradeByOrder", {"order": order})
    assert (answer["status"], answer["data"]["field"]) == (400, "order")


def test_whoMayAsk() -> None:
    """Questions are for managers, dealers and admins, for the user whose account it is, and for nobody else."""
    daemon = Daemon()
    ask(daemon, "BalanceInSync", {"login": 1001, "amount": 1})
    for command, data in (("GetTradeByOrder", {"order": 1}), ("GetAccountByLogin", {"login": 1001})):
        statuses = [ask(daemon, command, data, role=role, login=1001)["status"] for role in (0, 1, 2, 3, 4, 9)]
        assert statuses == [200, 200, 200, 200, 403, 403]
        assert ask(daemon, command, data, role=0, login=1002)["status"] == 404


# -- the line -----------------------------------------------------------------------------------------


def test_ping() -> None:
    """A ping tells the time, the log's name and its head, to anybody with a token."""
    daemon = Daemon()
    first = ask(daemon, "Ping", {}, role=0, login=1001)["data"]
    assert first == {"time": daemon.clock.seconds(), "epoch": daemon.ledger.epoch, "seq": 5}
    ask(daemon, "BalanceInSync", {"login": 1001, "amount": 1})
    daemon.clock.advance(1.5)
    second = ask(daemon, "Ping", {})["data"]
    assert (second["seq"], second["epoch"]) == (7, first["epoch"])
    assert second["time"] - first["time"] == pytest.approx(1.5)


@pytest.mark.parametrize(("items", "good"), [(60, True), (70, False)])
def test_sizeOfAGroup(items: int, good: bool) -> None:
    """All that is kept of a group is bounded; what is not finite in it is refused by name."""
    daemon = Daemon()
    data = {"group": "g", "currency": "USD", "secgroups": [{"sec_index": n, "x": "y" * 1000} for n in range(items)]}
    answer = ask(daemon, "AddGroup", data)
    assert answer["status"] == (200 if good else 400)
    session = daemon.staff()
    session.sendRaw(
        b'{"command":"AddGroup","extID":"inf","data":{"group":"h","currency":"USD","secmargins":[{"a":1e400}]}}\r\n'
    )
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["field"]) == (400, "secmargins")


def test_nameOfAGroup() -> None:
    """A name that cannot be one is told what a name is, not by which expression it was found out."""
    answer = ask(Daemon(), "AddGroup", {"group": "a b", "currency": "USD"})
    assert answer["data"]["message"] == "group: expected 1 to 64 characters, no space and none of * ! ,"
