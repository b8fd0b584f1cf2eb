"""One SQLite file: what it is opened with, who is refused, and how its schema grows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shutil import copytree

import pytest

from scalemgr.ledger import database
from scalemgr.ledger.database import connect, schemaVersion, transaction
from scalemgr.ledger.errors import LedgerRefused

from .helpers import dump, made, opened, rightViews, sql

SCHEMAS = Path(database.__file__).parent / "schema"


@pytest.fixture
def addSchema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Call it with a script to have one schema more, of the log unless it says otherwise."""

    def add(script: str, kind: str = "log") -> None:
        copytree(SCHEMAS, tmp_path / "newer" / "schema")
        folder = tmp_path / "newer" / "schema" / kind
        (folder / f"{len(list(folder.iterdir())) + 1:03}.sql").write_text(script)
        monkeypatch.setattr(database, "files", lambda package: tmp_path / "newer")

    return add


@pytest.mark.parametrize(("synchronous", "number"), [("FULL", 2), ("NORMAL", 1)])
def test_settings_in_force(tmp_path: Path, synchronous: str, number: int) -> None:
    """A connection has write-ahead logging and the durability that was asked for, new or opened again."""
    for _ in range(2):
        with closing(connect(tmp_path / "a.db", "log", synchronous=synchronous)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (number,)


@pytest.mark.parametrize("kind", ["log", "views"])
def test_ours(tmp_path: Path, kind: str) -> None:
    """A new file is at the last schema's version, says whose it is, and is left alone when opened again."""
    connect(tmp_path / "a.db", kind).close()
    before = dump(tmp_path / "a.db")
    assert before[0] == len(list((SCHEMAS / kind).glob("*.sql")))
    assert before[1] != 0
    connect(tmp_path / "a.db", kind).close()
    assert dump(tmp_path / "a.db") == before


def test_log_has_no_index(tmp_path: Path) -> None:
    """Nothing but the append to a table stands between a deposit and its answer: the log has no index."""
    with closing(connect(tmp_path / "log.db", "log")) as connection:
        rows = connection.execute("SELECT name, type, sql FROM sqlite_schema").fetchall()
        assert {name for name, type, _ in rows if type == "table"} == {"page", "ledger"}
        assert [(name, type) for name, type, _ in rows if type != "table"] == [("entry", "view")]
        # An INTEGER PRIMARY KEY is the table itself; any other key of a table would be an index.
        for table in ("page", "ledger"):
            assert connection.execute("SELECT * FROM pragma_index_list(?)", (table,)).fetchall() == []


@pytest.mark.parametrize("name", ["a?mode=memory", "50% #1.db", "täglich"])
def test_any_file_name(tmp_path: Path, name: str) -> None:
    """The file that is opened is the one that was named, whatever its name means in a URL."""
    connect(tmp_path / name, "log").close()
    assert [f.name for f in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("readOnly", [False, True])
@pytest.mark.parametrize(("is_", "wanted"), [("log", "views"), ("views", "log")])
def test_other_kind_refused(tmp_path: Path, is_: str, wanted: str, readOnly: bool) -> None:
    """A file of ours of the other kind is refused, and stays byte for byte as it is."""
    path = tmp_path / "a.db"
    connect(path, is_).close()
    before = path.read_bytes()
    with pytest.raises(LedgerRefused, match=f"not one of the kind '{wanted}'"):
        connect(path, wanted, readOnly=readOnly)
    assert path.read_bytes() == before


@pytest.mark.parametrize("readOnly", [False, True])
def test_newer_refused(tmp_path: Path, readOnly: bool) -> None:
    """A file that a newer version wrote is refused, saying so, and stays as it is."""
    path = tmp_path / "log.db"
    connect(path, "log").close()
    sql(path, "PRAGMA user_version=99")
    before = dump(path)
    with pytest.raises(LedgerRefused, match=r"log\.db has version 99 .* newer"):
        connect(path, "log", readOnly=readOnly)
    assert dump(path) == before


def test_newer_log_refused(tmp_path: Path) -> None:
    """A ledger whose log is newer than the code is not opened, and can be once the code is there."""
    made(tmp_path, 100)
    (version,) = sql(tmp_path / "log.db", "PRAGMA user_version")[0]
    sql(tmp_path / "log.db", "PRAGMA user_version=99")
    with pytest.raises(LedgerRefused, match="newer"), opened(tmp_path):
        pass
    sql(tmp_path / "log.db", f"PRAGMA user_version={version}")
    with opened(tmp_path) as ledger:
        assert ledger.book.accounts[1001].balance == 100


@pytest.mark.parametrize("version", [0, 1])
def test_reading_makes_nothing(tmp_path: Path, version: int) -> None:
    """A file that is opened to be read is neither made nor upgraded."""
    path = tmp_path / "log.db"
    if version == 0:
        with pytest.raises(sqlite3.OperationalError):
            connect(path, "log", readOnly=True)
        assert not path.exists()
        sql(path, "CREATE TABLE t (x)", "DROP TABLE t")
        with pytest.raises(LedgerRefused, match="start the daemon once"):
            connect(path, "log", readOnly=True)
    else:
        connect(path, "log").close()
        with (
            closing(connect(path, "log", readOnly=True)) as connection,
            pytest.raises(sqlite3.OperationalError, match="readonly"),
        ):
            connection.execute("DELETE FROM page")


def test_transaction(tmp_path: Path) -> None:
    """What is written in a transaction is there after it, and not if anything is raised in it."""
    with closing(connect(tmp_path / "a.db", "log")) as connection:
        connection.execute("CREATE TABLE t (x)")
        with transaction(connection):
            connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(KeyboardInterrupt), transaction(connection):
            connection.execute("INSERT INTO t VALUES (2)")
            raise KeyboardInterrupt
        assert not connection.in_transaction
        assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]


def test_commit_that_fails(tmp_path: Path) -> None:
    """A transaction whose COMMIT is refused is rolled back, and the next one works."""
    with closing(connect(tmp_path / "a.db", "log")) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE u (x REFERENCES t DEFERRABLE INITIALLY DEFERRED)")
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.execute("INSERT INTO u VALUES (1)")
        assert not connection.in_transaction
        with transaction(connection):
            connection.execute("INSERT INTO t VALUES (5)")
        assert connection.execute("SELECT x FROM u").fetchall() == []


def test_upgrade(tmp_path: Path, addSchema: Callable[..., None]) -> None:
    """A file of an older schema is brought up to date when it is opened, and keeps what is in it."""
    folder = tmp_path / "ledger"
    made(folder, 100)
    (before,) = sql(folder / "log.db", "SELECT epoch FROM ledger")[0]
    [(version,)] = sql(folder / "log.db", "PRAGMA user_version")
    addSchema("-- One more.\nALTER TABLE ledger ADD COLUMN note TEXT;\nUPDATE ledger SET note = 'a; b';\n")
    with opened(folder) as ledger:
        assert ledger.epoch == before
        assert ledger.book.accounts[1001].balance == 100
    assert sql(folder / "log.db", "SELECT epoch, note FROM ledger") == [(before, "a; b")]
    assert sql(folder / "log.db", "PRAGMA user_version") == [(version + 1,)]


def test_views_are_not_upgraded(tmp_path: Path, addSchema: Callable[..., None]) -> None:
    """Views of an older schema are made again from the log: what they have was put there by older code."""
    folder = tmp_path / "ledger"
    orders = made(folder, 100)
    [(before,)] = sql(folder / "views.db", "PRAGMA user_version")
    sql(folder / "views.db", "UPDATE account SET balance = 999")
    addSchema("CREATE TABLE more (x);\n", "views")
    rightViews(folder, orders, [100])
    assert sql(folder / "views.db", "PRAGMA user_version") == [(before + 1,)]


@pytest.mark.parametrize("script", ["CREATE TABLE a (x);\nCREATE TABLE b (x)\n", "CREATE TABLE a (x"])
def test_unfinished_schema(tmp_path: Path, addSchema: Callable[..., None], script: str) -> None:
    """A schema whose last statement lacks its end is found at once, and nothing of it is applied."""
    connect(tmp_path / "log.db", "log").close()
    before = dump(tmp_path / "log.db")
    addSchema(script)
    with pytest.raises(AssertionError, match="ends in the middle of 'CREATE TABLE"):
        connect(tmp_path / "log.db", "log")
    assert dump(tmp_path / "log.db") == before


def test_upgrade_that_fails(tmp_path: Path, addSchema: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema that fails half way leaves the file as it was, and the older code can go on with it."""
    folder = tmp_path / "ledger"
    made(folder, 100)
    before = dump(folder / "log.db")
    addSchema("ALTER TABLE ledger ADD COLUMN note TEXT;\nDELETE FROM page;\nINSERT INTO nowhere VALUES (1);\n")
    with pytest.raises(LedgerRefused, match=r"log\.db: no such table: nowhere"), opened(folder):
        pass
    assert dump(folder / "log.db") == before
    monkeypatch.undo()
    with opened(folder) as ledger:
        assert ledger.book.accounts[1001].balance == 100


def test_new_file_upgrades(tmp_path: Path, addSchema: Callable[..., None]) -> None:
    """A new file goes through every schema, each counted when it is done."""
    addSchema("CREATE TABLE more (x);\nINSERT INTO nowhere VALUES (1);\n")
    with pytest.raises(sqlite3.OperationalError):
        connect(tmp_path / "a.db", "log")
    schemas = len(list((SCHEMAS / "log").iterdir()))
    assert sql(tmp_path / "a.db", "PRAGMA user_version") == [(schemas,)]
    assert "more" not in [name for (name,) in sql(tmp_path / "a.db", "SELECT name FROM sqlite_schema")]
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        assert schemaVersion(connection) == schemas
