"""One SQLite file, opened the one way we open them.

A file has a kind (C{log} or C{views}) with a folder of numbered schemas, C{schema/<kind>/001.sql} and up:
C{PRAGMA user_version} says which was applied last, and opening applies those that follow, each in a
transaction of its own. A file that is newer than the code is refused.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from .errors import LedgerRefused

__all__ = ["connect", "schemaVersion", "snapshot", "transaction"]

# "scal" and "scav", so that file(1) and a careful person can tell these files from others.
_APPLICATION_ID = {"log": 0x7363616C, "views": 0x73636176}
# In bytes, of a new file. Larger pages take less to fold a large batch into.
_PAGE_SIZE = {"log": 4096, "views": 8192}
_SYNCHRONOUS = {"NORMAL": 1, "FULL": 2}


def connect(path: Path | str, kind: str, *, synchronous: str = "FULL", readOnly: bool = False) -> sqlite3.Connection:
    """
    Open a database, and bring its schema up to date unless it is opened to read only.

    The connection is in autocommit mode (use L{transaction}) and may be handed from thread to thread, but
    used by one at a time.

    @param path: the file, or C{":memory:"}.
    @param synchronous: C{"FULL"}, a commit is on the disk when it returns, or C{"NORMAL"}, it is
        on the disk soon, and never half.
    @raise LedgerRefused: if it is of another kind or newer than this code.
    """
    mode = "ro" if readOnly else "rwc"
    target = str(path) if path == ":memory:" else f"{Path(path).absolute().as_uri()}?mode={mode}"
    if path != ":memory:" and not readOnly:
        # For its owner only, whatever the folder allows; what SQLite keeps beside it follows.
        try:
            # Only if it is new: to close any descriptor of a file drops the locks that SQLite has on it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            pass
        except OSError as e:
            raise LedgerRefused(f"{path} cannot be written: {e.strerror}") from e
    connection = sqlite3.connect(
        target, uri=path != ":memory:", isolation_level=None, check_same_thread=False, timeout=10
    )
    try:
        # Before anything is written: it may be somebody else's.
        _identify(connection, path, kind)
        if path != ":memory:" and not readOnly:
            connection.execute(f"PRAGMA page_size={_PAGE_SIZE[kind]}")
            _demand(connection, "journal_mode", "WAL", "wal")
        _demand(connection, "synchronous", synchronous, _SYNCHRONOUS[synchronous])
        _upgrade(connection, path, kind, readOnly)
    except BaseException:
        connection.close()
        raise
    return connection


def _demand(connection: sqlite3.Connection, pragma: str, value: str, expected: object) -> None:
    """Set something that SQLite may silently decline, and make sure."""
    connection.execute(f"PRAGMA {pragma}={value}").fetchall()
    (got,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    if got != expected:
        raise LedgerRefused(f"SQLite will not use {pragma}={value} here (it says {got!r}); is this a network disk?")


def _identify(connection: sqlite3.Connection, path: Path | str, kind: str) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != _APPLICATION_ID[kind] and (application or tables):
        raise LedgerRefused(f"{path} is not a file of scalemgr, or not one of the kind {kind!r}")


def _upgrade(connection: sqlite3.Connection, path: Path | str, kind: str, readOnly: bool) -> None:
    schemas = _schemas(kind)
    version = schemaVersion(connection)
    if version > len(schemas):
        raise LedgerRefused(
            f"{path} has version {version} of the {kind} schema, and this scalemgr knows up to {len(schemas)}; "
            "it was written by a newer one"
        )
    if kind == "views" and 0 < version < len(schemas):
        # What was projected into an older shape is not in the new one.
        raise LedgerRefused(f"{path} has an older views schema")
    if readOnly and version < len(schemas):
        raise LedgerRefused(f"{path} has an older {kind} schema; start the daemon once to upgrade it")
    for number, schema in enumerate(schemas[version:], version + 1):
        with transaction(connection):
            # Not executescript(), which would commit first.
            for statement in _statements(schema):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={number}")
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID[kind]}")


def schemaVersion(connection: sqlite3.Connection) -> int:
    """The number of the last schema that was applied; 0 for a new file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _schemas(kind: str) -> list[str]:
    folder = files(__package__) / "schema" / kind
    found = sorted((f.name, f) for f in folder.iterdir() if f.name.endswith(".sql"))
    assert [name for name, _ in found] == [f"{n:03}.sql" for n in range(1, len(found) + 1)], found
    return [f.read_text("utf-8") for _, f in found]


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip(), f"a schema ends in the middle of {statement!r}"


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction: committed at the end, rolled back if anything is raised, C{COMMIT} included."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """A read transaction: all that is read in it is as of one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        # Some failures end it by themselves.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
