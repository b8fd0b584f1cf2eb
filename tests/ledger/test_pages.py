"""The log in pages: what is kept is read again as it was, any part of it, and what is damaged is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from scalemgr.finance.records import TRADE_EVENT, Entry
from scalemgr.ledger.log import SqliteLog
from scalemgr.ledger.pages import ENTRIES_MAX, pack, unpack
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed
from scalemgr.wire.messages import Json, encode

from .helpers import commit, deposit, made, opened, populate, sql

INTEGERS = st.integers(-(2**63), 2**63 - 1)
# Any text that UTF-8 has, control characters and NUL among it.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
OBJECTS = st.dictionaries(TEXT, TEXT | INTEGERS | st.floats(allow_nan=False, allow_infinity=False)).map(encode)
LAST = 2 * ENTRIES_MAX + 5


def entry(seq: int = 1, **more: Any) -> Entry:
    """An entry like any other."""
    plain = Entry(
        seq, 1000 + seq, TRADE_EVENT, 0, "demo", 1001, seq, 100, 0, "crm", None, None, Json(f'{{"order":{seq}}}')
    )
    return replace(plain, **more)


ENTRIES = st.builds(
    entry,
    time_ms=INTEGERS,
    event=TEXT,
    type=INTEGERS,
    group=TEXT,
    login=INTEGERS,
    order=INTEGERS,
    balance=INTEGERS,
    credit=INTEGERS,
    principal=TEXT,
    key=st.none() | TEXT,
    fingerprint=st.none() | st.binary(),
    data=OBJECTS,
    record=st.none() | OBJECTS,
)


@given(st.lists(ENTRIES, max_size=3), st.integers(1, 2**63 - 4))
def test_any_entry(entries: list[Entry], first: int) -> None:
    """Whatever an entry is, it is read again as it was, byte for byte and type for type."""
    entries = [replace(one, seq=seq) for seq, one in enumerate(entries, first)]
    read = [one for last, first, page in pack(entries) for one in unpack([(first, last)], f"[{page}]".encode())]
    assert read == entries
    assert [type(one.data) for one in read] == [Json] * len(entries)


@pytest.mark.parametrize(
    "data",
    ['{"a":250.0}', '{"a":1e5,"b":1.10}', '{ "a" : [1, 2] }', '{"a":"\\u0027\\/"}', '{"a":1,"a":2}', '"a"', "null"],
)
def test_data_as_it_was(data: str) -> None:
    """What was sent is kept as it was sent, however else it could be written."""
    kept = entry(data=Json(data), record=Json(data))
    [(_, _, page)] = pack([kept])
    assert f",{data},{data}]" in page
    assert unpack([(1, 1)], f"[{page}]".encode()) == [kept]


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "half \ud800"},
        {"data": Json('"\ud800"')},
        {"order": 2**63},
        {"credit": -(2**63) - 1},
        {"balance": 2**70},
        {"balance": 1.5},
        {"balance": True},
        {"login": None},
        {"key": 7},
        {"group": None},
        {"fingerprint": "text"},
        {"data": None},
        {"data": Json("")},
        {"data": Json("{")},
        {"data": Json('{"a":nan}')},
        {"data": Json("{},{}")},
        {"data": Json("{}],[{}")},
        {"record": Json("None")},
    ],
    ids=str,
)
def test_cannot_be_kept(folder: Path, wrong: dict[str, Any]) -> None:
    """An entry that could not be read again is refused, with its whole batch, and the next batch is kept."""
    with opened(folder) as ledger:
        populate(ledger)
        with pytest.raises(LedgerFailed, match="cannot keep this") as failed:
            ledger._append([entry(5), entry(6, **wrong)])
        assert failed.value.details["outcome"] == "void"
        assert len(ledger.entries(0, 100)) == 4
        commit(ledger, deposit(1))
        assert len(ledger.entries(0, 100)) == 6


@pytest.mark.parametrize("seqs", [(5, 7), (6, 5), (5, 5), (6, 7), (4, 5), (-3, -2)])
def test_not_the_next(folder: Path, seqs: tuple[int, int]) -> None:
    """What does not follow the last entry, one by one, is not kept."""
    made(folder)
    with closing(SqliteLog(folder / "log.db")) as log:
        with pytest.raises((ValueError, sqlite3.IntegrityError)):
            log.append([entry(seq) for seq in seqs])
        assert log.head() == 4
        assert len(log.read(0, 100)) == 4


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    """A log whose pages are of one entry and up, of which some begin in the middle of nothing round."""
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        seq = 0
        for count in (1, 2, 1, ENTRIES_MAX, 1, ENTRIES_MAX + 3, 1):
            log.append([_keyedOrNot(s) for s in range(seq + 1, seq + count + 1)])
            seq += count
        yield log


def _keyedOrNot(seq: int) -> Entry:
    # Every third has a key; the times go up and down.
    return entry(seq, key=f"k{seq}" if seq % 3 == 0 else None, time_ms=seq - seq % 4 * 5)


def test_any_part(log: SqliteLog) -> None:
    """From any entry on, as many as are asked for, and no more than there are."""
    everything = log.read(0, 1000)
    last = log.head()
    assert [one.seq for one in everything] == list(range(1, last + 1))
    for after in range(last + 2):
        for limit in (0, 1, 2, 3, ENTRIES_MAX, last, 10**9):
            assert log.read(after, limit) == everything[after : after + limit]
        assert [one for page in log.pages(after) for one in page] == everything[after:]


def test_these(log: SqliteLog) -> None:
    """Single entries are found wherever they are, each once, in order; what does not exist is passed over."""
    everything = log.read(0, 1000)
    random = Random(7)
    for one in everything:
        assert log.at([one.seq]) == [one]
    for _ in range(50):
        seqs = [random.randrange(-3, log.head() + 5) for _ in range(random.randrange(20))]
        assert log.at(seqs) == [one for one in everything if one.seq in seqs]


def test_older_than(log: SqliteLog) -> None:
    """How far keys are older than a time is what looking at each entry in turn says."""
    everything = log.read(0, 1000)
    for after in (0, 1, 4, ENTRIES_MAX, log.head()):
        keyed = [one for one in everything[after:] if one.key is not None]
        for beforeMs in range(-20, log.head() + 2, 3):
            for limit in (0, 1, 3, 1000):
                upTo = after
                for one in keyed[:limit]:
                    if one.time_ms >= beforeMs:
                        break
                    upTo = one.seq
                assert log.olderThan(beforeMs, after, limit) == upTo


DAMAGE = [
    "entries = ''",
    "entries = '[]'",
    "entries = 'null'",
    "entries = substr(entries, 2)",
    "entries = replace(entries, 'demo', 'de\"mo')",
    "entries = replace(entries, '100', '100.5')",
    "entries = replace(entries, '\"crm\"', 'null')",
    "entries = replace(entries, ',null,null', ',null,\"xy\"')",
    "entries = replace(entries, ',null,null', ',null')",
    "entries = json_remove(entries, '$[3]')",
    "entries = json_set(entries, '$[3][0]', 1)",
    "entries = json_set(entries, '$[3][0]', 99, '$[4][0]', 8)",
    "entries = CAST(x'5bff5d' AS TEXT)",
    "first = 6",
    "first = 4",
    "first = -9223372036854775808",
    "last = last - 1",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_page(log: SqliteLog, tmp_path: Path, damage: str) -> None:
    """A page that is not what was written is found, and named; what is before it can be read, and nothing after it."""
    everything = log.read(0, 1000)
    sql(tmp_path / "log.db", f"UPDATE page SET {damage} WHERE first = 5")
    (named,) = sql(tmp_path / "log.db", "SELECT first, last FROM page ORDER BY last LIMIT 1 OFFSET 3")
    assert log.read(0, 1000) == everything[:4]
    for after in (4, 10):
        with pytest.raises(ValueError, match="the page of the entries {} to {} is damaged".format(*named)):
            log.read(after, 1000)
    with pytest.raises(ValueError, match="damaged"):
        list(log.pages(0))
    with pytest.raises(ValueError):
        log.olderThan(10**9, 4, 1000)


def test_damaged_entry(log: SqliteLog, tmp_path: Path) -> None:
    """An entry that is asked for by its number and is another one is not given out."""
    sql(tmp_path / "log.db", "UPDATE page SET entries = json_set(entries, '$[3][0]', 7) WHERE first = 5")
    assert [one.seq for one in log.at([7, 9])] == [7, 9]
    for seqs in ([8], [7, 8, 9]):
        with pytest.raises(ValueError, match="numbered"):
            log.at(seqs)


def test_wide_gap(log: SqliteLog, tmp_path: Path) -> None:
    """However many entries are missing, what follows them is read, so that a gap is never taken for the end."""
    sql(tmp_path / "log.db", f"DELETE FROM page WHERE first > 1 AND last < {log.head()}")
    assert [one.seq for one in log.read(1, 2)] == [log.head()]
    assert [one.seq for one in log.read(0, 1)] == [1]
    assert [[one.seq for one in page] for page in log.pages(1)] == [[log.head()]]


def test_view_for_people(folder: Path) -> None:
    """What an operator's SELECT finds is what the log has."""
    with opened(folder) as ledger:
        commit(populate(ledger), deposit(1), deposit(2, 7, 1002))
        kept = ledger.entries(0, 100)
    names = ", ".join(f'"{name}"' for name in Entry.__struct_fields__)
    rows = sql(folder / "log.db", f"SELECT {names} FROM entry")
    found = [Entry(*row[:11], row[11] and bytes.fromhex(row[11]), *row[12:]) for row in rows]
    assert found == kept


def test_refused_by_verify_and_start(folder: Path) -> None:
    """A damaged page is told from the rest at a start and by an audit, with its entries."""
    from scalemgr.ledger.audit import verify
    from scalemgr.ledger.errors import LedgerRefused

    made(folder, 1, 2, 3)
    (folder / "book.snapshot").unlink()
    sql(folder / "log.db", "UPDATE page SET entries = replace(entries, '0.06', '0,06') WHERE first = 5")
    said = "the page of the entries 5 to 10 is damaged: "
    assert any(line.startswith(f"log.db: {said}") for line in verify(folder).differences)
    with pytest.raises(LedgerRefused, match=f"damaged after entry 4: {said}"):
        SqliteLedger(folder).open(0)


def test_large_entries(log: SqliteLog) -> None:
    """Of entries that are large, fewer are read at a time, but always some; and all of them in the end."""
    everything = log.read(0, 1000)
    turned = []
    for most in (1, 500, 10**9):
        at, turns = 0, 0
        found: list[Entry] = []
        while page := log.read(at, 1000, most):
            found += page
            at = page[-1].seq
            turns += 1
        assert found == everything
        turned.append(turns)
    assert turned[0] > turned[1] > turned[2] == 1
