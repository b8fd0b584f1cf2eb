"""Tables by a filter: against a plain Python filter, and against those who would see more than they may."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalemgr.finance.masks import Mask, Sight
from scalemgr.finance.money import fromMinor
from scalemgr.finance.questions import ACCOUNTS, GROUPS, TRADES, Bounds, Filter, Table, TableQuery
from scalemgr.interfaces import ILedger
from scalemgr.ledger.columns import TABLES
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.wire.errors import InvalidData, LedgerFailed

from .engines import Engine, every
from .scribe import T0, Scribe, keep, told

ALL = Sight()
COLUMNS = ("order", "login", "group", "cmd", "state", "open_time", "update_time", "profit", "comment", "gw_uuid")


@pytest.fixture
def ledger(engine: Engine, tmp_path: Path) -> Iterator[ILedger]:
    """A ledger of each engine, with something of everything."""
    made = engine.make(tmp_path)
    made.open(0)
    keep(made, Scribe().story().entries)
    yield made
    made.close(None)


def trades(ledger: ILedger, sight: Sight = ALL, bounds: Bounds = Bounds(), **more: Any) -> list[Any]:  # noqa: B008
    """The rows of a table of trades."""
    filter = Filter(**{name: more.pop(name) for name in Filter.__struct_fields__ if name in more})
    columns = more.pop("columns", ("order",))
    rows = told(ledger.table(TableQuery(table=TRADES, columns=columns, filter=filter, **more), sight, bounds).rows)
    return [row[0] for row in rows] if len(columns) == 1 else rows


def refused(ledger: ILedger, sight: Sight = ALL, table: str = TRADES, **more: Any) -> tuple[str, str]:
    """Where a question is wrong, and why."""
    filter = Filter(**{name: more.pop(name) for name in Filter.__struct_fields__ if name in more})
    with pytest.raises(InvalidData) as error:
        ledger.table(TableQuery(table=table, columns=("login",), filter=filter, **more), sight, Bounds())
    return error.value.details.get("field", ""), error.value.message


# -- the grammar --------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize(
    ("question", "orders"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"where": [["login", "=", 1002]]}, [2, 9]),
        ({"where": [["login", "==", 1002], ["profit", ">", 1]]}, [2]),
        ({"where": [["login", "!=", 1001], ["login", "<=", 1003], ["login", ">=", 1003]]}, [3]),
        ({"where": [["profit", "<", 0]]}, [7, 8]),
        ({"where": [["profit", "=", 15]]}, [1]),
        ({"where": [["profit", "=", 15.0]]}, [1]),
        ({"where": [["profit", "=", 0.01]]}, [9]),
        ({"where": [["net_profit", "=", 700]]}, [3]),
        ({"where": [["comment", "like", "o'b%"]]}, [2]),
        ({"where": [["comment", "LIKE", "_inance"]]}, [1, 3, 4, 5, 6, 7, 8, 9]),
        ({"where": [["comment", "=", "O'Brien, }"]]}, [2]),
        ({"where": [["gw_uuid", "=", "u-1"]]}, [6]),
        ({"whereNot": [["login", 1001], ["login", 1002]]}, [3, 4]),
        ({"whereIn": [["order", [9, 1, 77]]]}, [1, 9]),
        ({"whereIn": [["order", []]]}, []),
        ({"whereNotIn": [["order", [1, 2, 3]]]}, [4, 5, 6, 7, 8, 9]),
        ({"whereNotIn": [["order", []]]}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"whereBetween": [["update_time", [T0 + 100, T0 + 200]]]}, [1, 5, 6, 7, 8, 9]),
        ({"whereNotBetween": [["update_time", [T0 + 1, T0 + 200]]]}, [2, 3, 4]),
        ({"where": [["state", "=", 3]], "whereNot": [["cmd", 8]], "whereIn": [["login", [1001]]]}, [1, 6]),
        ({"orderBy": ["login", "DESC"]}, [4, 3, 9, 2, 8, 7, 6, 5, 1]),
        ({"orderBy": ["login"]}, [1, 5, 6, 7, 8, 2, 9, 3, 4]),
        ({"orderBy": [["login", "asc"], ["profit", "desc"]]}, [1, 6, 5, 7, 8, 2, 9, 3, 4]),
        ({"orderBy": [["open_time", "DeSc"]], "limit": 3}, [9, 5, 1]),
        ({"orderBy": [["open_time", "desc"]], "limit": 3, "offset": 3}, [8, 7, 6]),
        ({"orderBy": [["volume", "asc"], ["sl"], ["symbol"], ["storage", "desc"]], "limit": 2}, [9, 8]),
        ({"offset": 8}, [9]),
        ({"offset": 9, "limit": 1}, []),
        ({"groupFilter": "*"}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"groupFilter": "vip"}, [2, 9]),
        ({"groupFilter": "*,!demo"}, [2, 3, 4, 9]),
        ({"groupFilter": "g*"}, [4]),
        ({"groupFilter": "nobody"}, []),
        ({"tradeType": 1}, []),
        ({"tradeType": 2}, [1, 2, 3, 4, 6, 9]),
        ({"tradeType": 3}, [8]),
        ({"tradeType": 4}, [1, 2, 3, 4, 6, 7, 9]),
        ({"tradeType": 0, "where": [["state", "=", 6]]}, [5]),
    ],
)
def test_grammar(ledger: ILedger, question: dict[str, Any], orders: list[int]) -> None:
    """Every part of the published grammar selects and sorts what it says, and all conditions hold together."""
    assert trades(ledger, **question) == orders


@every
@pytest.mark.parametrize(
    ("question", "field"),
    [
        ({"where": [["login", "=", 1], ["logn", "=", 1]]}, "where[1]"),
        ({"where": [["password_hash", "=", "x"]]}, "where[0]"),
        ({"where": [["data", "=", "x"]]}, "where[0]"),
        ({"where": [["login", "=", 1, 2]]}, "where[0]"),
        ({"where": [["login", 1]]}, "where[0]"),
        ({"where": ["login", "=", 1]}, "where[0]"),
        ({"where": [["login", "is", 1]]}, "where[0]"),
        ({"where": [["login", ["="], 1]]}, "where[0]"),
        ({"where": [[["login"], "=", 1]]}, "where[0]"),
        ({"where": [["login", "=", "1001"]]}, "where[0]"),
        ({"where": [["login", "=", True]]}, "where[0]"),
        ({"where": [["login", "=", None]]}, "where[0]"),
        ({"where": [["login", "=", [1]]]}, "where[0]"),
        ({"where": [["login", "like", "1%"]]}, "where[0]"),
        ({"where": [["login", "=", 2**63]]}, "where[0]"),
        ({"where": [["login", "=", -(2**63) - 1]]}, "where[0]"),
        ({"where": [["profit", "=", float("nan")]]}, "where[0]"),
        ({"where": [["profit", ">", float("inf")]]}, "where[0]"),
        ({"where": [["comment", "=", 5]]}, "where[0]"),
        ({"where": [["comment", "=", "x" * 513]]}, "where[0]"),
        ({"where": [["comment", "=", "\ud800"]]}, "where[0]"),
        ({"where": [["comment", "like", "\0%"]]}, "where[0]"),
        ({"where": {"login": 1}}, "where"),
        ({"whereNot": [["login"]]}, "whereNot[0]"),
        ({"whereIn": [["login", 1]]}, "whereIn[0]"),
        ({"whereIn": [["login", [1, "2"]]]}, "whereIn[0]"),
        ({"whereIn": [["login", list(range(1001))]]}, "whereIn[0]"),
        ({"whereNotIn": [["login", {}]]}, "whereNotIn[0]"),
        ({"whereBetween": [["login", [1]]]}, "whereBetween[0]"),
        ({"whereBetween": [["login", 1, 2]]}, "whereBetween[0]"),
        ({"whereNotBetween": [["login", [1, 2, 3]]]}, "whereNotBetween[0]"),
        ({"orderBy": "login"}, "orderBy"),
        ({"orderBy": ["logn", "ASC"]}, "orderBy[0]"),
        ({"orderBy": [["login", "up"]]}, "orderBy[0]"),
        ({"orderBy": [["login", "ASC"], ["login", "ASC", 1]]}, "orderBy[1]"),
        ({"orderBy": [5]}, "orderBy[0]"),
        ({"orderBy": [["login"]] * 9}, "orderBy"),
        ({"limit": 0}, "limit"),
        ({"limit": 50_001}, "limit"),
        ({"offset": -1}, "offset"),
        ({"offset": 2**63}, "offset"),
        ({"tradeType": 5}, "tradeType"),
        ({"groupFilter": "!demo"}, "groupFilter"),
        ({"where": [["login", "=", 1]] * 51}, "where"),
        ({"whereIn": [["login", list(range(1000))]] * 11}, "where"),
    ],
)
def test_wrong_questions(ledger: ILedger, question: dict[str, Any], field: str) -> None:
    """What is not in the grammar, or is not of its column's kind, is refused by the name of the member."""
    assert refused(ledger, **question)[0] == field


