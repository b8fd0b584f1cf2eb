"""What a client means to do, on the disk before the first byte of it is sent, so that it outlives the caller.

One SQLite file (WAL, C{synchronous=FULL}): it takes care of torn writes, of what is done with and of the lock, which
a file to append to would leave to us; and it can be read by people::

    sqlite3 outbox "SELECT datetime(made, 'unixepoch'), command, key, data FROM intent WHERE outcome IS NULL"

An outbox belongs to one caller, for so do the keys in it: what another has begun would be booked a second time. One
client has a file at a time. It has it in a thread of its own, so that no loop waits for the disk, and all that is
waiting becomes durable together: one fsync for many intents. What is done is kept for a while, to be looked at.

The connection lives in that thread's frame and nowhere else: a process that is forked off must never close it, for
what SQLite does then is not for two, and a thread that the fork left behind never lets go of anything.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Union

from msgspec import Struct

from .asking import Intent
from .errors import ClientError, OutboxInUse

__all__ = ["DONE_MAX", "Kept", "Outbox", "OutboxFile"]

#: How many of those that are done are kept to be looked at.
DONE_MAX = 1000
#: How long an outcome that nobody waits for may wait for the next intent, in seconds.
WAIT_S = 0.2

_APPLICATION = 0x73636F62
_SCHEMA = """
CREATE TABLE intent (
    row INTEGER PRIMARY KEY,
    made REAL NOT NULL,     -- unix seconds
    command TEXT NOT NULL,
    key TEXT NOT NULL,      -- its idempotency_key
    data TEXT NOT NULL,     -- JSON, as it is sent
    outcome TEXT,           -- NULL: not certain yet
    caller TEXT             -- whose key it is. NULL: nobody noted it
);
CREATE INDEX done ON intent (row) WHERE outcome IS NOT NULL;
"""

#: An intent to be kept: command, key, data, caller.
Kept = tuple[str, str, str, str]


class OutboxFile:
    """
    The file. Every method blocks.

    @raise OutboxInUse: if another client has it.
    @raise OSError: if it cannot be opened.
    @raise ClientError: if it is something else.
    """

    def __init__(self, path: Path) -> None:
        fresh = _create(path)
        self._path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=0)
        except sqlite3.Error as e:
            raise ClientError(f"{path} cannot be used as an outbox: {e}") from None
        try:
            self._take(fresh)
            (last,) = self._connection.execute("SELECT coalesce(max(row), 0) FROM intent").fetchone()
        except sqlite3.Error as e:
            self._connection.close()
            if "locked" in str(e):
                raise OutboxInUse(f"the outbox {path} is in use by another client; each needs one of its own") from None
            raise ClientError(f"{path} cannot be used as an outbox: {e}") from None
        except ClientError:
            self._connection.close()
            raise
        self._row: int = last

    def _take(self, fresh: bool) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        # Takes the lock, for as long as it is open.
        execute("BEGIN EXCLUSIVE")
        (application,) = execute("PRAGMA application_id").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application == 0 and tables == 0:
            for statement in _SCHEMA.split(";")[:-1]:
                execute(statement)
            execute(f"PRAGMA application_id = {_APPLICATION}")
        elif application != _APPLICATION:
            raise ClientError(f"{self._path} is a database, but no outbox")
        elif not execute("SELECT count(*) FROM pragma_table_info('intent') WHERE name = 'caller'").fetchone()[0]:
            # It is of before callers were noted.
            execute("ALTER TABLE intent ADD COLUMN caller TEXT")
        execute("COMMIT")
        if fresh:
            _syncFolder(self._path.parent)

    def unfinished(self) -> list[Intent]:
        """What is not certain yet, oldest first."""
        rows = self._connection.execute(
            "SELECT row, command, key, data, made, caller FROM intent WHERE outcome IS NULL ORDER BY row"
        )
        return [Intent(*row) for row in rows]

    def write(self, intents: Sequence[Kept], settled: Sequence[tuple[int, str]]) -> list[int]:
        """
        Keep intents, and what became of others (row, outcome); all of it is durable, or none.

        @return: the rows of the intents.
        @raise sqlite3.Error: if it cannot be kept.
        """
        rows = list(range(self._row + 1, self._row + 1 + len(intents)))
        now = time.time()
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(
                "INSERT INTO intent (row, made, command, key, data, caller) VALUES (?, ?, ?, ?, ?, ?)",
                [(row, now, *intent) for row, intent in zip(rows, intents, strict=True)],
            )
            connection.executemany(
                "UPDATE intent SET outcome = ? WHERE row = ?", [(outcome, row) for row, outcome in settled]
            )
            if settled:
                connection.execute(
                    "DELETE FROM intent WHERE outcome IS NOT NULL AND row <= (SELECT row FROM intent "
                    "WHERE outcome IS NOT NULL ORDER BY row DESC LIMIT 1 OFFSET ?)",
                    (DONE_MAX,),
                )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._row += len(rows)
        return rows

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


def _create(path: Path) -> bool:
    """Make the file if it is not there, for its owner alone: what is in it is about money."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        # It must not even be opened: to close it would let go of what another client of this process has locked.
        return False
    return True


