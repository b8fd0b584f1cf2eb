"""Entries as the log keeps them: some that follow one another as one page, a JSON array with an array for each.

In such an array are the fields of L{Entry} in their order; C{data} and C{record} are in it as they are, byte for
byte, C{fingerprint} is in hex, and C{record} is left out if there is none. That is one row of SQLite and one turn
of the JSON decoder for many entries, where a row for each costs several times as much in either direction.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.structs import astuple

from ..finance.records import Entry
from ..wire.messages import Json

__all__ = ["ENTRIES_MAX", "WITHOUT_GAP", "Bounds", "chosen", "pack", "unpack"]

#: Entries a page. With fewer, to append costs more (with 8 half again as much); with more it is hardly cheaper, but to
#: find one of them takes longer, and of a page that is damaged all is. Pages of any length are read.
ENTRIES_MAX = 32

#: Asks whether there is each entry from the first to the last, once.
WITHOUT_GAP = "SELECT coalesce(sum(last - first + 1), 0) = coalesce(max(last), 0) FROM page"

#: The first and the last entry of each of some pages.
Bounds = Iterable[tuple[int, int]]

_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_NONE = Raw(b"null")


class _Row(Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """An L{Entry} on a page."""

    seq: _Int64
    time_ms: _Int64
    event: str
    type: _Int64
    group: str
    login: _Int64
    order: _Int64
    balance: _Int64
    credit: _Int64
    principal: str
    key: str | None
    fingerprint: str | None
    data: Raw
    record: Raw = _NONE


_ENCODE = msgspec.json.Encoder().encode
_ROW = msgspec.json.Decoder(_Row).decode
_ROWS = msgspec.json.Decoder(list[_Row]).decode
_PAGES = msgspec.json.Decoder(list[list[_Row]]).decode
_UNREAD = msgspec.json.Decoder(list[list[Raw]]).decode


def pack(entries: Sequence[Entry]) -> list[tuple[int, int, str]]:
    """
    The pages that these entries make: the last, the first, and all of them as JSON.

    @raise ValueError: if they do not follow one another, or one could not be read again as it is.
    """
    return [_pack(entries[at : at + ENTRIES_MAX]) for at in range(0, len(entries), ENTRIES_MAX)]


def _pack(entries: Sequence[Entry]) -> tuple[int, int, str]:
    first, last = entries[0].seq, entries[-1].seq
    try:
        text = _ENCODE([_fields(entry) for entry in entries])
        # A page that cannot be read would cost all that follows, so there never is one. That includes what the columns
        # of a table would check: the type of each field, and the range of integers.
        rows = _ROWS(text)
        _checkNumbers(first, last, rows)
        if [row.record is _NONE for row in rows] != [entry.record is None for entry in entries]:
            raise ValueError("what is to be one JSON value is two")
    except (msgspec.MsgspecError, TypeError, AttributeError, OverflowError) as e:
        raise ValueError(str(e)) from e
    return last, first, text.decode()


# Here and where entries are made of rows: to take all fields apart at once and to name each is the fastest way.
def _fields(entry: Entry) -> tuple[Any, ...]:
    seq, ms, event, type, group, login, order, balance, credit, who, key, asked, data, record = astuple(entry)
    asked = None if asked is None else asked.hex()
    data = Raw(data.encode())
    if record is None:
        return seq, ms, event, type, group, login, order, balance, credit, who, key, asked, data
    record = Raw(record.encode())
    return seq, ms, event, type, group, login, order, balance, credit, who, key, asked, data, record


def unpack(bounds: Bounds, pages: bytes) -> list[Entry]:
    """
    The entries on some pages.

    @param pages: the pages, as one JSON array.
    @raise ValueError: if it is not what L{pack} makes.
    """
    rows: list[_Row] = []
    try:
        for (first, last), page in zip(bounds, _PAGES(pages), strict=True):
            _checkNumbers(first, last, page)
            rows += page
        return _entries(rows)
    except msgspec.MsgspecError as e:
        raise ValueError(str(e)) from e


def chosen(seqs: Collection[int], bounds: Bounds, pages: bytes) -> list[Entry]:
    """The same of those entries that are named, in order; the others are passed over unread."""
    wanted = sorted(set(seqs))
    rows: list[_Row] = []
    try:
        for (first, last), page in zip(bounds, _UNREAD(pages), strict=True):
            for seq in wanted[bisect_left(wanted, first) : bisect_right(wanted, last)]:
                row = _ROW(page[seq - first])
                _checkNumbers(seq, seq, [row])
                rows.append(row)
        return _entries(rows)
    except (msgspec.MsgspecError, IndexError) as e:
        raise ValueError(str(e)) from e


def _checkNumbers(first: int, last: int, rows: Sequence[_Row]) -> None:
    # The length first: of a number that is damaged no list is made.
    if len(rows) != last - first + 1 or [row.seq for row in rows] != list(range(first, last + 1)):
        raise ValueError("the entries on it are not numbered like that")


def _entries(rows: Iterable[_Row]) -> list[Entry]:
    entries = []
    for row in rows:
        seq, ms, event, type, group, login, order, balance, credit, who, key, asked, data, record = astuple(row)
        asked = None if asked is None else bytes.fromhex(asked)
        data = Json(data, "utf-8")
        record = None if record is _NONE else Json(record, "utf-8")
        entries.append(Entry(seq, ms, event, type, group, login, order, balance, credit, who, key, asked, data, record))
    return entries
