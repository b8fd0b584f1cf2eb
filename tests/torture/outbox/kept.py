"""What is in the outbox of a client that is gone, without touching it."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from msgspec import Struct

__all__ = ["Kept", "kept"]


class Kept(Struct, frozen=True):
    """
    By key.

    @ivar all: also what is certain, unless that was long ago.
    @ivar unfinished: what is not certain, oldest first.
    """

    all: frozenset[str]
    unfinished: list[str]


def kept(outbox: Path) -> Kept:
    """
    Looks at a copy: whoever opens the file itself does to it what the next client is to do.

    @raise sqlite3.Error: if it is damaged.
    """
    with tempfile.TemporaryDirectory(dir=outbox.parent) as folder:
        for path in outbox.parent.glob(f"{outbox.name}*"):
            if path.name in (outbox.name, f"{outbox.name}-wal"):
                shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / outbox.name)) as copy:
            (found,) = copy.execute("PRAGMA integrity_check").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(f"the outbox is damaged: {found}")
            if not copy.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                return Kept(frozenset(), [])
            rows = copy.execute("SELECT key, outcome FROM intent ORDER BY row").fetchall()
    return Kept(frozenset(key for key, _ in rows), [key for key, outcome in rows if outcome is None])
