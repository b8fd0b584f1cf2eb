"""The PostgreSQL of the tests: nothing of one test is seen by another, and no server is left behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from . import cluster as clusters
from . import postgres
from .cluster import Cluster, ClusterFailed, binaries
from .e2e.daemons import ROOT
from .postgres import absent, ledgerUrl


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server of one's own."""
    try:
        cluster = Cluster({"max_connections": "12"})
    except ClusterFailed as e:
        absent(str(e))
    with cluster:
        yield cluster


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    """The rows of a statement, if it has some."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def test_everyLedgerIsItsOwn(postgresServer: str) -> None:
    """Two URLs on one server share no table, and nothing of either is left when it is given back."""
    with ledgerUrl(postgresServer) as one, ledgerUrl(postgresServer) as other:
        ask(one, "CREATE TABLE entry AS SELECT 1")
        assert ask(one, "SELECT to_regclass('entry') IS NULL") == [(False,)]
        assert ask(other, "SELECT to_regclass('entry') IS NULL") == [(True,)]
        ((name,),) = ask(one, "SELECT current_schema()")
    assert ask(postgresServer, f"SELECT count(*) FROM pg_namespace WHERE nspname = '{name}'") == [(0,)]


def test_theFixtureIsALedger(postgresUrl: str) -> None:
    """The fixture's URL is a schema of its own, and empty."""
    query = (
        "SELECT current_schema(), (SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace)"
    )
    ((name, tables),) = ask(postgresUrl, query)
    assert str(name).startswith("scalemgr_test_")
    assert tables == 0


def test_whatTheUrlSaysIsKept(postgresServer: str) -> None:
    """Of a server's URL nothing is lost when a schema is put into it."""
    with ledgerUrl(f"{postgresServer}?application_name=a%20b") as url:
        ((name, application),) = ask(url, "SELECT current_schema(), current_setting('application_name')")
    assert str(name).startswith("scalemgr_test_")
    assert application == "a b"


def test_whoeverStaysInIsNoticed(postgresServer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that leaves somebody at work in its schema fails, instead of waiting for ever."""
    monkeypatch.setattr(postgres, "_DROP_S", 1)
    ledger = ledgerUrl(postgresServer)
    url = ledger.__enter__()
    ((name,),) = ask(url, "SELECT current_schema()")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE t ()")
        connection.commit()
        connection.execute("SELECT FROM t")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            ledger.__exit__(None, None, None)
    ask(postgresServer, f"DROP SCHEMA {name} CASCADE")


def test_whatIsCommittedIsKept(cluster: Cluster) -> None:
    """Stopped, left as in a crash or killed, it starts again on its port with all that was committed."""
    cluster.psql("CREATE TABLE kept (n int)")
    url = cluster.url()
    for n, end in enumerate((cluster.stop, lambda: cluster.stop("immediate"), cluster.kill)):
        cluster.psql("INSERT INTO kept VALUES (%s)", n)
        end()
        assert not cluster.alive()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        cluster.start()
        assert ask(url, "SELECT max(n) FROM kept") == [(n,)]


def test_killedWhileSomebodyWorks(cluster: Cluster) -> None:
    """Killed with somebody in a transaction, it starts as well, and the transaction is over."""
    cluster.psql("CREATE TABLE worked (n int)")
    connection = psycopg.connect(cluster.url())
    connection.execute("INSERT INTO worked VALUES (1)")
    cluster.kill()
    cluster.start()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    assert cluster.psql("SELECT count(*) FROM worked") == [(0,)]


def test_everybodyIsCutOff(cluster: Cluster) -> None:
    """All connections can be cut; the server goes on."""
    connections = [psycopg.connect(cluster.url()) for _ in range(3)]
    assert cluster.terminate() == 3
    for connection in connections:
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
    assert cluster.psql("SELECT 1") == [(1,)]


def test_itCanBeCrowded(cluster: Cluster) -> None:
    """Settings are taken: with all connections in use the next one is refused; and fsync is on."""
    connections: list[psycopg.Connection] = []
    with pytest.raises(psycopg.OperationalError, match="too many clients"):
        while True:
            connections.append(psycopg.connect(cluster.url()))
    for connection in connections:
        connection.close()
    cluster.restart()
    assert cluster.psql("SELECT current_setting('max_connections'), current_setting('fsync')") == [("12", "on")]


def test_aStandbyFollows(cluster: Cluster) -> None:
    """A standby has what the other one has and cannot be written; promoted, it can, and goes on alone."""
    cluster.psql("CREATE TABLE followed (n int)")
    with Cluster(of=cluster) as standby:
        cluster.psql("INSERT INTO followed VALUES (1)")
        until = time.monotonic() + 60
        while standby.psql("SELECT count(*) FROM followed") != [(1,)] and time.monotonic() < until:
            time.sleep(0.02)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            standby.psql("INSERT INTO followed VALUES (2)")
        standby.promote()
        standby.psql("INSERT INTO followed VALUES (2)")
        assert standby.psql("SELECT n FROM followed ORDER BY n") == [(1,), (2,)]
    assert cluster.psql("SELECT n FROM followed") == [(1,)]


def test_nothingIsLeft(cluster: Cluster) -> None:
    """A server is gone with its folder when the block ends, even by an error; also one that could not start."""
    with pytest.raises(KeyError), Cluster() as mine:
        assert mine.alive()
        raise KeyError("a test that fails")
    assert not mine.alive()
    assert not mine.folder.exists()
    broken = Cluster({"max_connections": "many"})
    with pytest.raises(ClusterFailed, match="max_connections"), broken:
        pass
    assert not broken.folder.exists()


def test_nobodyOutlivesTheTests(cluster: Cluster) -> None:
    """A server ends when the process that started it does, even if that was killed."""
    script = (
        "from tests.cluster import Cluster; c = Cluster(); c.start(); print(c.folder, c.url(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        folder, url = starter.stdout.readline().split()
        try:
            assert ask(url, "SELECT 1") == [(1,)]
            starter.send_signal(signal.SIGKILL)
            # The last thing that it does is to take this away.
            until, there = time.monotonic() + 60, Path(folder) / "data" / "postmaster.pid"
            while there.exists() and time.monotonic() < until:
                time.sleep(0.02)
            assert not there.exists()
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(url, connect_timeout=5)
        finally:
            shutil.rmtree(folder)


def test_noServer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without PostgreSQL its tests are skipped with the reason; in CI they fail, and say what to install."""
    monkeypatch.setattr(clusters, "_INSTALLED", tmp_path)
    monkeypatch.setattr(postgres, "_USUAL", "postgresql://postgres@127.0.0.1:1/test")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SCALEMGR_TEST_POSTGRES", raising=False)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(ClusterFailed, match="Debian: postgresql"):
        binaries()
    with pytest.raises(pytest.skip.Exception, match="no PostgreSQL server is installed"), postgres.shared():
        pass
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no PostgreSQL server is installed"), postgres.shared():
        pass


def test_theServerThatIsNamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the environment names a server, no other one is taken: one that cannot be reached is an error."""
    monkeypatch.setenv("SCALEMGR_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:1/test")
    with pytest.raises(psycopg.OperationalError), postgres.shared():
        pass
