"""The log arranged for questions: trades by order, accounts and groups as they are, idempotency keys.

L{Views.project} folds entries in, L{Views} answers. Both ledgers use it, one on a file and one in memory.
Of all that deciding needs, only trades to be changed and keys that were used are asked of views.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import ujson
from twisted.logger import Logger

from ..finance.masks import Sight
from ..finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from ..finance.records import Account, Entry, FinanceTrade, Group, StoredAccount
from ..finance.requests import KeyName
from ..interfaces import ITicket
from .asking import SqliteAsked, askStatement, askTable
from .database import connect, snapshot, transaction
from .frozen import Frozen, freeze
from .projection import Changes, Movement, TradeRow
from .ticket import Ticket

__all__ = ["Views"]

_log = Logger()

_CACHE_KIB = 131072
# So much is written again at once, in the order of the file, and what is written often is written again once.
_CHECKPOINT_PAGES = 8192


def _bootOfMachine() -> str:
    """Since when it runs, if it says so; else what is never the same."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return uuid4().hex


_BOOT = _bootOfMachine()

# Nothing, unless it is in another group.
_MOVE = """
UPDATE trade SET "group" = :group
WHERE login = :login AND (SELECT "group" FROM account WHERE login = :login) <> :group
"""
# Not INSERT OR REPLACE, which takes three times as long with so many indexes.
_TRADE = (
    f"INSERT INTO trade VALUES ({', '.join('?' * len(TradeRow._fields))}) ON CONFLICT DO UPDATE SET "  # noqa: S608
    + ", ".join(f'"{name}" = excluded."{name}"' for name in TradeRow._fields[1:])
)
_NEW_TRADE = f"INSERT INTO trade VALUES ({', '.join('?' * len(TradeRow._fields))})"  # noqa: S608
# The first use counts, unless it is forgotten.
_KEY = (
    "INSERT INTO key (principal, key, seq) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE seq <= {}"
)
# Each tree of the file: a table, an index of it or an empty name, and the columns that it is in the order of.
_TREES = """
SELECT i.tbl_name, i.name, json_group_array(c.name) FROM sqlite_schema AS i, pragma_index_info(i.name) AS c
    WHERE i.type = 'index' AND i.sql IS NOT NULL GROUP BY i.name
UNION ALL SELECT t.name, '', json_group_array(c.name) FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
    WHERE t.type = 'table' AND c.pk GROUP BY t.name
"""
_MOVEMENT = f"INSERT INTO movement VALUES ({', '.join('?' * (len(Movement._fields) + 2))})"  # noqa: S608


