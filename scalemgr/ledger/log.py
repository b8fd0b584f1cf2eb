"""The log in a SQLite file: append at the end, read on from anywhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import ujson
from msgspec.structs import astuple, fields

from ..finance.records import Entry
from ..wire.messages import Json
from .database import connect, transaction
from .errors import LedgerRefused

__all__ = ["SqliteLog"]

_COLUMNS = [f'"{field.name}"' for field in fields(Entry)]
_INSERT = f"INSERT INTO entry ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - names of our own
# All rows in one, as JSON: a thread gives up the interpreter for each row that it fetches, and beside a busy
# reactor it waits long to get it back each time.
_VALUES = ", ".join("hex(fingerprint)" if "fingerprint" in column else column for column in _COLUMNS)
_ALL = (
    f"SELECT json_group_array(json_array({_VALUES}))"  # noqa: S608
    " FROM (SELECT * FROM entry WHERE {} ORDER BY seq LIMIT ?)"
)
_AFTER = _ALL.format("seq > ?")
_THESE = _ALL.format("seq IN (SELECT value FROM json_each(?))")
_FINGERPRINT, _DATA, _RECORD = (
    i for i, field in enumerate(fields(Entry)) if field.name in ("fingerprint", "data", "record")
)
_OLDER = """
WITH page AS (SELECT seq, time_ms FROM entry WHERE seq > ? AND key IS NOT NULL ORDER BY seq LIMIT ?),
    newer AS (SELECT min(seq) AS first FROM page WHERE time_ms >= ?)
SELECT max(seq) FROM page, newer WHERE first IS NULL OR seq < first
"""
# Exact for integers of any size, which SQLite has up to 2**63.
_DECODE = msgspec.json.Decoder(list[list[Any]]).decode
_PAGE = 10_000


class SqliteLog:
    """
    One connection to a log.

    @ivar epoch: the name of the log.
    @raise LedgerRefused: if the file cannot be used.
    """

    def __init__(self, path: Path, *, nowMs: int = 0, readOnly: bool = False) -> None:
        """
        @param nowMs: when a log that does not exist yet is made, in milliseconds since 1970.
        """
        try:
            self._connection = connect(path, "log", readOnly=readOnly)
        except sqlite3.Error as e:
            raise LedgerRefused(f"{path}: {e}") from e
        try:
            if not readOnly:
                self._connection.execute(
                    "INSERT OR IGNORE INTO ledger (id, epoch, created_ms, next_order) VALUES (1, ?, ?, 1)",
                    (uuid4().hex, nowMs),
                )
            row = self._connection.execute("SELECT epoch FROM ledger").fetchone()
        except sqlite3.Error as e:
            self._connection.close()
            raise LedgerRefused(f"{path}: {e}") from e
        if row is None:
            self._connection.close()
            raise LedgerRefused(f"{path} is not a whole log; start the daemon once to make it one")
        self.epoch: str = row[0]

    def renew(self) -> None:
        """From here on it is another log than the one whose numbers others know."""
        epoch = uuid4().hex
        self._connection.execute("UPDATE ledger SET epoch = ?", (epoch,))
        self.epoch = epoch

    def head(self) -> int:
        """The number of the last entry; 0 if there is none."""
        (seq,) = self._connection.execute("SELECT max(seq) FROM entry").fetchone()
        return seq or 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries, durably, all or none."""
        with transaction(self._connection):
            self._connection.executemany(_INSERT, map(astuple, entries))

    def touch(self) -> None:
        """
        Write something, durably, that means nothing: an order is skipped. A row that is updated to what it
        is would not be written at all.
        """
        self._connection.execute("UPDATE ledger SET next_order = next_order + 1")

    def read(self, after: int, limit: int) -> list[Entry]:
        """Up to C{limit} entries that follow the entry C{after}."""
        return self._entries(_AFTER, after, limit)

    def at(self, seqs: Collection[int]) -> list[Entry]:
        """These entries, as far as they exist, in order."""
        return self._entries(_THESE, ujson.dumps(list(seqs)), len(seqs))

    def _entries(self, query: str, *parameters: Any) -> list[Entry]:
        (rows,) = self._connection.execute(query, parameters).fetchone()
        return [_entry(row) for row in _DECODE(rows)]

    def olderThan(self, beforeMs: int, after: int, limit: int) -> int:
        """
        How far, from the entry C{after} on and for at most C{limit} keys, all entries with a key are older than this.

        @return: the last of those entries; C{after} if there is none.
        """
        (seq,) = self._connection.execute(_OLDER, (after, limit, beforeMs)).fetchone()
        return after if seq is None else int(seq)

    def pages(self, after: int) -> Iterator[list[Entry]]:
        """All entries that follow the entry C{after}, page by page."""
        while page := self.read(after, _PAGE):
            yield page
            after = page[-1].seq

    def reserveOrders(self, count: int) -> int:
        """Set orders aside, durably."""
        with transaction(self._connection):
            (first,) = self._connection.execute(
                "UPDATE ledger SET next_order = next_order + ? RETURNING next_order - ?", (count, count)
            ).fetchone()
        return int(first)

    def returnOrders(self, nextOrder: int) -> None:
        """Take back the reserved orders from C{nextOrder} on."""
        self._connection.execute("UPDATE ledger SET next_order = min(next_order, ?)", (nextOrder,))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _entry(row: list[Any]) -> Entry:
    fingerprint, record = row[_FINGERPRINT], row[_RECORD]
    row[_FINGERPRINT] = bytes.fromhex(fingerprint) if fingerprint else None
    row[_DATA] = Json(row[_DATA])
    row[_RECORD] = None if record is None else Json(record)
    return Entry(*row)
