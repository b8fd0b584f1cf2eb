"""Tables and statements, as clients ask for them."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.finance.questions import Bounds
from scalemgr.ledger.memory import MemoryLedger

from ..helpers import NOW_MS, Daemon, booked, fresh, token
from ..ledger.scribe import T0, Scribe, keep

NINETEEN = [
    *("order", "login", "cmd", "state", "symbol", "reason", "volume", "open_time", "close_time", "open_price"),
    *("close_price", "sl", "tp", "profit", "commission", "storage", "comment", "digits", "expiration"),
]
ACCOUNT = [
    *("login", "enable", "enable_read_only", "enable_change_password", "leverage", "currency", "group", "email"),
    *("country", "phone", "comment", "address", "city", "zipcode", "name", "regdate", "prevbalance"),
    *("prevmonthbalance", "balance", "credit", "margin", "margin_free", "margin_level", "equity"),
]
HISTORY = {"login": 1001, "from": 0, "to": 2_000_000_000}


@pytest.fixture
def daemon() -> Daemon:
    """On a ledger with something of everything."""
    ledger = MemoryLedger()
    ledger.open(0)
    keep(ledger, Scribe().story().entries)
    return Daemon(ledger=ledger)


def ask(daemon: Daemon, command: str, data: dict[str, Any] | None = None, **claims: Any) -> tuple[int, Any]:
    session = daemon.connect(token(**claims))
    session.send(command, fresh(), data or {})
    daemon.settle()
    [answer] = session.answers()
    return answer["status"], answer["data"]


def good(daemon: Daemon, command: str, data: dict[str, Any] | None = None, **claims: Any) -> Any:
    status, answer = ask(daemon, command, data, **claims)
    assert status == 200, answer
    return answer


def asDicts(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(answer["structure"], row, strict=True)) for row in answer["rows"]]


def orders(answer: dict[str, Any]) -> list[int]:
    return [row["order"] for row in asDicts(answer)]


def test_history(daemon: Daemon) -> None:
    """The history of an account is what was closed between two times, both inclusive, in the published columns."""
    answer = good(daemon, "GetTradesHistoryByLogin", HISTORY)
    assert list(answer) == ["structure", "rows", "count", "seq"]
    assert answer["structure"] == [*NINETEEN, "group", "update_time", "net_profit", "balance_version"]
    assert orders(answer) == [6, 1]
    assert answer["count"] == 2
    for first, last, found in [(T0 + 100, T0 + 100, [6]), (T0 + 101, T0 + 200, [1]), (T0 + 201, T0 + 999, [])]:
        assert orders(good(daemon, "GetTradesHistoryByLogin", {"login": 1001, "from": first, "to": last})) == found
    assert orders(good(daemon, "GetTradesHistoryByLogin", {**HISTORY, "limit": 1, "offset": 1})) == [1]
    assert ask(daemon, "GetTradesHistoryByLogin", {"login": 1001, "from": 2, "to": 1})[1]["field"] == "to"
    for nobody in (77, 1004):
        claims = {"groups": "demo"}
        assert good(daemon, "GetTradesHistoryByLogin", {**HISTORY, "login": nobody}, **claims)["rows"] == []


def test_by_group(daemon: Daemon) -> None:
    """The trades of some groups: all, or those that await approval."""
    assert orders(good(daemon, "GetTradesByGroup", {"group_mask": "demo"})) == [1, 5, 6, 7, 8]
    assert orders(good(daemon, "GetTradesByGroup", {"group_mask": "*", "open_only": 1})) == [8]
    assert orders(good(daemon, "GetTradesByGroup", {"group_mask": "*"}, groups="vip,jp")) == [2, 3, 9]
    assert ask(daemon, "GetTradesByGroup", {})[1]["field"] == "group_mask"


def test_same_numbers(daemon: Daemon) -> None:
    """Rows say of each trade what GetTradeByOrder says, and of each account what GetAccountByLogin says."""
    rows = asDicts(good(daemon, "MngGetTradesByFilter"))
    assert [row["order"] for row in rows] == list(range(1, 10))
    for row in rows:
        trade = good(daemon, "GetTradeByOrder", {"order": row["order"]})
        assert {name: row[name] for name in trade if name in row} == {n: v for n, v in trade.items() if n in row}
        assert set(NINETEEN) <= set(trade)
    for row in asDicts(good(daemon, "GetUsersByFilter")):
        account = good(daemon, "GetAccountByLogin", {"login": row["login"]})
        shared = set(row) & set(account)
        assert {name: row[name] for name in shared} == {name: account[name] for name in shared}
        assert {"balance", "credit", "equity", "margin_free"} <= shared


def test_by_filter(daemon: Daemon) -> None:
    """The published example; count and totals are of all that match."""
    answer = good(
        daemon,
        "MngGetTradesByFilter",
        {
            "groupFilter": "*",
            "limit": 2,
            "offset": 1,
            "tradeType": 4,
            "where": [["profit", ">", 0]],
            "orderBy": [["open_time", "desc"]],
        },
    )
    assert list(answer) == [
        *("structure", "rows", "count", "total_profit", "total_net_profit", "total_storage", "total_commission"),
        *("total_volume", "seq"),
    ]
    assert orders(answer) == [1, 6]
    assert (answer["count"], answer["total_profit"], answer["total_net_profit"]) == (6, 774.51 + 0.0, 774.51)
    assert answer["total_storage"] == answer["total_commission"] == answer["total_volume"] == 0
    assert answer["seq"] == daemon.ledger.book.seq


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"where": [["profit", ">", "x"]]}, "where[0]"),
        ({"where": [["login", "=", 1], ["nothing", "=", 1]]}, "where[1]"),
        ({"where": "x"}, "where"),
        ({"limit": 0}, "limit"),
        ({"limit": 50_001}, "limit"),
        ({"offset": -1}, "offset"),
        ({"tradeType": 5}, "tradeType"),
        ({"groupFilter": "!x"}, "groupFilter"),
        ({"groupFilter": 7}, "groupFilter"),
        ({"orderBy": [["x", "desc"]]}, "orderBy[0]"),
        ({"where": [["login", "=", 1]] * 51}, "where"),
    ],
)
def test_wrong(daemon: Daemon, data: dict[str, Any], field: str) -> None:
    """What is wrong with a filter is told by the name of the member."""
    status, answer = ask(daemon, "MngGetTradesByFilter", data)
    assert (status, answer["error"], answer["field"]) == (400, "INVALID_DATA", field)


def test_bad_number(daemon: Daemon) -> None:
    """A number that is none is refused, as it is on the wire."""
    session = daemon.staff()
    session.sendRaw(
        b'{"command":"MngGetTradesByFilter","extID":"x","data":{"where":[["profit",">",1e400]]}}\r\n',
    )
    [answer] = session.answers()
    assert (answer["status"], answer["data"]["field"]) == (400, "where[0]")


def test_more_than_fit() -> None:
    """What does not fit into one answer is refused with how much it is, and can be had in parts."""
    daemon = Daemon(queryBounds=Bounds(rows=1))
    status, answer = ask(daemon, "GetAccountsByGroup")
    assert (status, answer["message"]) == (400, "limit: 3 rows match, one answer has at most 1: use limit and offset")
    assert good(daemon, "GetAccountsByGroup", {"limit": 1, "offset": 2})["rows"][0][0] == 2001


def test_accounts(daemon: Daemon) -> None:
    """Accounts come in the published columns, deleted ones not, and nothing of a password."""
    answer = good(daemon, "GetAccountsByGroup")
    assert (answer["structure"], answer["count"]) == (ACCOUNT, 3)
    assert [row["login"] for row in asDicts(answer)] == [1001, 1002, 1003]
    assert good(daemon, "GetAccountsByGroup", {"group_mask": "v*"})["count"] == 1
    found = good(daemon, "GetUsersByFilter", {"where": [["email", "like", "NEW@%"]], "limit": 10, "offset": 0})
    assert [row["login"] for row in asDicts(found)] == [1002]
    assert {name: found[name] for name in found if name.startswith("total")} == {
        "total_balance": 50.01,
        "total_credit": 0.0,
        "total_profit": 0.0,
        "total_net_profit": 0.0,
    }
    assert "secret" not in str(answer) + str(found)
    assert ask(daemon, "GetUsersByFilter", {"where": [["password_hash", "like", "s%"]]})[0] == 400


def test_balances(daemon: Daemon) -> None:
    """Balances come as objects in the published order with the login last; unknown logins are left out."""
    answer = good(daemon, "GetUserBalanceList", {"logins": [1003, 7, 1001, 1004]})
    assert answer["count"] == 2
    assert list(answer["rows"][0].items()) == [
        ("balance", 24.0),
        ("credit", 0.0),
        ("profit", 0.0),
        ("commission", 0.0),
        ("storage", 0.0),
        ("margin", 0.0),
        ("margin_free", 24.0),
        ("margin_level", 0.0),
        ("equity", 24.0),
        ("level_type", 0),
        ("login", 1001),
    ]
    assert good(daemon, "GetUserBalanceList", {"logins": [1001, 1003]}, groups="jp")["rows"][0]["login"] == 1003


def test_groups(daemon: Daemon) -> None:
    """Groups come as objects, as far as the mask goes, with all that is known of them."""
    answer = good(daemon, "GetGroups", groups="vip,gone")
    vip = {"group": "vip", "currency": "USD", "digits": 2, "company": "Acme"}
    assert answer == {"rows": [vip], "count": 1, "seq": daemon.ledger.book.seq}


def test_statement(daemon: Daemon) -> None:
    """A statement says what opened and closed it, and what moved in between; a further page belongs to the same."""
    answer = good(daemon, "GetStatement", {"login": 1001, "from": T0 + 100, "to": T0 + 200, "limit": 3})
    assert {name: value for name, value in answer.items() if name not in ("structure", "rows")} == {
        "login": 1001,
        "group": "demo",
        "currency": "USD",
        "from": T0 + 100,
        "to": T0 + 200,
        "seq": daemon.ledger.book.seq,
        "opening_balance": 10.0,
        "opening_credit": 0.0,
        "closing_balance": 24.0,
        "closing_credit": 0.0,
        "count": 4,
    }
    assert [row["order"] for row in asDicts(answer)] == [5, 6, 1]
    last = answer["rows"][-1][0]
    booked(daemon, daemon.staff(), amount=5)
    more = {"login": 1001, "from": T0 + 100, "to": T0 + 200, "after_seq": last, "as_of": answer["seq"]}
    assert [row["order"] for row in asDicts(good(daemon, "GetStatement", more))] == [5]
    now = good(daemon, "GetStatement", {"login": 1001, "from": NOW_MS // 1000})
    assert (now["opening_balance"], now["closing_balance"], now["count"]) == (24.0, 29.0, 1)
    status, refusal = ask(daemon, "GetStatement", {"login": 77})
    assert (status, refusal["reason"]) == (404, "RET_USER_NOT_FOUND")


# -- who may ------------------------------------------------------------------------------------------

READS: dict[str, dict[str, Any]] = {
    "GetAccountByLogin": {"login": 1001},
    "GetTradeByOrder": {"order": 1},
    "GetTradesHistoryByLogin": HISTORY,
    "GetTradesByGroup": {"group_mask": "*"},
    "MngGetTradesByFilter": {},
    "GetUsersByFilter": {},
    "GetStatement": {"login": 1001},
    "GetAccountsByGroup": {},
    "GetUserBalanceList": {"logins": [1001]},
    "GetGroups": {},
}
FOR_STAFF = {"GetAccountsByGroup", "GetUserBalanceList", "GetGroups"}
FLAGS = {
    "see_accounts": {"GetAccountByLogin", "GetUsersByFilter", "GetAccountsByGroup", "GetGroups"},
    "see_trades": {
        *("GetTradeByOrder", "GetTradesHistoryByLogin", "GetTradesByGroup", "MngGetTradesByFilter", "GetStatement")
    },
    "see_accounts_balance": {"GetUserBalanceList", "GetStatement"},
}


@pytest.mark.parametrize("command", READS)
@pytest.mark.parametrize("role", [0, 1, 2, 3, 4, 5, 9, 10, 11])
def test_roles(daemon: Daemon, command: str, role: int) -> None:
    """Managers, dealers and admins may ask all of it; the user of an account what there is to see of that."""
    allowed = role in (1, 2, 3) or (role == 0 and command not in FOR_STAFF)
    status, _ = ask(daemon, command, READS[command], role=role, id="1001")
    assert status == (200 if allowed else 403)


@pytest.mark.parametrize("command", READS)
@pytest.mark.parametrize("flag", FLAGS)
def test_flags(daemon: Daemon, command: str, flag: str) -> None:
    """A token that withholds a flag withholds the commands that take it, and no others."""
    status, _ = ask(daemon, command, READS[command], **{flag: 0})
    assert status == (403 if command in FLAGS[flag] else 200)


def test_a_user_sees_itself(daemon: Daemon) -> None:
    """The user of an account sees that one, and of others the same as if they did not exist."""
    own: dict[str, Any] = {"role": "user", "id": 1002}
    assert orders(good(daemon, "MngGetTradesByFilter", **own)) == [2, 9]
    assert orders(good(daemon, "GetTradesByGroup", {"group_mask": "*"}, **own)) == [2, 9]
    assert [row["login"] for row in asDicts(good(daemon, "GetUsersByFilter", **own))] == [1002]
    assert good(daemon, "GetUsersByFilter", **own)["total_balance"] == 50.01
    assert good(daemon, "GetStatement", {"login": 1002}, **own)["closing_balance"] == 50.01
    for command, mine, others, never in [
        ("GetTradeByOrder", {"order": 2}, {"order": 1}, {"order": 777}),
        ("GetAccountByLogin", {"login": 1002}, {"login": 1001}, {"login": 777}),
        ("GetStatement", {"login": 1002}, {"login": 1001}, {"login": 777}),
        ("GetTradesHistoryByLogin", {**HISTORY, "login": 1002}, HISTORY, {**HISTORY, "login": 777}),
    ]:
        assert good(daemon, command, mine, **own) != {}
        (status, seen), (wouldBe, not_) = ask(daemon, command, others, **own), ask(daemon, command, never, **own)
        number = str(next(iter(others.values())))
        assert (status, str(seen).replace(number, "777")) == (wouldBe, str(not_))


def test_withheld_balances(daemon: Daemon) -> None:
    """A token that withholds balances is shown no money and cannot filter or sort by it."""
    blind = {"see_accounts_balance": 0}
    money = {"profit", "net_profit", "balance", "credit", "equity", "margin", "margin_free", "prevbalance"}
    for command in ("MngGetTradesByFilter", "GetUsersByFilter", "GetAccountsByGroup", "GetTradesByGroup"):
        answer = good(daemon, command, READS[command], **blind)
        assert not money & set(answer["structure"])
        assert not [name for name in answer if name.startswith("total_") and name != "total_volume"]
        assert {len(row) for row in answer["rows"]} == {len(answer["structure"])}
    account = good(daemon, "GetAccountByLogin", READS["GetAccountByLogin"], **blind)
    assert not money & set(account)
    assert account["email"] == "c1001@example.com"
    assert not money & set(good(daemon, "GetTradeByOrder", READS["GetTradeByOrder"], **blind))
    for command, name in [("MngGetTradesByFilter", "profit"), ("GetUsersByFilter", "balance")]:
        for data in ({"where": [[name, ">", 0]]}, {"orderBy": [name, "ASC"]}):
            assert ask(daemon, command, data, **blind)[0] == 400
