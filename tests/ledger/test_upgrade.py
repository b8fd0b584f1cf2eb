"""A log as it was before there were pages is opened, and is the same log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import astuple, replace

from scalemgr.finance.records import Entry
from scalemgr.ledger import database
from scalemgr.ledger.audit import verify
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.ledger.log import SqliteLog
from scalemgr.wire.messages import Json, encode

from .helpers import commit, deposit, dump, opened, sql
from .scribe import Scribe

_SCHEMA = (Path(database.__file__).parent / "schema" / "log" / "001.sql").read_text("utf-8")
_APPLICATION_ID = 0x7363616C


def oldLog(path: Path, entries: list[Entry]) -> None:
    """Make one."""
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(f"PRAGMA journal_mode=WAL; {_SCHEMA}")
        connection.execute("INSERT INTO ledger VALUES (1, 'an old epoch', 1, 78)")
        marks = ", ".join("?" * len(Entry.__struct_fields__))
        connection.executemany(f"INSERT INTO entry VALUES ({marks})", map(astuple, entries))
        connection.execute("PRAGMA user_version=1")
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")


def strange(seq: int, **more: Any) -> Entry:
    """An entry of what is hard to keep."""
    data = Json('{"a":250.0,"b":1e5,"c":[1.10,-0.0],"d":"\\u0027\\u002c} \\/ \\" \\\\","d":{}}')
    text = "'\"\\/\b\n\x00\x1f\x7f\x85é\u2028😀"
    top = 2**63 - 1
    entry = Entry(
        seq, top, text, -1, text, top, top, -(2**63), top, text, text, bytes(range(256)), data, encode({"t": text})
    )
    return replace(entry, **more)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 200])
def test_same_entries(tmp_path: Path, count: int) -> None:
    """Every entry is read as it was kept, byte for byte."""
    changes: list[dict[str, Any]] = [
        {},
        {"key": None, "fingerprint": None, "record": None},
        {"key": "", "fingerprint": b"", "record": Json("{}")},
        {"time_ms": 0, "login": 0, "data": encode({"text": "é😀', }"})},
    ]
    entries = [strange(seq, **changes[seq % 4]) for seq in range(1, count + 1)]
    oldLog(tmp_path / "log.db", entries)
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        assert log.epoch == "an old epoch"
        assert log.head() == count
        assert log.read(0, 1000) == entries
        assert log.at(range(count + 1)) == entries
        assert log.reserveOrders(1) == 78
        # It goes on where it was.
        log.append([strange(count + 1), strange(count + 2)])
        assert log.read(0, 1000) == [*entries, strange(count + 1), strange(count + 2)]


def test_whole_ledger(folder: Path) -> None:
    """A ledger with something of everything opens, nothing is found in it, and it goes on; its epoch is the same."""
    scribe = Scribe(says=True).story()
    oldLog(folder / "log.db", scribe.entries)
    with opened(folder) as ledger:
        assert ledger.epoch == "an old epoch"
        assert ledger.entries(0, 1000) == scribe.entries
        (entry,) = commit(ledger, deposit(ledger.reserveOrders(1)))
        assert entry.seq == len(scribe.entries) + 1
    assert verify(folder).differences == []
    assert [name for (name,) in sql(folder / "log.db", "SELECT name FROM sqlite_schema WHERE type = 'table'")] == [
        "ledger",
        "page",
    ]


def test_gap_stays(folder: Path) -> None:
    """A log that lacks entries is still refused when it is in pages, and nothing else is lost by it."""
    scribe = Scribe(says=True).story()
    oldLog(folder / "log.db", [entry for entry in scribe.entries if entry.seq not in (5, 6)])
    with pytest.raises(LedgerRefused, match="damaged"), opened(folder):
        pass
    kept = [seq for (seq,) in sql(folder / "log.db", "SELECT seq FROM entry")]
    assert kept == [entry.seq for entry in scribe.entries if entry.seq not in (5, 6)]


@pytest.mark.parametrize("wrong", ["", "{", "nan", "{},{}]"])
def test_what_is_no_json(folder: Path, wrong: str) -> None:
    """A log with something in it that no page can have is refused, and stays as it was."""
    oldLog(folder / "log.db", [strange(1), strange(2, data=Json(wrong)), strange(3)])
    before = dump(folder / "log.db")
    with pytest.raises(LedgerRefused, match=r"log\.db: NOT NULL constraint failed: page\.entries"), opened(folder):
        pass
    assert dump(folder / "log.db") == before
