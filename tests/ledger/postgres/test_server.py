"""Connection strings, and what keeps a gateway from a server: one sentence for an operator, and no password in it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from scalemgr.ledger.errors import LedgerRefused, LedgerUnreachable
from scalemgr.ledger.postgres import server as module
from scalemgr.ledger.postgres.log import PostgresLog
from scalemgr.ledger.postgres.server import Server, isAway, isCut, shown
from scalemgr.ledger.settings import LedgerSettings

from .gateways import Truth

# No part of it is anything else.
SECRET = "Xk7qZ"


def serverAt(url: str, **more: Any) -> Server:
    return Server(url, LedgerSettings(**{"connect_seconds": 2, **more, "url": url}))


def at(url: str, **parts: Any) -> str:
    """The same, with something else in it."""
    return urlunsplit(urlsplit(url)._replace(**parts))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://host/db", "postgresql://host/db"),
        (f"postgresql://crm:{SECRET}@host:5433/db", "postgresql://crm@host:5433/db"),
        (f"postgres://crm:{SECRET}%40%2F@a,b:1,[::1]:2/db?x=1", None),
        (
            f"postgresql://crm:{SECRET}@a:1,b:2/db?target_session_attrs=any&password={SECRET}",
            "postgresql://crm@a:1,b:2/db?target_session_attrs=any",
        ),
        (
            f"postgresql://h/db?sslpassword={SECRET}&sslmode=require&p%61ssword={SECRET}",
            "postgresql://h/db?sslmode=require",
        ),
        (f"postgresql:host=h password={SECRET} dbname=db", "postgresql:dbname=db host=h"),
        (f"postgresql:host=h sslpassword='{SECRET} x' dbname=db", "postgresql:dbname=db host=h"),
        ("postgresql://", "postgresql://"),
        ("postgresql:///db?host=/var/run/postgresql", "postgresql:///db?host=/var/run/postgresql"),
    ],
)
def test_shown(url: str, expected: str | None) -> None:
    """Where a ledger is can be shown, less the passwords, however they are given."""
    assert SECRET not in shown(url)
    if expected is not None:
        assert shown(url) == expected
        assert serverAt(url).shown == expected


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://crm:{SECRET}/x@host/db",
        f"postgresql://crm:x/{SECRET}@host/db",
        f"postgresql://crm:{SECRET}@x@host/db",
        f"postgresql://crm:x@{SECRET}@host/db",
        f"postgresql://crm:x#{SECRET}@host/db",
        f"postgresql://crm:{SECRET}#x@host/db",
        f"postgresql://crm:x?{SECRET}@host/db",
        f"postgresql://crm:{SECRET}?x@host/db",
        f"postgresql://crm:{SECRET}%zz@host/db",
        f"postgresql://crm:{SECRET} x@host/db",
        f"postgresql://host/db?pasword={SECRET}",
        f"postgresql://host/db?password={SECRET}&x",
        f"postgresql:host=h password=x {SECRET}",
        f"postgresql:host=h pass={SECRET}",
        f"postgresql:{SECRET}",
        f"postgresql:password='{SECRET}",
    ],
)
def test_noConnectionString(url: str) -> None:
    """What is no connection string is refused before it is used; what may be its password is not shown."""
    assert SECRET not in shown(url)
    with pytest.raises(LedgerRefused) as refused:
        serverAt(url)
    said: BaseException | None = refused.value
    while said is not None:
        assert SECRET not in str(said)
        said = said.__cause__


class TestRefused:
    """Each in one line that says what is wrong."""

    def refusal(self, url: str, **more: Any) -> str:
        """Why a gateway cannot start there."""
        with pytest.raises(LedgerRefused) as refused:
            PostgresLog(serverAt(url, **more), "tests", nowMs=1)
        said = str(refused.value)
        assert "\n" not in said
        assert SECRET not in said
        return said

    def test_nobodyListens(self) -> None:
        with closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"postgresql://crm:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/db"
            assert "cannot be reached" in self.refusal(url)
            several = f"postgresql://crm:{SECRET}@127.0.0.1:1,127.0.0.1:{taken.getsockname()[1]}/db"
            assert "cannot be reached" in self.refusal(several)
            with pytest.raises(LedgerUnreachable):
                PostgresLog(serverAt(url), "tests")

    def test_nobodyAnswers(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as silent:
            url = f"postgresql://crm:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/db"
            assert "timeout" in self.refusal(url)

    def test_noDatabase(self, postgresServer: str) -> None:
        assert 'database "nowhere" does not exist' in self.refusal(at(postgresServer, path="/nowhere"))

    def test_nobody(self, postgresServer: str) -> None:
        parts = urlsplit(postgresServer)
        host = parts.netloc.rpartition("@")[2]
        said = self.refusal(at(postgresServer, netloc=f"nobody-{SECRET.lower()}:{SECRET}@{host}"))
        assert "nobody-" in said

    def test_noSchema(self, postgresServer: str) -> None:
        said = self.refusal(at(postgresServer, query="options=-csearch_path%3Dnowhere"))
        assert "search_path" in said
        assert "CREATE SCHEMA" in said

    def test_newer(self, postgresUrl: str) -> None:
        PostgresLog(serverAt(postgresUrl), "tests", nowMs=1).close()
        with psycopg.connect(postgresUrl) as connection:
            connection.execute("UPDATE scalemgr_schema SET version = 99 WHERE kind = 'log'")
        assert "written by a newer one" in self.refusal(postgresUrl)

    def test_mayNot(self, postgresUrl: str) -> None:
        """A user who may not make tables."""
        role = "scalemgr_test_guest"
        with psycopg.connect(postgresUrl, autocommit=True) as connection:
            connection.execute(f"DROP ROLE IF EXISTS {role}".encode())
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'".encode())
            schema = connection.execute("SELECT current_schema()").fetchone()
            assert schema is not None
            connection.execute(f"GRANT USAGE ON SCHEMA {schema[0]} TO {role}".encode())
            try:
                host = urlsplit(postgresUrl).netloc.rpartition("@")[2]
                assert "permission denied" in self.refusal(at(postgresUrl, netloc=f"{role}:{SECRET}@{host}"))
            finally:
                connection.execute(f"DROP OWNED BY {role}".encode())
                connection.execute(f"DROP ROLE {role}".encode())

    def test_notUtf8(self, postgresServer: str) -> None:
        name = "scalemgr_test_latin1"
        with psycopg.connect(postgresServer, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
            connection.execute(
                f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0".encode()
            )
            try:
                said = self.refusal(at(postgresServer, path=f"/{name}"))
            finally:
                connection.execute(f"DROP DATABASE {name}".encode())
        assert "LATIN1" in said
        assert "UTF8" in said

    def test_readOnly(self, postgresUrl: str) -> None:
        """A server that takes no writing is none, unless one only reads."""
        PostgresLog(serverAt(postgresUrl), "tests", nowMs=1).close()
        parts = urlsplit(postgresUrl)
        url = at(postgresUrl, query=f"{parts.query}%20-cdefault_transaction_read_only%3Don")
        assert "read-only" in self.refusal(url)
        PostgresLog(serverAt(url), "tests", readOnly=True).close()

    def test_noLogYet(self, postgresUrl: str) -> None:
        """Who only reads makes none."""
        with pytest.raises(LedgerRefused, match="no ledger at"):
            PostgresLog(serverAt(postgresUrl), "tests")
        with psycopg.connect(postgresUrl) as connection:
            found = connection.execute("SELECT to_regclass('ledger'), to_regclass('page')").fetchone()
        assert found == (None, None)


@pytest.fixture
def connection(postgresUrl: str) -> Iterator[Any]:
    with closing(serverAt(postgresUrl, statement_seconds=0.3, lock_seconds=0.2).connect("tests")) as connection:
        yield connection


def test_bounds(connection: Any, postgresUrl: str) -> None:
    """Whatever the server's own settings are, no statement, no lock and no idle transaction takes for ever."""
    shows = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit"]
    assert [connection.execute(f"SHOW {name}".encode()).fetchone()[0] for name in shows] == [
        "300ms",
        "200ms",
        "300ms",
        "on",
    ]
    parts = urlsplit(postgresUrl)
    for asked, kept in (("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")):
        url = at(postgresUrl, query=f"{parts.query}%20-csynchronous_commit%3D{asked}")
        with closing(serverAt(url).connect("tests")) as other:
            # What does not even wait for the disk is no commit.
            assert other.execute("SHOW synchronous_commit").fetchone() == (kept,)
            assert other.execute("SHOW application_name").fetchone() == ("scalemgr tests",)


