"""What can be asked of all that was booked: tables, by a filter, and statements.

Values only: L{scalemgr.ledger.query} gives them a meaning. The filter grammar is the published one (C{wire.md}
1.5), and what a client wrote is here as it was written, not yet checked.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ..wire.messages import Json

__all__ = ["ACCOUNTS", "GROUPS", "TRADES", "Bounds", "Filter", "Statement", "StatementQuery", "Table", "TableQuery"]

#: The tables that there are.
TRADES, ACCOUNTS, GROUPS = "trade", "account", "group"


class Bounds(Struct, frozen=True):
    """
    How much one question may be.

    @ivar rows: of one answer.
    @ivar seconds: that looking them up may take.
    @ivar bytes: of one answer.
    """

    rows: int = 50_000
    seconds: float = 5.0
    bytes: int = 32 * 1024 * 1024


class Filter(Struct, frozen=True, kw_only=True):
    """
    Which rows: all conditions hold. The members are spelled as on the wire.

    @ivar where: C{[[field, operator, value], ...]}; the operators are C{= == != > < >= <= like}.
    @ivar whereNot: C{[[field, value], ...]}
    @ivar whereIn: C{[[field, [value, ...]], ...]}, as C{whereNotIn}.
    @ivar whereBetween: C{[[field, [from, to]], ...]}, both inclusive, as C{whereNotBetween}.
    @ivar orderBy: C{[field, "ASC"]}, or several of those in a list. Rows that are equal in it are in the order of
        their order, login or group.
    """

    where: Any = ()
    whereNot: Any = ()
    whereIn: Any = ()
    whereNotIn: Any = ()
    whereBetween: Any = ()
    whereNotBetween: Any = ()
    orderBy: Any = ()


class TableQuery(Struct, frozen=True, kw_only=True):
    """
    Rows of a table.

    @ivar table: one of L{TRADES}, L{ACCOUNTS}, L{GROUPS}.
    @ivar columns: what to show, in order; those that the caller may not see are left out. None: of a group, all that
        is known.
    @ivar objects: shall each row be an object?
    @ivar groupFilter: a group mask. It narrows what the caller may see.
    @ivar tradeType: a C{TRD_*}, of trades.
    @ivar logins: only these accounts, or C{None}.
    @ivar limit: at most so many rows; C{None}: all, or a refusal if they are more than one answer may have.
    @ivar offset: skip so many.
    @ivar totals: the columns to add up, of money as it is now.
    @ivar nowMs: the time, in milliseconds since 1970, for what is as of yesterday.
    """

    table: str
    columns: tuple[str, ...] = ()
    objects: bool = False
    filter: Filter = Filter()
    groupFilter: str = "*"
    tradeType: int = 0
    logins: tuple[int, ...] | None = None
    limit: int | None = None
    offset: int = 0
    totals: tuple[str, ...] = ()
    nowMs: int = 0


class Table(Struct, frozen=True):
    """
    The answer, all as of one entry.

    @ivar seq: that entry.
    @ivar structure: the columns of C{rows}, which is a list, as JSON.
    @ivar count: how many rows match, of which C{rows} may be a part.
    @ivar totals: of all that match, exact but for the last conversion to a double, by column; those that the
        caller may not see are missing.
    """

    seq: int
    structure: list[str]
    rows: Json
    count: int
    totals: dict[str, float]


class StatementQuery(Struct, frozen=True, kw_only=True):
    """
    What moved on an account.

    @ivar fromS: from this unix second on; 0: from the first.
    @ivar toS: up to the end of this one; C{None}: to the last.
    @ivar afterSeq: a further page: only what comes after this entry, in the order of the rows; 0: all.
    @ivar asOf: as it was at this entry; C{None}: as it is.
    @ivar limit: at most so many rows; C{None}: all, or a refusal.
    @ivar newestFirst: the rows from the last to the first.
    """

    login: int
    fromS: int = 0
    toS: int | None = None
    afterSeq: int = 0
    asOf: int | None = None
    limit: int | None = None
    newestFirst: bool = False


class Statement(Struct, frozen=True):
    """
    The movements of an account in a range of the log.

    The range goes from the first movement that was booked at C{fromS} or later to the last that was booked at
    C{toS} or earlier, in the order of the log, whatever the clock did in between. So C{opening}, and all that moved in
    the range, is C{closing}. C{opening}, C{closing} and C{count} are of the whole range; C{rows} are a page of it.

    @ivar seq: the entry that all of it is as of.
    @ivar opening: balance and credit before, in the currency.
    @ivar closing: balance and credit after.
    @ivar structure: the columns of C{rows}, which is a list of lists, as JSON.
    """

    login: int
    group: str
    currency: str
    seq: int
    opening: tuple[float, float]
    closing: tuple[float, float]
    structure: list[str]
    rows: Json
    count: int
