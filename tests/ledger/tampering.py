"""Change the log behind the ledger's back, entry by entry, leaving pages that are sound in themselves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import fields

from scalemgr.finance.records import Entry

from .helpers import sql

__all__ = ["change", "eachAlone", "remove"]

_PLACE = {field.name: place for place, field in enumerate(fields(Entry))}


def eachAlone(path: Path) -> None:
    """Keep each entry on a page of its own."""
    with closing(sqlite3.connect(path)) as connection, connection:
        pages = connection.execute("SELECT first, entries FROM page").fetchall()
        connection.execute("DELETE FROM page")
        for first, page in pages:
            for seq, entry in enumerate(msgspec.json.decode(page, type=list[Raw]), first):
                connection.execute("INSERT INTO page VALUES (?, ?, ?)", (seq, seq, f"[{bytes(entry).decode()}]"))


def remove(path: Path, seq: int) -> None:
    """Take an entry out."""
    eachAlone(path)
    sql(path, f"DELETE FROM page WHERE last = {seq}")


def change(path: Path, seq: int, **changes: Any) -> None:
    """Change fields of an entry; C{data} is given as what it says."""
    eachAlone(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        (page,) = connection.execute("SELECT entries FROM page WHERE last = ?", (seq,)).fetchone()
        (entry,) = msgspec.json.decode(page, type=list[list[Raw]])
        for name, value in changes.items():
            entry[_PLACE[name]] = Raw(msgspec.json.encode(value))
        page = msgspec.json.encode([entry]).decode()
        connection.execute("UPDATE page SET entries = ? WHERE last = ?", (page, seq))
