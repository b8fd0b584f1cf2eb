"""The columns that can be asked for, and no others: each name with the SQL that it stands for.

Money is a REAL here, minor units divided by what one is worth: the nearest double to a decimal of at most 15
digits, so it compares and prints as that decimal. Text comes out of stored JSON as it stands there, escapes and all.
"""

from __future__ import annotations

from msgspec import Struct

from ..finance.money import DIGITS_MAX, MINOR_UNITS_MAX
from ..finance.questions import ACCOUNTS, GROUPS, TRADES

__all__ = ["DAY", "MONTH", "NUMBER", "TABLES", "TEXT", "Column", "Source", "unit"]

NUMBER, TEXT = "number", "text"

#: Stand for the first millisecond of today, and of this month.
DAY, MONTH = "{day}", "{month}"


class Column(Struct, frozen=True):
    """
    @ivar sql: what it is, to compare and to sort by.
    @ivar kind: L{NUMBER} or L{TEXT}.
    @ivar shown: what it is as JSON; empty: the same.
    @ivar money: is it to be hidden from who may not see balances?
    @ivar minor: the same in minor units, if it can be added up.
    """

    sql: str
    kind: str = NUMBER
    shown: str = ""
    money: bool = False
    minor: str = ""

    @property
    def json(self) -> str:
        """What it is in a row."""
        return self.shown or self.sql


class Source(Struct, frozen=True):
    """
    @ivar rows: the table with its alias.
    @ivar joined: what goes with it, one row for one row.
    @ivar key: what tells two rows apart.
    @ivar group: the name of a row's group; C{login} its account, or empty: of groups there is none.
    @ivar digits: the decimals of its money.
    @ivar always: a condition that holds for all.
    @ivar whole: a row as an object, with all that is known.
    """

    rows: str
    joined: str
    key: str
    group: str
    login: str
    digits: str
    always: str
    whole: str
    columns: dict[str, Column]


def unit(digits: str) -> str:
    """How many minor units make one."""
    cases = " ".join(f"WHEN {n} THEN 1e{n}" for n in (2, *(n for n in range(DIGITS_MAX + 1) if n != 2)))
    return f"CASE {digits} {cases} END"


def _money(minor: str, alias: str) -> Column:
    return Column(f"({minor} / {unit(f'{alias}.digits')})", money=True, minor=minor)


def _sum(minor: str, alias: str) -> Column:
    """Of two amounts: it may have one digit more than SQLite prints by itself."""
    sql = f"(({minor}) / {unit(f'{alias}.digits')})"
    shown = f"iif(abs({minor}) < {MINOR_UNITS_MAX}, {sql}, json(printf('%!.17g', {sql})))"
    return Column(sql, shown=shown, money=True, minor=f"({minor})")


def _nothing() -> Column:
    """Money that nothing makes here."""
    return Column("0.0", money=True, minor="0")


def _text(name: str, record: str) -> Column:
    return Column(f"coalesce({record} ->> '$.{name}', '')", TEXT, f"json(coalesce({record} -> '$.{name}', '\"\"'))")


def _number(name: str, record: str) -> Column:
    return Column(f"coalesce({record} ->> '$.{name}', 0)")


def _group(alias: str) -> Column:
    # As it stands in the record of the group, escaped.
    shown = f'json((SELECT shown FROM "group" AS n WHERE n."group" = {alias}."group"))'
    return Column(f'{alias}."group"', TEXT, shown)


_TRADES = Source(
    rows="trade AS t",
    joined="",
    key='t."order"',
    group='t."group"',
    login="t.login",
    digits="t.digits",
    always="",
    whole="json(t.data)",
    columns={
        "order": Column('t."order"'),
        **{
            name: Column(f"t.{name}")
            for name in ("login", "cmd", "state", "reason", "digits", "open_time", "close_time", "update_time")
        },
        "balance_version": Column("t.balance_version", money=True),
        "group": _group("t"),
        "symbol": Column("''", TEXT),
        "volume": Column("0"),
        "expiration": Column("0"),
        **{name: Column("0.0") for name in ("open_price", "close_price", "sl", "tp")},
        "profit": _money("t.profit", "t"),
        "net_profit": _money("t.profit", "t"),
        "commission": _nothing(),
        "storage": _nothing(),
        # Never missing, so it need not be looked at twice.
        "comment": Column("(t.data ->> '$.comment')", TEXT, "t.data -> '$.comment'"),
        "gw_order": _number("gw_order", "t.data"),
        **{name: _text(name, "t.data") for name in ("gw_source", "gw_uuid", "api_data")},
    },
)


def _asOf(start: str) -> Column:
    """The balance before a moment."""
    last = (
        f"(SELECT m.balance FROM movement AS m WHERE m.login = a.login AND m.time_ms < {start}"
        " ORDER BY m.seq DESC LIMIT 1)"
    )
    return Column(f"(coalesce({last}, 0) / {unit('a.digits')})", money=True)


_ACCOUNTS = Source(
    rows="account AS a",
    joined="LEFT JOIN profile AS p ON p.login = a.login",
    key="a.login",
    group='a."group"',
    login="a.login",
    digits="a.digits",
    always="NOT a.deleted",
    whole="",
    columns={
        **{name: Column(f"a.{name}") for name in ("login", "enable", "digits")},
        # They tell that something is on it, or comes and goes.
        **{name: Column(f"a.{name}", money=True) for name in ("pending", "balance_version")},
        "group": _group("a"),
        "currency": Column("a.currency", TEXT),
        **{
            name: _number(name, "p.record")
            for name in (
                "enable_read_only",
                "enable_change_password",
                "send_reports",
                "leverage",
                "magic",
                "customer_id",
                "regdate",
                "update_time",
            )
        },
        **{
            name: _text(name, "p.record")
            for name in (
                "name",
                "email",
                "country",
                "state",
                "city",
                "zipcode",
                "address",
                "phone",
                "comment",
                "id",
                "lead_source",
                "user_color",
            )
        },
        "balance": _money("a.balance", "a"),
        "credit": _money("a.credit", "a"),
        "equity": _sum("a.balance + a.credit", "a"),
        "margin_free": _sum("a.balance + a.credit", "a"),
        **{name: _nothing() for name in ("margin", "margin_level", "profit", "net_profit", "commission", "storage")},
        "level_type": Column("0", money=True),
        "prevbalance": _asOf(DAY),
        "prevmonthbalance": _asOf(MONTH),
    },
)

_FLOOR = "(g.record ->> '$.floor')"
_FLOOR_UNIT = unit("(g.record ->> '$.digits')")

_GROUPS = Source(
    rows='"group" AS g',
    joined="",
    key='g."group"',
    group='g."group"',
    login="",
    digits="",
    always="NOT g.deleted",
    # The floor is kept in minor units, and on the wire it is money.
    whole=(f"iif({_FLOOR} IS NULL, json(g.record), json_set(g.record, '$.floor', {_FLOOR} / {_FLOOR_UNIT}))"),
    columns={
        "group": Column('g."group"', TEXT, "json(g.shown)"),
        "currency": _text("currency", "g.record"),
        "digits": _number("digits", "g.record"),
    },
)

#: What can be asked for, by table.
TABLES = {TRADES: _TRADES, ACCOUNTS: _ACCOUNTS, GROUPS: _GROUPS}
