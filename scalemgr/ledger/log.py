"""The log in a SQLite file: append at the end, read on from anywhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path
from uuid import uuid4

import msgspec
import ujson

from ..finance.records import Entry
from .database import connect, transaction
from .errors import LedgerRefused
from .pages import chosen, pack, unpack
from .readon import ReadOn

__all__ = ["SqliteLog"]

# Only where the log ends: a page in the place of another must not go in beside it.
_INSERT = "INSERT INTO page SELECT ?1, ?2, ?3 WHERE ?2 = 1 + coalesce((SELECT max(last) FROM page), 0)"
# From the page with the next entry to the one with the last that is wanted, or, if there is a gap, the one after it.
_AFTER = """
SELECT * FROM page WHERE last > ?1
    AND last <= coalesce((SELECT min(last) FROM page WHERE last >= ?1 + ?2), 9223372036854775807) ORDER BY last
"""
# How far so many bytes go; always to the end of the next page.
_REACH = f"""
SELECT max(last) FROM (
    SELECT last, sum(length(entries)) OVER (ORDER BY last) - length(entries) AS before FROM ({_AFTER})
) WHERE before < ?3
"""  # noqa: S608
_THESE = """
SELECT * FROM page WHERE last IN
    (SELECT (SELECT min(last) FROM page WHERE last >= value) FROM json_each(?)) ORDER BY last
"""
# All pages in one row: where they have few entries it is half again as fast as to fetch each, and the interpreter is
# free for other threads meanwhile. As bytes: damaged text may be none.
_IN_ONE = (
    "SELECT json_group_array(first), json_group_array(last), CAST('[' || group_concat(entries) || ']' AS BLOB)"
    " FROM ({})"
)
_AFTER_IN_ONE, _THESE_IN_ONE = _IN_ONE.format(_AFTER), _IN_ONE.format(_THESE)
_AFTER_EACH = f"SELECT first, last, CAST('[' || entries || ']' AS BLOB) FROM ({_AFTER})"  # noqa: S608

_NUMBERS = msgspec.json.Decoder(list[int]).decode


class SqliteLog(ReadOn):
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
        (seq,) = self._connection.execute("SELECT max(last) FROM page").fetchone()
        return seq or 0

    def append(self, entries: Sequence[Entry]) -> None:
        """
        Add entries, durably, all or none.

        @raise ValueError: if one of them cannot be kept; nothing was done.
        """
        pages = pack(entries)
        with transaction(self._connection):
            if self._connection.executemany(_INSERT, pages).rowcount != len(pages):
                raise sqlite3.IntegrityError(f"the log does not end before entry {entries[0].seq}")

    def touch(self) -> None:
        """
        Write something, durably, that means nothing: an order is skipped. A row that is updated to what it
        is would not be written at all.
        """
        self._connection.execute("UPDATE ledger SET next_order = next_order + 1")

    def read(self, after: int, limit: int, bytesMax: int | None = None) -> list[Entry]:
        """
        Up to C{limit} entries that follow the entry C{after}: fewer only where the log ends, or before damage.

        @param bytesMax: fewer also if they have more than about so many bytes: entries may be large.
        @raise ValueError: if the next one is on a page that is damaged.
        """
        if bytesMax is not None:
            (reach,) = self._connection.execute(_REACH, (after, limit, bytesMax)).fetchone()
            limit = min(limit, (reach or after) - after)
        firsts, lasts, pages = self._connection.execute(_AFTER_IN_ONE, (after, limit)).fetchone()
        if pages is None:
            return []
        try:
            entries = unpack(zip(_NUMBERS(firsts), _NUMBERS(lasts), strict=True), pages)
        except ValueError:
            entries = self._readSound(after, limit)
        passed = max(0, after + 1 - entries[0].seq)
        return entries[passed : passed + limit]

    def _readSound(self, after: int, limit: int) -> list[Entry]:
        """Page by page, as far as they are sound."""
        entries: list[Entry] = []
        for first, last, page in self._connection.execute(_AFTER_EACH, (after, limit)).fetchall():
            try:
                entries += unpack([(first, last)], page)
            except ValueError as e:
                if entries:
                    break
                raise ValueError(f"the page of the entries {first} to {last} is damaged: {e}") from e
        return entries

    def at(self, seqs: Collection[int]) -> list[Entry]:
        """
        These entries, as far as they exist, in order.

        @raise ValueError: if one of them is on a page that is damaged.
        """
        question = ujson.dumps(list(seqs))
        firsts, lasts, pages = self._connection.execute(_THESE_IN_ONE, (question,)).fetchone()
        if pages is None:
            return []
        return chosen(seqs, zip(_NUMBERS(firsts), _NUMBERS(lasts), strict=True), pages)

    def checkpointAt(self, pages: int) -> None:
        """From which length of the write-ahead log on, in pages, a commit moves it into the file; else it is 1000."""
        self._connection.execute(f"PRAGMA wal_autocheckpoint={pages:d}")

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
