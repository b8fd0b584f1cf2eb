"""Folding entries into views on a server: a statement a table, however many the entries, in the order of its keys.

Rows that are new for sure are copied in; others go into one C{INSERT} or C{UPDATE}, as one array a column.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from psycopg import Connection

from ...finance.records import Entry
from ...finance.requests import KeyName
from ..projection import Changes, GroupRow, Movement, TradeRow

__all__ = ["askKeys", "fill"]


def _arrays(*types: str) -> str:
    # Text in binary: else each quote in it would be looked for and escaped, which takes longer than all else.
    forms = {"text": "%b"}
    return "unnest(" + ", ".join(f"{forms.get(type, '%s')}::{type}[]" for type in types) + ")"


# Nothing, unless it is in another group.
_MOVE = f"""
UPDATE trade AS t SET "group" = n."group" FROM {_arrays("bigint", "text")} AS n(login, "group")
JOIN account AS a ON a.login = n.login AND a."group" <> n."group" WHERE t.login = n.login
"""
_USERS = f"""
INSERT INTO account (login, "group", enable, currency, digits)
SELECT * FROM {_arrays("bigint", "text", "bigint", "text", "integer")}
ON CONFLICT (login) DO UPDATE SET "group" = excluded."group", enable = excluded.enable
"""
_PROFILES = f"""
INSERT INTO profile SELECT * FROM {_arrays("bigint", "text")}
ON CONFLICT (login) DO UPDATE SET record = excluded.record
"""
_GROUPS = f"""
INSERT INTO "group" SELECT * FROM {_arrays("text", "text", "text", "boolean")}
ON CONFLICT ("group") DO UPDATE SET shown = excluded.shown, record = excluded.record, deleted = excluded.deleted
"""
_TRADE_TYPES = ("bigint", "bigint", "text", *["integer"] * 4, *["bigint"] * 5, "text")
_TRADES = f'INSERT INTO trade SELECT * FROM {_arrays(*_TRADE_TYPES)} ON CONFLICT ("order") DO UPDATE SET ' + ", ".join(
    f'"{name}" = excluded."{name}"' for name in TradeRow._fields[1:]
)
_MOVED = f"""
UPDATE account AS a SET balance = a.balance + n.balance, credit = a.credit + n.credit,
    balance_version = a.balance_version + n.versions, pending = a.pending + n.pending
FROM {_arrays(*["bigint"] * 5)} AS n(login, balance, credit, versions, pending) WHERE a.login = n.login
"""
# The first use counts, unless it is forgotten.
_KEYS = f"""
INSERT INTO key SELECT * FROM {_arrays("text", "text", "bigint")}
ON CONFLICT (principal, key) DO UPDATE SET seq = excluded.seq WHERE key.seq <= %s
"""
_KEYED = f"""
SELECT n.principal, n.key, k.seq FROM {_arrays("text", "text")} AS n(principal, key) CROSS JOIN LATERAL
(SELECT seq FROM key WHERE key.principal = n.principal AND key.key = n.key LIMIT 1) AS k
"""
# In lines.
_PIECE = 500
_COPY_TRADES = "COPY trade FROM STDIN"
_COPY_MOVEMENTS = "COPY movement FROM STDIN"
_TRADE_LINE = "%d\t%d\t%s\t" + "%d\t" * 9 + "%s\n"
_MOVEMENT_LINE = "%d\t" * 10 + "%s\n"


def fill(connection: Connection[Any], entries: Sequence[Entry]) -> list[tuple[str, str, int]]:
    """
    Fold in the entries that follow the last one that is in, within a transaction.

    @return: the keys that were used a second time, each with the later entry. The first one counts.
    @raise ValueError: if they do not follow, or one of them cannot be read.
    """
    changes = Changes.of(entries)
    # Whoever else would do the same has to wait, and then finds that it is done.
    row = connection.execute("SELECT seq, forgotten, swept FROM view FOR UPDATE").fetchone()
    before, forgotten, swept = row or (0, 0, 0)
    if before + 1 != entries[0].seq:
        raise ValueError(f"entry {entries[0].seq} does not follow entry {before}")
    last = entries[-1].seq
    _putUsers(connection, changes)
    _putTrades(connection, changes)
    if changes.forgotten > forgotten:
        forgotten = changes.forgotten
        # It is to read them all, so at least every other one should go.
        if 2 * (forgotten - swept) >= last - swept:
            connection.execute("DELETE FROM key WHERE seq <= %s", [forgotten])
            swept = forgotten
    twice = _putKeys(connection, changes.keys, forgotten)
    connection.execute("UPDATE view SET seq = %s, forgotten = %s, swept = %s", [last, forgotten, swept])
    return twice


def askKeys(names: Collection[KeyName]) -> tuple[str, list[list[Any]]]:
    """What to ask for those of the idempotency keys that were used, each with its entry; and the values in it."""
    return _KEYED, _columns(list(names), 2)


def keyed(connection: Connection[Any], names: Collection[KeyName]) -> dict[KeyName, int]:
    """Those of the idempotency keys that were used, each with its entry."""
    sql, values = askKeys(names)
    found = connection.execute(sql.encode(), values)
    return {(principal, key): seq for principal, key, seq in found}


def _columns(rows: Collection[Sequence[Any]], count: int) -> list[list[Any]]:
    """As arrays, one a column."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


