"""The log arranged for questions: trades by order, accounts and groups as they are, idempotency keys.

L{Views.project} folds entries in, L{Views} answers. Both ledgers use it, one on a file and one in memory.
Of all that deciding needs, only trades to be changed and keys that were used are asked of views.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import ujson
from twisted.logger import Logger

from ..finance.masks import Sight
from ..finance.questions import Bounds, Statement, StatementQuery, Table, TableQuery
from ..finance.records import Account, Entry, FinanceTrade, Group, StoredAccount
from ..finance.requests import KeyName
from ..interfaces import ITicket
from .asking import askStatement, askTable
from .database import connect, snapshot, transaction
from .frozen import Frozen, freeze
from .projection import Changes, Movement, TradeRow
from .ticket import Ticket

__all__ = ["Views"]

_log = Logger()

_CACHE_KIB = 65536

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
_KEY = "INSERT OR IGNORE INTO key (principal, key, seq) VALUES (?, ?, ?)"
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
                # A batch touches pages of indexes all over the file; what does not fit is written more than once.
                self._connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            if epoch is not None and not readOnly:
                self._connection.execute("INSERT OR IGNORE INTO view (id, epoch, seq) VALUES (1, ?, 0)", (epoch,))
            row = self._connection.execute("SELECT epoch FROM view").fetchone()
            if row is None or epoch not in (None, row[0]):
                raise ValueError("these are views of another log")
        except BaseException:
            self._connection.close()
            raise

    def seq(self) -> int:
        """The last entry that is in."""
        (seq,) = self._connection.execute("SELECT seq FROM view").fetchone()
        return int(seq)

    def check(self) -> None:
        """
        Look for damage, page by page.

        @raise sqlite3.DatabaseError: if there is any.
        """
        (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        for table in ("trade", "account", "profile", '"group"', "movement", "digits", "key"):
            self._connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall()  # noqa: S608

    def project(self, entries: list[Entry]) -> None:
        """Fold in the entries that follow the last one that is in."""
        changes = Changes.of(entries)
        with transaction(self._connection):
            (before,) = self._connection.execute("SELECT seq FROM view").fetchone()
            if before + 1 != entries[0].seq:
                raise ValueError(f"entry {entries[0].seq} does not follow entry {before}")
            self._putUsers(changes)
            self._putTrades(changes)
            self._connection.execute("DELETE FROM key WHERE seq <= ?", (changes.forgotten,))
            new = sorted(key for key in changes.keys if key[2] > changes.forgotten)
            added = self._connection.executemany(
                "INSERT OR IGNORE INTO key (principal, key, seq) VALUES (?, ?, ?)", new
            )
            if added.rowcount < len(new):
                self._accuse(new)
            self._connection.execute("UPDATE view SET seq = ?", (entries[-1].seq,))

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
        run(_TRADE, [trades[order] for order in sorted(trades)])
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

    def trades(self, orders: Iterable[int]) -> dict[int, FinanceTrade]:
        """Those trades that exist, by order."""
        rows = self._connection.execute(
            'SELECT data FROM trade WHERE "order" IN (SELECT value FROM json_each(?))', (ujson.dumps(list(orders)),)
        )
        trades = (FinanceTrade.fromData(ujson.loads(data)) for (data,) in rows)
        return {trade.order: trade for trade in trades}

    def keyed(self, names: Collection[KeyName]) -> dict[KeyName, int]:
        """Those of the idempotency keys that were used, each with its entry."""
        rows = self._connection.execute(
            "SELECT k.principal, k.key, k.seq FROM json_each(?) AS name CROSS JOIN key AS k"
            " ON k.principal = json_extract(name.value, '$[0]') AND k.key = json_extract(name.value, '$[1]')",
            (ujson.dumps(list(names)),),
        )
        return {(principal, key): seq for principal, key, seq in rows}

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

    def profiles(self, logins: Iterable[int]) -> dict[int, dict[str, Any]]:
        """All that is known of those accounts that exist, by login; with the password's hash."""
        (text,) = self._connection.execute(
            "SELECT json_group_array(json_array(login, json(record))) FROM account JOIN profile USING (login)"
            " WHERE login IN (SELECT value FROM json_each(?)) AND NOT deleted",
            (ujson.dumps(list(logins)),),
        ).fetchone()
        return dict(ujson.loads(text))

    def table(self, query: TableQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None) -> Table:
        """Rows of a table: L{ILedger.table}."""
        return askTable(self._connection, query, sight, bounds, ticket or Ticket())

    def statement(
        self, query: StatementQuery, sight: Sight, bounds: Bounds, ticket: ITicket | None = None
    ) -> Statement | None:
        """What moved on an account: L{ILedger.statement}."""
        return askStatement(self._connection, query, sight, bounds, ticket or Ticket())

    def frozen(self) -> Frozen:
        """What an audit compares, as of one moment."""
        with snapshot(self._connection):
            return freeze(self._connection)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
