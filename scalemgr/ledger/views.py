"""The log arranged for questions: trades by order, accounts and groups as they are, idempotency keys.

L{Views.project} folds entries in, L{Views} answers. Both ledgers use it, one on a file and one in memory.
Of all that deciding needs, only trades to be changed and keys that were used are asked of views.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

import ujson
from msgspec import Struct
from twisted.logger import Logger

from ..finance.records import (
    GROUP_EVENT,
    KEYS_FORGOTTEN,
    TRADE_EVENT,
    USER_EVENT,
    Account,
    Entry,
    FinanceTrade,
    Group,
    StoredAccount,
)
from ..finance.requests import KeyName
from .database import connect, transaction

__all__ = ["Frozen", "Views", "condense"]

_log = Logger()


_CONTENTS: dict[str, str] = {
    TRADE_EVENT: 'SELECT "order", "group", data FROM trade',
    USER_EVENT: 'SELECT login, "group", record FROM account',
    GROUP_EVENT: 'SELECT "group", "group", record FROM "group"',
}


def condense(group: str, text: str) -> int:
    """What an audit remembers of a record."""
    return hash((group, text))


class Frozen(Struct, frozen=True):
    """
    The views as of one entry.

    @ivar accounts: all of them, by login.
    @ivar contents: what is kept of each trade, account and group, condensed, by kind and key.
    @ivar keys: the entry of each idempotency key.
    """

    seq: int
    accounts: dict[int, Account]
    contents: dict[tuple[str, int | str], int]
    keys: dict[KeyName, int]


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
        for table in ("trade", "account", '"group"', "key"):
            self._connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall()  # noqa: S608

    def project(self, entries: list[Entry]) -> None:
        """Fold in the entries that follow the last one that is in."""
        trades: dict[int, tuple[int, str, str]] = {}
        moved: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        groups: dict[str, str] = {}
        accounts: dict[int, tuple[int, str, str]] = {}
        keys: list[tuple[str, str, int]] = []
        forgotten = 0
        for entry in entries:
            if entry.key is not None:
                keys.append((entry.principal, entry.key, entry.seq))
            if entry.event == TRADE_EVENT:
                trades[entry.order] = (entry.order, entry.group, entry.data)
                if entry.balance or entry.credit:
                    change = moved[entry.login]
                    change[0] += entry.balance
                    change[1] += entry.credit
                    change[2] += 1
            elif entry.event == USER_EVENT:
                accounts[entry.login] = (entry.login, entry.group, entry.record or entry.data)
            elif entry.event == GROUP_EVENT:
                groups[entry.group] = entry.record or entry.data
            elif entry.event == KEYS_FORGOTTEN:
                forgotten = ujson.loads(entry.data)["up_to"]
        run = self._connection.executemany
        with transaction(self._connection):
            (before,) = self._connection.execute("SELECT seq FROM view").fetchone()
            if before + 1 != entries[0].seq:
                raise ValueError(f"entry {entries[0].seq} does not follow entry {before}")
            run('INSERT OR REPLACE INTO "group" VALUES (?, ?)', groups.items())
            run(
                'INSERT INTO account (login, "group", record) VALUES (?, ?, ?)'
                ' ON CONFLICT (login) DO UPDATE SET "group" = excluded."group", record = excluded.record',
                accounts.values(),
            )
            # In the order of the keys, so that neighbours are written together.
            run("INSERT OR REPLACE INTO trade VALUES (?, ?, ?)", [trades[order] for order in sorted(trades)])
            run(
                "UPDATE account SET balance = balance + ?, credit = credit + ?,"
                " balance_version = balance_version + ? WHERE login = ?",
                [(*moved[login], login) for login in sorted(moved)],
            )
            self._connection.execute("DELETE FROM key WHERE seq <= ?", (forgotten,))
            new = sorted(key for key in keys if key[2] > forgotten)
            added = run("INSERT OR IGNORE INTO key (principal, key, seq) VALUES (?, ?, ?)", new)
            if added.rowcount < len(new):
                self._accuse(new)
            self._connection.execute("UPDATE view SET seq = ?", (entries[-1].seq,))

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
        """An account as it is."""
        row = self._connection.execute(
            'SELECT a."group", a.record, a.balance, a.credit, a.balance_version, g.record'
            ' FROM account a JOIN "group" g USING ("group") WHERE login = ?',
            (login,),
        ).fetchone()
        if row is None:
            return None
        group, record, balance, credit, version, groupRecord = row
        profile = ujson.loads(record)
        profile.pop("password_hash", None)
        ofGroup = ujson.loads(groupRecord)
        return StoredAccount(
            Account(login, group, profile["enable"], balance, credit, version),
            Group(group, ofGroup["currency"], ofGroup["digits"]),
            profile,
        )

    def frozen(self) -> Frozen:
        """What an audit compares, as of one moment."""
        self._connection.execute("BEGIN")
        try:
            rows = self._connection.execute(
                "SELECT login, \"group\", json_extract(record, '$.enable'), balance, credit, balance_version"
                " FROM account"
            )
            accounts = {row[0]: Account(*row) for row in rows}
            contents = {
                (event, key): condense(group, text)
                for event, query in _CONTENTS.items()
                for key, group, text in self._connection.execute(query)
            }
            keys = {
                (principal, key): seq
                for seq, principal, key in self._connection.execute("SELECT seq, principal, key FROM key")
            }
            return Frozen(self.seq(), accounts, contents, keys)
        finally:
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
