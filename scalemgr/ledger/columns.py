"""The columns that can be asked for, and no others: each name with the SQL that it stands for.

Money is a double here, minor units divided by what one is worth: the nearest double to a decimal of at most 15
digits, so it compares and prints as that decimal. Text comes out of stored JSON as it stands there, escapes and all.
"""

from __future__ import annotations

from msgspec import Struct

from ..finance.money import DIGITS_MAX
from ..finance.questions import ACCOUNTS, GROUPS, TRADES
from .dialect import SQLITE, Dialect

__all__ = ["DAY", "MONTH", "NUMBER", "TABLES", "TEXT", "Column", "Source", "statementOf", "tables"]

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
    @ivar real: is it a double? Else, a whole number.
    """

    sql: str
    kind: str = NUMBER
    shown: str = ""
    money: bool = False
    minor: str = ""
    real: bool = False

    @property
    def json(self) -> str:
        """What it is in a row."""
        return self.shown or self.sql


class Source(Struct, frozen=True):
    """
    @ivar dialect: what the SQL is written in.
    @ivar rows: the table with its alias.
    @ivar joined: what goes with it, one row for one row.
    @ivar key: what tells two rows apart.
    @ivar group: the name of a row's group; C{login} its account, or empty: of groups there is none.
    @ivar digits: the decimals of its money.
    @ivar always: a condition that holds for all.
    @ivar whole: a row as an object, with all that is known.
    """

    dialect: Dialect
    rows: str
    joined: str
    key: str
    group: str
    login: str
    digits: str
    always: str
    whole: str
    columns: dict[str, Column]


# What nothing makes here. Not a constant alone, which is the number of a column to whoever sorts by it.
_NO_TEXT = Column("CAST('' AS text)", TEXT)
_NO_NUMBER = Column("CAST(0 AS bigint)")
_NO_PRICE = Column("CAST(0 AS double precision)", real=True)
_NO_MONEY = Column("CAST(0 AS double precision)", money=True, minor="0", real=True)

_TRADE_NUMBERS = "login", "cmd", "state", "reason", "digits", "open_time", "close_time", "update_time"
_PROFILE_NUMBERS = (
    "enable_read_only",
    "enable_change_password",
    "send_reports",
    "leverage",
    "magic",
    "customer_id",
    "regdate",
    "update_time",
)
_PROFILE_TEXTS = (
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


class _Maker:
    """The columns in one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def tables(self) -> dict[str, Source]:
        return {TRADES: self._trades(), ACCOUNTS: self._accounts(), GROUPS: self._groups()}

    def unit(self, digits: str) -> str:
        """How many minor units make one."""
        most = (2, *(n for n in range(DIGITS_MAX + 1) if n != 2))
        return f"CASE {digits} {' '.join(f'WHEN {n} THEN {self._dialect.power(n)}' for n in most)} END"

    def _money(self, minor: str, alias: str) -> Column:
        return Column(f"({minor} / {self.unit(f'{alias}.digits')})", money=True, minor=minor, real=True)

    def _sum(self, minor: str, alias: str) -> Column:
        """Of two amounts."""
        sql = f"(({minor}) / {self.unit(f'{alias}.digits')})"
        return Column(sql, shown=self._dialect.wide(sql, minor), money=True, minor=f"({minor})", real=True)

    def _asOf(self, start: str) -> Column:
        """The balance before a moment."""
        last = (
            f"(SELECT m.balance FROM movement AS m WHERE m.login = a.login AND m.time_ms < {start}"
            " ORDER BY m.seq DESC LIMIT 1)"
        )
        return Column(f"(coalesce({last}, 0) / {self.unit('a.digits')})", money=True, real=True)

    def _text(self, name: str, record: str) -> Column:
        return Column(self._dialect.text(record, name), TEXT, self._dialect.member(record, name))

    def _comment(self, record: str) -> Column:
        text, member = self._dialect.text, self._dialect.member
        return Column(text(record, "comment", surely=True), TEXT, member(record, "comment", surely=True))

    def _number(self, name: str, record: str) -> Column:
        return Column(self._dialect.number(record, name))

    def _group(self, alias: str) -> Column:
        # As it stands in the record of the group, escaped.
        shown = f'(SELECT shown FROM "group" AS n WHERE n."group" = {alias}."group")'
        return Column(f'{alias}."group"', TEXT, self._dialect.stored(shown))

    def _finished(self, columns: dict[str, Column]) -> dict[str, Column]:
        return {name: self._dialect.finished(column) for name, column in columns.items()}

    def _trades(self) -> Source:
        return Source(
            dialect=self._dialect,
            rows="trade AS t",
            joined="",
            key='t."order"',
            group='t."group"',
            login="t.login",
            digits="t.digits",
            always="",
            whole=self._dialect.stored("t.data"),
            columns=self._finished(
                {
                    "order": Column('t."order"'),
                    **{name: Column(f"t.{name}") for name in _TRADE_NUMBERS},
                    "balance_version": Column("t.balance_version", money=True),
                    "group": self._group("t"),
                    "symbol": _NO_TEXT,
                    "volume": _NO_NUMBER,
                    "expiration": _NO_NUMBER,
                    **dict.fromkeys(("open_price", "close_price", "sl", "tp"), _NO_PRICE),
                    "profit": self._money("t.profit", "t"),
                    "net_profit": self._money("t.profit", "t"),
                    "commission": _NO_MONEY,
                    "storage": _NO_MONEY,
                    "comment": self._comment("t.data"),
                    "gw_order": self._number("gw_order", "t.data"),
                    **{name: self._text(name, "t.data") for name in ("gw_source", "gw_uuid", "api_data")},
                }
            ),
        )

    def _accounts(self) -> Source:
        return Source(
            dialect=self._dialect,
            rows="account AS a",
            joined="LEFT JOIN profile AS p ON p.login = a.login",
            key="a.login",
            group='a."group"',
            login="a.login",
            digits="a.digits",
            always="NOT a.deleted",
            whole="",
            columns=self._finished(
                {
                    **{name: Column(f"a.{name}") for name in ("login", "enable", "digits")},
                    # They tell that something is on it, or comes and goes.
                    **{name: Column(f"a.{name}", money=True) for name in ("pending", "balance_version")},
                    "group": self._group("a"),
                    "currency": Column("a.currency", TEXT),
                    **{name: self._number(name, "p.record") for name in _PROFILE_NUMBERS},
                    **{name: self._text(name, "p.record") for name in _PROFILE_TEXTS},
                    "balance": self._money("a.balance", "a"),
                    "credit": self._money("a.credit", "a"),
                    "equity": self._sum("a.balance + a.credit", "a"),
                    "margin_free": self._sum("a.balance + a.credit", "a"),
                    **dict.fromkeys(
                        ("margin", "margin_level", "profit", "net_profit", "commission", "storage"), _NO_MONEY
                    ),
                    "level_type": Column(_NO_NUMBER.sql, money=True),
                    "prevbalance": self._asOf(DAY),
                    "prevmonthbalance": self._asOf(MONTH),
                }
            ),
        )

    def _groups(self) -> Source:
        number = self._dialect.number
        floor = f"{number('g.record', 'floor')} / {self.unit(number('g.record', 'digits', 'NULL'))}"
        return Source(
            dialect=self._dialect,
            rows='"group" AS g',
            joined="",
            key='g."group"',
            group='g."group"',
            login="",
            digits="",
            always="NOT g.deleted",
            # The floor is kept in minor units, and on the wire it is money.
            whole=self._dialect.replaced("g.record", "floor", floor),
            columns=self._finished(
                {
                    "group": Column('g."group"', TEXT, self._dialect.stored("g.shown")),
                    "currency": self._text("currency", "g.record"),
                    "digits": self._number("digits", "g.record"),
                }
            ),
        )

    def statement(self, digits: int) -> dict[str, Column]:
        unit = self._dialect.power(digits)
        return self._finished(
            {
                "seq": Column("m.seq"),
                # In seconds, as events have it.
                "time": Column(f"(m.time_ms / {self._dialect.power(3)})", real=True),
                "type": Column("m.type"),
                "order": Column('m."order"'),
                "cmd": Column("m.cmd"),
                "amount": Column(f"(m.balance_change / {unit})", real=True),
                "credit_amount": Column(f"(m.credit_change / {unit})", real=True),
                "balance": Column(f"(m.balance / {unit})", real=True),
                "credit": Column(f"(m.credit / {unit})", real=True),
                "comment": Column("m.comment", TEXT, self._dialect.stored("m.comment")),
            }
        )


def tables(dialect: Dialect) -> dict[str, Source]:
    """What can be asked for, by table."""
    return _Maker(dialect).tables()


def statementOf(dialect: Dialect, digits: int) -> dict[str, Column]:
    """The columns of a statement, of C{movement AS m}, for an account with so many decimals."""
    return _Maker(dialect).statement(digits)


#: The tables in SQLite's; what there is, and of what kind it is, is the same in all of them.
TABLES = tables(SQLITE)