@every
def test_bounds_themselves(ledger: ILedger) -> None:
    """What is exactly at its bound is taken."""
    assert trades(ledger, where=[["login", "=", 1001]] * 50, limit=50_000) == [1, 5, 6, 7, 8]
    assert trades(ledger, whereIn=[["order", list(range(1000))]] * 10) == list(range(1, 10))
    assert trades(ledger, where=[["login", "<", 2**63 - 1], ["login", ">", -(2**63)]], orderBy=[["login"]] * 8, limit=1)
    assert trades(ledger, where=[["comment", "=", "x" * 512]]) == []


@every
def test_more_than_fit(ledger: ILedger) -> None:
    """If more match than one answer may have, it is refused, never cut, unless the client says which it wants."""
    bounds = Bounds(rows=4)
    with pytest.raises(InvalidData) as error:
        trades(ledger, bounds=bounds)
    assert error.value.message == "limit: 9 rows match, one answer has at most 4: use limit and offset"
    assert trades(ledger, bounds=bounds, where=[["order", "<=", 4]]) == [1, 2, 3, 4]
    assert trades(ledger, bounds=bounds, offset=5) == [6, 7, 8, 9]
    assert trades(ledger, bounds=bounds, limit=4, offset=3) == [4, 5, 6, 7]


@every
def test_too_long(ledger: ILedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that takes longer than it may is refused, and the next one is answered."""
    monkeypatch.setattr("scalemgr.ledger.asking._STEPS", 1)
    with pytest.raises(LedgerFailed) as error:
        trades(ledger, bounds=Bounds(seconds=0.0))
    assert error.value.code.name == "RET_ERR_TIMEOUT"
    assert trades(ledger, limit=1) == [1]


@every
def test_totals(ledger: ILedger) -> None:
    """Counts and totals are of all that match, whatever part of it is given, over all currencies."""
    query = TableQuery(table=TRADES, columns=("order",), totals=("profit",), limit=2)
    found = ledger.table(query, ALL, Bounds())
    assert (found.count, found.totals, len(told(found.rows))) == (9, {"profit": 773.01}, 2)
    assert found.seq == ledger.book.seq
    none = ledger.table(TableQuery(table=TRADES, tradeType=1, columns=("order",), totals=("profit",)), ALL, Bounds())
    assert (none.count, none.totals, none.rows) == (0, {"profit": 0.0}, "[]")


@every
def test_huge_totals(engine: Engine, tmp_path: Path) -> None:
    """Totals are exact far beyond 64 bits of minor units."""
    ledger = engine.make(tmp_path)
    ledger.open(0)
    scribe = Scribe()
    scribe.group()
    scribe.user()
    for order in range(1, 10_001):
        scribe.trade(order, 10**15 - 1, moves=0)
    scribe.trade(10_001, -3, moves=0)
    keep(ledger, scribe.entries)
    try:
        query = TableQuery(table=TRADES, columns=("order",), totals=("profit",), limit=1)
        assert ledger.table(query, ALL, Bounds()).totals == {"profit": fromMinor(10_000 * (10**15 - 1) - 3, 2)}
    finally:
        ledger.close(None)


# -- who may see what ---------------------------------------------------------------------------------


@every
@pytest.mark.parametrize(
    ("mask", "asked", "orders"),
    [
        ("vip", "*", [2, 9]),
        ("vip", "demo", []),
        ("vip", "*,!vip", []),
        ("vip", "vip,demo,*", [2, 9]),
        ("*,!demo", "demo", []),
        ("*,!demo", "d*", []),
        ("*,!demo", "_e_o", []),
        ("*,!demo", "%", []),
        ("vip", "' OR 1=1 --", []),
        ("vip", '*"', []),
        ("vip", "*) OR (1=1", []),
        ("vip", "vip]", []),
        ("vip", ".*", []),
        ("vip", "[a-z]+", []),
        ("nobody", "*", []),
    ],
)
def test_masks_do_not_escape(ledger: ILedger, mask: str, asked: str, orders: list[int]) -> None:
    """A client's mask narrows what its token lets it see, and nothing in it can widen that."""
    assert trades(ledger, Sight(Mask(mask)), groupFilter=asked) == orders


EVIL = [
    "login = 1 OR 1",
    "login) OR (1=1",
    'login" OR 1=1 --',
    "login; DROP TABLE trade",
    "t.login",
    "profit/0",
    "rowid",
    "seq",
    "(SELECT record FROM profile)",
    "LOGIN",
    " login",
    "login\x00",
    "",
    "*",
]


@every
@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("where", [*Filter.__struct_fields__])
def test_names_are_ours(ledger: ILedger, name: str, where: str) -> None:
    """A name that is not one of the columns is refused, wherever it stands, whatever SQL it is."""
    shapes = {
        "where": [name, "=", 1],
        "whereNot": [name, 1],
        "whereIn": [name, [1]],
        "whereNotIn": [name, [1]],
        "whereBetween": [name, [1, 2]],
        "whereNotBetween": [name, [1, 2]],
        "orderBy": [name, "ASC"],
    }
    field, message = refused(ledger, **{where: [shapes[where]]})
    assert field == f"{where}[0]"
    assert "there is no column" in message


@every
@pytest.mark.parametrize("text", ["' OR '1'='1", "'); DROP TABLE trade; --", "?", ":login", "\\", '"', "%' OR 1=1 --"])
def test_values_are_bound(ledger: ILedger, text: str) -> None:
    """A text is compared, whatever SQL it is, and nothing else happens."""
    for question in (
        {"where": [["comment", "=", text]]},
        {"where": [["comment", "like", text]]},
        {"whereIn": [["comment", [text]]]},
        {"whereBetween": [["comment", [text, text]]]},
    ):
        assert trades(ledger, **question) == []
    assert trades(ledger, whereNot=[["comment", text]]) == list(range(1, 10))
    for evil in ("ASC; DROP TABLE trade", "ASC, (SELECT 1)", "DESC --"):
        assert refused(ledger, orderBy=[["login", evil]])[0] == "orderBy[0]"
    for evil in ("= 1 OR 1 =", "IN", "GLOB", "=;", ""):
        assert refused(ledger, where=[["login", evil, 1]])[0] == "where[0]"
    assert trades(ledger) == list(range(1, 10))


@every
@pytest.mark.parametrize("table", [TRADES, ACCOUNTS])
def test_hidden_money(ledger: ILedger, table: str) -> None:
    """Who may not see balances is not shown money, and cannot find it out by filters or by sorting."""
    blind = Sight(balances=False)
    money = [name for name, column in TABLES[table].columns.items() if column.money]
    assert {"profit", "net_profit"} <= set(money)
    for name in money:
        unknown = refused(ledger, blind, table, where=[["nothing", "=", 1]])[1].replace("nothing", name)
        assert refused(ledger, blind, table, where=[[name, ">", 0]]) == ("where[0]", unknown)
        for where in ("whereNot", "whereIn", "whereBetween", "orderBy"):
            value: Any = {"whereNot": 1, "whereIn": [1], "whereBetween": [1, 2], "orderBy": "ASC"}[where]
            assert refused(ledger, blind, table, **{where: [[name, value]]})[0] == f"{where}[0]"
    query = TableQuery(table=table, columns=("login", *money), totals=tuple(money), nowMs=T0 * 1000)
    found = ledger.table(query, blind, Bounds())
    assert (found.structure, found.totals) == (["login"], {})
    assert {len(row) for row in told(found.rows)} == {1}
    assert set(ledger.table(query, ALL, Bounds()).structure) == {"login", *money}


@every
def test_one_account_only(ledger: ILedger) -> None:
    """Who may see one account sees nothing of another one, whatever is asked."""
    own = Sight(login=1002)
    assert trades(ledger, own) == [2, 9]
    assert trades(ledger, own, where=[["login", "=", 1001]]) == []
    assert trades(ledger, own, whereNot=[["login", 1002]]) == []
    query = TableQuery(table=ACCOUNTS, columns=("login",), totals=("balance",), logins=(1001, 1002, 1003))
    found = ledger.table(query, own, Bounds())
    assert (told(found.rows), found.count, found.totals) == ([[1002]], 1, {"balance": 50.01})
    assert told(ledger.table(TableQuery(table=GROUPS, columns=("group",)), own, Bounds()).rows) == [["vip"]]
    assert trades(ledger, Sight(Mask("demo"), login=1002)) == []


# -- accounts and groups ------------------------------------------------------------------------------


@every
def test_accounts(ledger: ILedger) -> None:
    """Accounts are found by what they are and what is on them; those that are deleted are not there."""

    def logins(**filter: Any) -> list[int]:
        query = TableQuery(table=ACCOUNTS, columns=("login",), filter=Filter(**filter))
        return [row[0] for row in told(ledger.table(query, ALL, Bounds()).rows)]

    assert logins() == [1001, 1002, 1003]
    assert logins(where=[["email", "=", "new@example.com"]]) == [1002]
    assert logins(where=[["balance", ">=", 24]], orderBy=["balance", "DESC"]) == [1003, 1002, 1001]
    assert logins(where=[["equity", "=", 50.01]]) == [1002]
    assert logins(where=[["country", "=", ""]]) == [1001, 1002, 1003]
    assert logins(where=[["leverage", "<", 103], ["pending", "=", 1]]) == [1001]


@every
def test_groups(ledger: ILedger) -> None:
    """Groups are given with all that is known of them, their floor as money; deleted ones are not there."""
    rows = told(ledger.table(TableQuery(table=GROUPS), ALL, Bounds()).rows)
    assert rows == [
        {"group": "demo", "currency": "USD", "digits": 2, "floor": -5.0},
        {"group": "jp", "currency": "JPY", "digits": 0, "floor": -500.0},
        {"group": "vip", "currency": "USD", "digits": 2, "company": "Acme"},
    ]


@every
def test_balance_of_yesterday(engine: Engine, tmp_path: Path) -> None:
    """prevbalance and prevmonthbalance are what was there when the day, and the month, began in UTC."""
    ledger = engine.make(tmp_path)
    ledger.open(0)
    day = 86400
    today = 1_700_006_400  # 2023-11-15
    scribe = Scribe(today - 20 * day)
    scribe.group()
    scribe.user()
    scribe.user(1002)
    scribe.trade(1, 100)
    for order, now in enumerate((today - 10 * day, today - 1, today, today + 5), 2):
        scribe.now = now
        scribe.trade(order, 10**order)
    keep(ledger, scribe.entries)
    query = TableQuery(
        table=ACCOUNTS, columns=("login", "prevmonthbalance", "prevbalance", "balance"), nowMs=(today + 60) * 1000
    )
    rows = told(ledger.table(query, ALL, Bounds()).rows)
    ledger.close(None)
    assert rows == [[1001, 1.0, 12.0, 1112.0], [1002, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize("name", ["Демо-1", "a'b", "real\\eu/1", "\U0001f600", "x,", 'q"q'])
@every
def test_any_name(engine: Engine, tmp_path: Path, name: str) -> None:
    """Names and texts of any kind come out as they are, ASCII and without what the PHP client would damage."""
    ledger = engine.make(tmp_path)
    ledger.open(0)
    scribe = Scribe()
    scribe.group(name, company=name + "}")
    scribe.user(1001, name, email=name + ",}")
    scribe.trade(1, comment=name + ",  ]")
    keep(ledger, scribe.entries)
    found: list[Table] = []
    for table, columns in [(TRADES, ("group", "comment")), (ACCOUNTS, ("group", "email")), (GROUPS, ())]:
        found.append(ledger.table(TableQuery(table=table, columns=columns), Sight(), Bounds()))
    ledger.close(None)
    assert [told(each.rows) for each in found[:2]] == [[[name, name + ",  ]"]], [[name, name + ",}"]]]
    assert told(found[2].rows)[0]["company"] == name + "}"
    for each in found:
        assert each.rows.isascii()
        assert "'" not in each.rows
        assert not re.search(r",\s*[}\]]", each.rows)


# -- against a plain filter ---------------------------------------------------------------------------

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "order": st.integers(0, 41),
    "login": st.integers(1000, 1006),
    "cmd": st.integers(5, 10),
    "state": st.sampled_from([3, 6, 17, 18]),
    "open_time": st.integers(T0 - 2, T0 + 12),
    "profit": st.integers(-300, 300).map(lambda minor: minor / 100),
    "comment": st.sampled_from(["", "a", "A", "b", "O'Brien", "Finance"]),
    "group": st.sampled_from(["demo", "jp", "vip", "x"]),
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def rule(kind: str) -> st.SearchStrategy[list[Any]]:
    def make(name: str) -> st.SearchStrategy[list[Any]]:
        value = _VALUES[name]
        if kind == "where":
            return st.tuples(st.just(name), st.sampled_from(sorted(_COMPARE)), value).map(list)
        if kind == "whereNot":
            return st.tuples(st.just(name), value).map(list)
        many = st.tuples(value, value).map(list) if "Between" in kind else st.lists(value, max_size=5)
        return st.tuples(st.just(name), many).map(list)

    return st.sampled_from(sorted(_VALUES)).flatmap(make)


def holds(row: dict[str, Any], kind: str, rule: list[Any]) -> bool:
    value = row[rule[0]]
    if kind == "where":
        return bool(_COMPARE[rule[1]](value, rule[2]))
    if kind == "whereNot":
        return bool(value != rule[1])
    within = rule[1][0] <= value <= rule[1][1] if "Between" in kind else value in rule[1]
    return within != ("Not" in kind)


_KINDS = ("where", "whereNot", "whereIn", "whereNotIn", "whereBetween", "whereNotBetween")
_FILTERS = st.fixed_dictionaries({kind: st.lists(rule(kind), max_size=2) for kind in _KINDS})
_ORDERS = st.lists(st.tuples(st.sampled_from(sorted(_VALUES)), st.sampled_from(["ASC", "DESC"])).map(list), max_size=3)
_TRADES = st.lists(
    st.tuples(
        st.sampled_from([1001, 1002, 1003, 1004]),
        st.sampled_from([6, 7, 8, 9]),
        st.sampled_from([3, 6, 17, 18]),
        _VALUES["open_time"],
        st.integers(-300, 300),
        _VALUES["comment"],
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(
    booked=_TRADES,
    filter=_FILTERS,
    orderBy=_ORDERS,
    limit=st.integers(1, 50),
    offset=st.integers(0, 10),
    mask=st.sampled_from(["*", "demo", "*,!demo", "jp,vip", "v*"]),
    asked=st.sampled_from(["*", "demo,jp", "!jp,*", "*p"]),
    login=st.sampled_from([0, 0, 1001, 1003]),
)
def test_against_plain_python(
    booked: list[Any],
    filter: dict[str, Any],
    orderBy: list[Any],
    limit: int,
    offset: int,
    mask: str,
    asked: str,
    login: int,
) -> None:
    """Any filter on any trades gives what a loop over all of them gives: rows, order, count and total."""
    scribe = Scribe()
    groups = {1001: "demo", 1002: "demo", 1003: "jp", 1004: "vip"}
    digits = {"demo": 2, "jp": 0, "vip": 2}
    for name in digits:
        scribe.group(name, digits=digits[name])
    for each, name in groups.items():
        scribe.user(each, name)
    everything = []
    for order, (of, cmd, state, openTime, profit, comment) in enumerate(booked, 1):
        scribe.trade(order, profit, of, cmd=cmd, moves=0, state=state, open_time=openTime, comment=comment)
        everything.append(
            {
                "order": order,
                "login": of,
                "cmd": cmd,
                "state": state,
                "open_time": openTime,
                "profit": fromMinor(profit, digits[groups[of]]),
                "comment": comment,
                "group": groups[of],
            }
        )
    matching = [
        row
        for row in everything
        if Mask(mask).covers(str(row["group"]))
        and Mask(asked).covers(str(row["group"]))
        and login in (0, row["login"])
        and all(holds(row, kind, each) for kind in _KINDS for each in filter[kind])
    ]
    direction = orderBy[-1][1] if orderBy else "ASC"
    for name, way in [*reversed([*orderBy, ["order", direction]])]:
        matching.sort(key=operator.itemgetter(name), reverse=way == "DESC")
    ledger = MemoryLedger()
    ledger.open(0)
    with closing(ledger._views):
        keep(ledger, scribe.entries)
        columns = tuple(_VALUES)
        query = TableQuery(
            table=TRADES,
            columns=columns,
            filter=Filter(**filter, orderBy=orderBy),
            groupFilter=asked,
            limit=limit,
            offset=offset,
            totals=("profit",),
        )
        found = ledger.table(query, Sight(Mask(mask), login), Bounds())
    assert told(found.rows) == [[row[name] for name in columns] for row in matching][offset : offset + limit]
    assert found.count == len(matching)
    assert round(found.totals["profit"] * 100) == round(sum(row["profit"] * 100 for row in matching))