def _putUsers(connection: Connection[Any], changes: Changes) -> None:
    """Accounts, then groups: an account has the decimals that its group had when it was last spoken of."""
    run = connection.execute
    used = {trade.digits for trade in changes.trades.values()}
    if changes.users:
        known = _currencies(connection, {user.group for user, group in changes.users.values() if group is None})
        users = sorted(changes.users.items())
        rows = [
            (login, user.group, user.enable, *((group.currency, group.digits) if group else known[user.group]))
            for login, (user, group) in users
        ]
        run(_MOVE, _columns([row[:2] for row in rows], 2))
        run(_USERS, _columns(rows, 5))
        run(_PROFILES, _columns([(login, user.record) for login, (user, _) in users], 2))
        used |= {row[4] for row in rows}
    if changes.closed:
        run("UPDATE account SET deleted = true WHERE login = ANY(%s)", [sorted(changes.closed)])
    if changes.groups:
        groups = sorted(changes.groups.values(), key=lambda group: group.group)
        run(_GROUPS, _columns([_groupRow(group) for group in groups], 4))
    if changes.dropped:
        run('UPDATE "group" SET deleted = true WHERE "group" = ANY(%s)', [sorted(changes.dropped)])
    if used:
        run("INSERT INTO digits SELECT unnest(%s::integer[]) ON CONFLICT DO NOTHING", [sorted(used)])


def _groupRow(group: GroupRow) -> tuple[str, str, str, bool]:
    return group.group, group.shown, group.record, bool(group.deleted)


def _currencies(connection: Connection[Any], groups: set[str]) -> dict[str, tuple[str, int]]:
    """The currency of each of these groups, and its decimals."""
    if not groups:
        return {}
    found = connection.execute(
        "SELECT \"group\", record::json ->> 'currency', (record::json ->> 'digits')::integer"
        ' FROM "group" WHERE "group" = ANY(%s)',
        [sorted(groups)],
    )
    known = {group: (currency, digits) for group, currency, digits in found}
    for group in sorted(groups - known.keys()):
        raise ValueError(f"there is an account in the group {group!r}, which was never made")
    return known


def _putTrades(connection: Connection[Any], changes: Changes) -> None:
    trades, moved = changes.trades, changes.moved
    orders = sorted(trades)
    if orders:
        (last,) = connection.execute('SELECT max("order") FROM trade').fetchone() or (None,)
        # Most are new.
        known = bisect_right(orders, last or 0)
        if known:
            connection.execute(_TRADES, _columns([trades[order] for order in orders[:known]], len(_TRADE_TYPES)))
        _copy(connection, _COPY_TRADES, (_tradeLine(trades[order]) for order in orders[known:]))
    if not moved:
        return
    rows = changes.running(_balances(connection, moved))
    _copy(connection, _COPY_MOVEMENTS, (_MOVEMENT_LINE % (*row[:10], _escaped(str(row[10]))) for row in rows))
    sums = [(login, m.balance, m.credit, m.versions, m.pending) for login, m in sorted(moved.items())]
    connection.execute(_MOVED, _columns(sums, 5))


def _tradeLine(row: TradeRow) -> str:
    return _TRADE_LINE % (*row[:2], _escaped(row.group), *row[3:12], _escaped(row.data))


def _escaped(text: str) -> str:
    """As C{COPY} reads it; most is JSON, of which no character but one has a meaning there."""
    text = text.replace("\\", "\\\\")
    if text.isprintable():
        return text
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _copy(connection: Connection[Any], statement: str, lines: Iterator[str]) -> None:
    """In pieces, so that the server is at work while the next one is made."""
    piece = "".join(islice(lines, _PIECE))
    if not piece:
        return
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while piece:
            copy.write(piece)
            piece = "".join(islice(lines, _PIECE))


def _balances(connection: Connection[Any], logins: Iterable[int]) -> dict[int, tuple[int, int]]:
    found = connection.execute("SELECT login, balance, credit FROM account WHERE login = ANY(%s)", [sorted(logins)])
    return {login: (balance, credit) for login, balance, credit in found}


def _putKeys(
    connection: Connection[Any], keys: Sequence[tuple[str, str, int]], forgotten: int
) -> list[tuple[str, str, int]]:
    new = sorted(key for key in keys if key[2] > forgotten)
    if not new:
        return []
    # Of two that are alike the first, for one statement does not put a row twice.
    firsts: dict[KeyName, int] = {}
    for principal, key, seq in new:
        firsts.setdefault((principal, key), seq)
    rows = [(principal, key, seq) for (principal, key), seq in firsts.items()]
    added = connection.execute(_KEYS, [*_columns(rows, 3), forgotten])
    if added.rowcount == len(new):
        return []
    counts = keyed(connection, list(firsts))
    return [(principal, key, seq) for principal, key, seq in new if counts[principal, key] != seq]


assert len(TradeRow._fields) == len(_TRADE_TYPES)
assert len(Movement._fields) == 9