class Views:
    """
    One connection to the views of one log.

    @param path: the file, or C{":memory:"}.
    @param epoch: the log's; C{None} to take what the file says.
    @raise sqlite3.DatabaseError: from any method, if the file is damaged.
    @raise ValueError: if the views are of another log.
    """

    def __init__(self, path: Path | str, epoch: str | None = None, *, readOnly: bool = False) -> None:
        # NORMAL: a power cut may take the latest rows, which are projected again, but leaves no half ones.
        self._connection = connect(path, "views", synchronous="NORMAL", readOnly=readOnly)
        try:
            if not readOnly:
                # A turn touches pages of indexes all over the file; what does not fit is written more than once.
                self._connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
                self._connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            if epoch is not None and not readOnly:
                self._connection.execute("INSERT OR IGNORE INTO view (id, epoch, seq) VALUES (1, ?, 0)", (epoch,))
            row = self._connection.execute("SELECT epoch, boot FROM view").fetchone()
            if row is None or epoch not in (None, row[0]):
                raise ValueError("these are views of another log")
            self._boot: str = row[1]
            # So that somebody who is late in ending does not lay to rest what others write.
            self._mark = f"{_BOOT} {uuid4().hex}"
        except BaseException:
            self._connection.close()
            raise

    def seq(self) -> int:
        """The last entry that is in."""
        (seq,) = self._connection.execute("SELECT seq FROM view").fetchone()
        return int(seq)

    def check(self, *, thorough: bool = True) -> None:
        """
        Look for damage.

        @param thorough: page by page, in any case. Else only if the machine has failed since these were last at rest;
            a page that is damaged otherwise is found when it is read.
        @raise sqlite3.DatabaseError: if there is any.
        """
        if thorough or self._boot.partition(" ")[0] not in ("", _BOOT):
            (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        for table in ("trade", "account", "profile", '"group"', "movement", "digits", "key"):
            self._connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall()  # noqa: S608
        for table, name, columns in self._connection.execute(_TREES).fetchall():
            # The first and the last row of each tree.
            tree = f'"{table}" INDEXED BY "{name}"' if name else f'"{table}" NOT INDEXED'
            for direction in ("ASC", "DESC"):
                order = ", ".join(f'"{column}" {direction}' for column in ujson.loads(columns))
                self._connection.execute(f"SELECT 1 FROM {tree} ORDER BY {order} LIMIT 1").fetchall()  # noqa: S608

    def begin(self) -> None:
        """They are written from here on, until L{rest}."""
        self._connection.execute("UPDATE view SET boot = ?", (self._mark,))

    def rest(self) -> None:
        """What was written is whole, and nothing is written until they are opened again, unless somebody has."""
        self._connection.execute("UPDATE view SET boot = '' WHERE boot = ?", (self._mark,))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """All that is projected in here is seen at its end, together."""
        with transaction(self._connection):
            yield

    def project(self, entries: list[Entry]) -> None:
        """Fold in the entries that follow the last one that is in: in a turn, or as one."""
        if not self._connection.in_transaction:
            with self.turn():
                self.project(entries)
            return
        changes = Changes.of(entries)
        before, forgotten, swept = self._connection.execute("SELECT seq, forgotten, swept FROM view").fetchone()
        if before + 1 != entries[0].seq:
            raise ValueError(f"entry {entries[0].seq} does not follow entry {before}")
        last = entries[-1].seq
        self._putUsers(changes)
        self._putTrades(changes)
        if changes.forgotten > forgotten:
            forgotten = changes.forgotten
            # It is to read them all, so at least every other one should go.
            if 2 * (forgotten - swept) >= last - swept:
                self._connection.execute("DELETE FROM key WHERE seq <= ?", (forgotten,))
                swept = forgotten
        self._putKeys(changes.keys, forgotten)
        self._connection.execute("UPDATE view SET seq = ?, forgotten = ?, swept = ?", (last, forgotten, swept))

    def _putKeys(self, keys: list[tuple[str, str, int]], forgotten: int) -> None:
        """In their order, so that neighbours are written together."""
        new = sorted(key for key in keys if key[2] > forgotten)
        added = self._connection.executemany(_KEY.format(forgotten), new)
        if added.rowcount < len(new):
            self._accuse(new)

    def _putUsers(self, changes: Changes) -> None:
        """Accounts, then groups: an account has the decimals that its group had when it was last spoken of."""
        run = self._connection.executemany
        rows = []
        for login, (user, group) in changes.users.items():
            currency, digits = self._currency(user.group) if group is None else (group.currency, group.digits)
            rows.append((login, user.group, user.enable, currency, digits))
            self._connection.execute(_MOVE, {"login": login, "group": user.group})
        run(
            'INSERT INTO account (login, "group", enable, currency, digits) VALUES (?, ?, ?, ?, ?)'
            ' ON CONFLICT (login) DO UPDATE SET "group" = excluded."group", enable = excluded.enable',
            rows,
        )
        run(
            "INSERT OR REPLACE INTO profile VALUES (?, ?)",
            [(login, user.record) for login, (user, _) in changes.users.items()],
        )
        run("UPDATE account SET deleted = 1 WHERE login = ?", [(login,) for login in changes.closed])
        run(
            'INSERT OR REPLACE INTO "group" ("group", shown, record, deleted) VALUES (?, ?, ?, ?)',
            [group[:4] for group in changes.groups.values()],
        )
        run('UPDATE "group" SET deleted = 1 WHERE "group" = ?', [(name,) for name in changes.dropped])
        used = {row[4] for row in rows} | {trade.digits for trade in changes.trades.values()}
        run("INSERT OR IGNORE INTO digits VALUES (?)", [(digits,) for digits in used])

    def _currency(self, group: str) -> tuple[str, int]:
        row = self._connection.execute(
            "SELECT json_extract(record, '$.currency'), json_extract(record, '$.digits')"
            ' FROM "group" WHERE "group" = ?',
            (group,),
        ).fetchone()
        if row is None:
            raise ValueError(f"there is an account in the group {group!r}, which was never made")
        return row[0], row[1]

    def _putTrades(self, changes: Changes) -> None:
        """In the order of the keys, so that neighbours are written together."""
        run = self._connection.executemany
        trades, moved = changes.trades, changes.moved
        (last,) = self._connection.execute('SELECT max("order") FROM trade').fetchone()
        orders = sorted(trades)
        # Most are new.
        known = bisect_right(orders, last or 0)
        run(_TRADE, [trades[order] for order in orders[:known]])
        run(_NEW_TRADE, [trades[order] for order in orders[known:]])
        if not moved:
            return
        run(_MOVEMENT, changes.running(self._balances(moved)))
        run(
            "UPDATE account SET balance = balance + ?, credit = credit + ?, balance_version = balance_version + ?,"
            " pending = pending + ? WHERE login = ?",
            [(m.balance, m.credit, m.versions, m.pending, login) for login, m in sorted(moved.items())],
        )

    def _balances(self, logins: Iterable[int]) -> dict[int, tuple[int, int]]:
        # All in one row: see log.py.
        (text,) = self._connection.execute(
            "SELECT json_group_array(json_array(login, balance, credit)) FROM account"
            " WHERE login IN (SELECT value FROM json_each(?))",
            (ujson.dumps(list(logins)),),
        ).fetchone()
        return {login: (balance, credit) for login, balance, credit in ujson.loads(text)}

    def _accuse(self, new: list[tuple[str, str, int]]) -> None:
        """A key was used twice: what must never be has happened, and is in the log for good. The first one counts."""
        first = self.keyed([(principal, key) for principal, key, _ in new])
        for principal, key, seq in new:
            if first[principal, key] != seq:
                _log.critical(
                    "the key {key!r} of {principal} has two entries, {first} and {second}: it was applied twice",
                    key=key,
                    principal=principal,
                    first=first[principal, key],
                    second=seq,
                )

    def trade(self, order: int) -> tuple[FinanceTrade, str] | None:
        """A trade and the name of its group."""
        row = self._connection.execute('SELECT data, "group" FROM trade WHERE "order" = ?', (order,)).fetchone()
        return None if row is None else (FinanceTrade.fromData(ujson.loads(row[0])), row[1])

    def trades(self, orders: Collection[int]) -> dict[int, FinanceTrade]:
        """Those trades that exist, by order."""
        rows = self._connection.execute(
            'SELECT data FROM trade WHERE "order" IN (SELECT value FROM json_each(?))', (ujson.dumps(list(orders)),)
        )
        trades = (FinanceTrade.fromData(ujson.loads(data)) for (data,) in rows)
        return {trade.order: trade for trade in trades}

    def keyed(self, names: Collection[KeyName]) -> dict[KeyName, int]:
        """Those of the idempotency keys that were used, each with its entry."""
        # For one principal after the other, which takes less than half the time of pairs; mostly there is one.
        keys: defaultdict[str, list[str]] = defaultdict(list)
        for principal, key in names:
            keys[principal].append(key)
        return {
            (principal, key): seq
            for principal, those in keys.items()
            for key, seq in self._connection.execute(
                "SELECT key, seq FROM key WHERE principal = ? AND key IN (SELECT value FROM json_each(?))",
                (principal, ujson.dumps(those)),
            )
        }

    def account(self, login: int) -> StoredAccount | None:
        """An account as it is, unless it is deleted."""
        row = self._connection.execute(
            'SELECT a."group", a.enable, a.balance, a.credit, a.balance_version, a.pending,'
            " a.currency, a.digits, p.record, g.record"
            ' FROM account a JOIN profile p USING (login) JOIN "group" g USING ("group")'
            " WHERE login = ? AND NOT a.deleted",
            (login,),
        ).fetchone()
        if row is None:
            return None
        *facts, currency, digits, record, groupRecord = row
        profile = ujson.loads(record)
        profile.pop("password_hash", None)
        floor = ujson.loads(groupRecord).get("floor", 0)
        account = Account(login, *facts)
        return StoredAccount(account, Group(account.group, currency, digits, floor, record=groupRecord), profile)

    def profiles(self, logins: Collection[int]) -> dict[int, dict[str, Any]]:
        """All that is known of those accounts that exist, by login; with the password's hash."""
        (text,) = self._connection.execute(
            "SELECT json_group_array(json_array(login, json(record))) FROM account JOIN profile USING (login)"
            " WHERE login IN (SELECT value FROM json_each(?)) AND NOT deleted",
            (ujson.dumps(list(logins)),),
        ).fetchone()
        return dict(ujson.loads(text))

    def table(self, query: TableQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None) -> Table:
        """Rows of a table: L{ILedger.table}."""
        return askTable(SqliteAsked(self._connection), query, sight, bounds, ticket or Ticket())

    def statement(
        self, query: StatementQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None
    ) -> Statement | None:
        """What moved on an account: L{ILedger.statement}."""
        return askStatement(SqliteAsked(self._connection), query, sight, bounds, ticket or Ticket())

    def frozen(self) -> Frozen:
        """What an audit compares, as of one moment."""
        with snapshot(self._connection):
            return freeze(self._connection.execute)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