def _syncFolder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class _Keep(Struct, frozen=True):
    intents: list[Kept]
    done: Callable[[list[int] | Exception], None]


class _Settle(Struct, frozen=True):
    settled: list[tuple[int, str]]
    done: Callable[[Exception | None], None]
    canWait: bool


class _Look(Struct, frozen=True):
    done: Callable[[list[Intent] | Exception], None]


class _Stop(Struct, frozen=True):
    done: Callable[[None], None]


_Work = Union[_Keep, _Settle, _Look, _Stop]


class Outbox:
    """
    The file in its thread. Nothing here blocks; what is done is told in the caller's own thread, in the
    order in which it was given.

    @param tell: calls what it is given, with its argument, in the caller's thread.
    @param opened: is told what was in it that is not certain, before anything is put into it; or why it cannot be had.
    """

    def __init__(
        self, path: Path, tell: Callable[..., object], opened: Callable[[list[Intent] | Exception], None]
    ) -> None:
        self._work: SimpleQueue[_Work] = SimpleQueue()
        arguments = path, self._work, tell, opened
        self._thread = Thread(target=_run, args=arguments, name="scalemgr outbox", daemon=True)
        self._thread.start()

    def look(self, done: Callable[[list[Intent] | Exception], None]) -> None:
        """What is in it that is not certain, or why that cannot be told."""
        self._work.put(_Look(done))

    def keep(self, intents: list[Kept], done: Callable[[list[int] | Exception], None]) -> None:
        """Keep intents; C{done} is told their rows once they are durable, or why they are not."""
        self._work.put(_Keep(intents, done))

    def settle(
        self, settled: list[tuple[int, str]], done: Callable[[Exception | None], None], *, canWait: bool
    ) -> None:
        """
        Note outcomes (row, outcome).

        @param done: is told once they are durable, or why they are not.
        @param canWait: has it time for a moment, for what else there may be to write?
        """
        self._work.put(_Settle(settled, done, canWait))

    def stop(self, stopped: Callable[[None], None]) -> None:
        """Let go of the file, when all that was given so far is done, and tell."""
        self._work.put(_Stop(stopped))


def _run(
    path: Path,
    queue: SimpleQueue[_Work],
    tell: Callable[..., object],
    opened: Callable[[list[Intent] | Exception], None],
) -> None:
    file: OutboxFile | None = None
    why: Exception | None = None
    try:
        file = OutboxFile(path)
    except Exception as e:
        # Whatever it is: without this thread, those who ask would wait for ever.
        why = e
    tell(opened, _unfinished(file, why))
    stop: _Stop | None = None
    while stop is None:
        work = _all(queue)
        stop = next((item for item in work if isinstance(item, _Stop)), None)
        for done, result in _results(file, why, work):
            tell(done, result)
    if file is not None:
        file.close()
    tell(stop.done, None)


def _all(queue: SimpleQueue[_Work]) -> list[_Work]:
    """All that is waiting; at least one. If that can wait, with what comes next, if that is soon: one fsync less."""
    work = [queue.get()]
    with suppress(Empty):
        while True:
            work.append(queue.get_nowait())
    if all(isinstance(item, _Settle) and item.canWait for item in work):
        with suppress(Empty):
            work.append(queue.get(timeout=WAIT_S))
    return work


def _results(
    file: OutboxFile | None, why: Exception | None, work: list[_Work]
) -> Iterator[tuple[Callable[[Any], None], object]]:
    """Do what there is, all that is written at once, and what each is to be told."""
    rows: Iterator[int] = iter(())
    if file is not None:
        intents = [intent for item in work if isinstance(item, _Keep) for intent in item.intents]
        settled = [outcome for item in work if isinstance(item, _Settle) for outcome in item.settled]
        try:
            rows = iter(file.write(intents, settled) if intents or settled else ())
        except Exception as e:
            # Not only what SQLite says: there are texts that it cannot be given.
            why = e
    for item in work:
        if isinstance(item, _Keep):
            yield item.done, why or list(islice(rows, len(item.intents)))
        elif isinstance(item, _Settle):
            yield item.done, why
        elif isinstance(item, _Look):
            yield item.done, _unfinished(file, why)


def _unfinished(file: OutboxFile | None, why: Exception | None) -> list[Intent] | Exception:
    if file is None:
        assert why is not None
        return why
    try:
        return file.unfinished()
    except Exception as e:
        return e