def test_silence(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that works on, and longer than it should, is not waited for, though it does not stop by itself."""
    connection.execute("SET statement_timeout = 0")
    connection.patience = 0.3
    with pytest.raises(psycopg.OperationalError, match="does not answer") as failed:
        connection.execute("SELECT pg_sleep(5)")
    assert connection.closed
    assert isAway(failed.value)


def test_silenceInPipeline(connection: Any) -> None:
    """Nor in a pipeline."""
    connection.execute("SET statement_timeout = 0")
    connection.patience = 0.3
    with pytest.raises(psycopg.OperationalError), connection.pipeline():
        connection.execute("SELECT pg_sleep(5)")
        connection.execute("SELECT 1")
    assert connection.closed


def test_isCut(connection: Any, postgresUrl: str) -> None:
    """A connection that the server has ended is known to be cut without asking over it; one that lives is not."""
    assert not isCut(connection)
    assert connection.execute("SELECT 1").fetchone() == (1,)
    with closing(Truth(postgresUrl)) as truth:
        truth.sql("SELECT pg_terminate_backend(%s, 5000)", connection.info.backend_pid)
    assert isCut(connection)


def test_tooOld(postgresUrl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is too old is refused before anything is done there."""
    monkeypatch.setattr(module, "_VERSION", 990000)
    with pytest.raises(LedgerRefused, match="or newer"):
        PostgresLog(serverAt(postgresUrl), "tests", nowMs=1)
