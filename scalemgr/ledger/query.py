"""From a question to SQL. Pure: no connection, no clock.

Three statements come of a question: one that counts and adds up, one for a page of rows, and L{names}, which
finds the groups that there are. What the caller may see is a condition in all of them; what the client asks for can
only narrow it. Names are those of L{scalemgr.ledger.columns}, values are bound.

A page first finds the keys of its rows, which an index can do alone, and then makes JSON of them, inside the engine: no
row is ever a Python object, and the interpreter is free for others meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..finance.masks import Mask, Sight
from ..finance.money import fromMinor
from ..finance.questions import TRADES, Bounds, TableQuery
from ..wire.codes import TradeState
from ..wire.errors import InvalidData
from .columns import DAY, MONTH, Column, Source
from .conditions import Condition, conditions, order
from .dialect import Dialect

__all__ = ["TYPES", "TableSql", "digits", "names"]

_NOT_CLOSED = TradeState.TS_FINANCE_OPEN_PENDING, TradeState.TS_FINANCE_OPEN_DECLINE, TradeState.TS_DELETED
#: What a C{TRD_*} selects. There are no positions here, so nothing is open (1). Closed (2) is what was booked and not
#: taken back; finance (4) are also the requests that were declined; pending (3) those that await approval.
TYPES = {
    0: "",
    1: "FALSE",
    2: f"t.state NOT IN ({', '.join(str(int(state)) for state in _NOT_CLOSED)})",
    3: f"t.state = {TradeState.TS_FINANCE_OPEN_PENDING:d}",
    4: f"t.state NOT IN ({TradeState.TS_FINANCE_OPEN_PENDING:d}, {TradeState.TS_DELETED:d})",
}
# A sum of so many amounts, each below 10**15, would not fit in 64 bits; two sums of their halves do.
_HALF = 10**9
_SORTED_BY_INDEX = ("t.open_time", "t.update_time", 't."order"', "a.login")


def names(dialect: Dialect) -> str:
    """A statement for the names of all groups that there are, or that accounts there are or were are in, as JSON."""
    return (
        f"""SELECT {dialect.gathered('"group"')} FROM "group" AS g WHERE NOT deleted"""
        ' OR EXISTS (SELECT 1 FROM account AS a WHERE a."group" = g."group")'
    )


def digits(dialect: Dialect) -> str:
    """A statement for the decimals that money may have, as JSON."""
    return f"SELECT {dialect.gathered('digits')} FROM digits"


class TableSql:
    """
    A question about a table, as SQL.

    @param source: the table, in the dialect of the connection.
    @param groups: the names of all groups that there are or were.
    @param digits: the decimals that money may have.
    @raise InvalidData: if the question is wrong.
    """

    def __init__(
        self,
        source: Source,
        query: TableQuery,
        sight: Sight,
        bounds: Bounds,
        groups: Collection[str],
        digits: Collection[int],
    ) -> None:
        self._query = query
        self._bounds = bounds
        self._source = source
        self._dialect = source.dialect
        self._digits = sorted(digits)
        self._columns = {name: c for name, c in source.columns.items() if sight.balances or not c.money}
        #: The names of the columns of each row.
        self.structure = [name for name in query.columns if name in self._columns]
        self._totals = [name for name in query.totals if name in self._columns and self._columns[name].minor]
        if query.limit is not None and not 1 <= query.limit <= bounds.rows:
            raise InvalidData(f"expected 1 to {bounds.rows}", field="limit")
        if not 0 <= query.offset < 2**63:
            raise InvalidData("expected 0 or more", field="offset")
        self._order = order(query.filter, self._columns, source.key)
        self._groups = self._inGroups(sight.mask, _mask(query.groupFilter), groups)
        self._conditions = [*self._ofCaller(sight), *conditions(query.filter, self._columns, self._dialect)]

    def _inGroups(self, mask: Mask, asked: Mask, groups: Collection[str]) -> Condition | None:
        covered = [name for name in groups if mask.covers(name) and asked.covers(name)]
        if len(covered) == len(groups):
            return None
        if not covered:
            return "FALSE", []
        return self._dialect.among(self._source.group, covered)

    def _ofCaller(self, sight: Sight) -> Iterable[Condition]:
        source, query = self._source, self._query
        if source.always:
            yield source.always, []
        if sight.login and source.login:
            yield f"{source.login} = ?", [sight.login]
        elif sight.login:
            yield f'{source.group} = (SELECT "group" FROM account WHERE login = ?)', [sight.login]
        if query.logins is not None:
            yield self._dialect.among(source.login, query.logins)
        if query.table == TRADES:
            if query.tradeType not in TYPES:
                raise InvalidData(f"expected 0 to {max(TYPES)}", field="tradeType")
            if TYPES[query.tradeType]:
                yield TYPES[query.tradeType], []

    def _from(self, groupIndex: bool = True) -> tuple[str, list[Any]]:
        parts = list(self._conditions)
        if self._groups is not None:
            sql, values = self._groups
            parts.insert(0, (sql if groupIndex else self._dialect.passing(sql), values))
        source = self._source
        where = f" WHERE {' AND '.join(sql for sql, _ in parts)}" if parts else ""
        values = [value for _, values in parts for value in values]
        return self._dated(f" FROM {source.rows} {source.joined}{where}"), values

    def _dated(self, sql: str) -> str:
        """With the start of the day and of the month that it is, in milliseconds."""
        if DAY not in sql and MONTH not in sql:
            return sql
        now = datetime.fromtimestamp(self._query.nowMs / 1000, UTC)
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for name, start in ((DAY, day), (MONTH, day.replace(day=1))):
            sql = sql.replace(name, str(int(start.timestamp()) * 1000))
        return sql

    # -- how many ---------------------------------------------------------------------------------------

    def count(self) -> tuple[str, list[Any]]:
        """A statement for one row: how many match, and the sums that L{totals} reads."""
        rest, values = self._from()
        return f"SELECT {', '.join(['count(*)', *self._sums()])}{rest}", values

    def _sums(self) -> Iterable[str]:
        for name in self._totals:
            minor = self._columns[name].minor
            for digits in self._digits:
                which = f" FILTER (WHERE {self._source.digits} = {int(digits)})" if len(self._digits) > 1 else ""
                yield f"sum({minor} / {_HALF}){which}"
                yield f"sum({minor} % {_HALF}){which}"

    def totals(self, sums: Iterable[Any]) -> dict[str, float]:
        """What the sums come to."""
        each = iter(sums)
        finest = max(self._digits, default=0)
        totals: dict[str, float] = {}
        for name in self._totals:
            total = 0
            for digits in self._digits:
                high, low = int(next(each) or 0), int(next(each) or 0)
                total += (high * _HALF + low) * 10 ** (finest - digits)
            totals[name] = fromMinor(total, finest)
        return totals

    def limit(self, count: int) -> int:
        """
        How many rows to give of those that match.

        @raise InvalidData: if that is more than one answer may have, and nobody said which.
        """
        query, most = self._query, self._bounds.rows
        if query.limit is not None:
            return query.limit
        if count - query.offset > most:
            if query.logins is not None:
                raise InvalidData(f"{count} rows match, one answer has at most {most}", field="logins")
            raise InvalidData(f"{count} rows match, one answer has at most {most}: use limit and offset", field="limit")
        return most

    # -- which ------------------------------------------------------------------------------------------

    def page(self, count: int, all: int) -> tuple[str, list[Any]]:
        """
        A statement for one value: the rows, as JSON.

        @param count: how many match.
        @param all: how many there are in the table, if the dialect steers.
        """
        source = self._source
        limit = self.limit(count)
        # In the order that is asked for, one comes by all rows between those that match; by group, only by those,
        # but has to sort them.
        passed = (limit + self._query.offset) * all / count if count else all
        sorted = self._order.split(" ", 1)[0] in _SORTED_BY_INDEX
        rest, values = self._from(groupIndex=not (sorted and passed < count))
        found = f"SELECT {source.key} AS id{rest} ORDER BY {self._dated(self._order)} LIMIT ? OFFSET ?"
        sql = self._dialect.page(self._row(), found, source.rows, source.key, source.joined)
        return self._dated(sql), [*values, limit, self._query.offset]

    def _row(self) -> str:
        if not self._query.columns:
            return self._source.whole
        shown: Mapping[str, Column] = {name: self._columns[name] for name in self.structure}
        if self._query.objects:
            return self._dialect.object({name: column.json for name, column in shown.items()})
        return self._dialect.array([column.json for column in shown.values()])


def _mask(text: str) -> Mask:
    try:
        return Mask(text)
    except ValueError as e:
        raise InvalidData(str(e), field="groupFilter") from None
