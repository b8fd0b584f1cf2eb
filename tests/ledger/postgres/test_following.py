"""Many gateways, one of which makes the views: whichever ends, they are made once, of that log, and up to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from twisted.logger import LogEvent

from scalemgr.finance.records import Entry
from scalemgr.ledger import process
from scalemgr.ledger.errors import LedgerRefused
from scalemgr.ledger.pages import pack
from scalemgr.ledger.postgres import following, tenure
from scalemgr.ledger.postgres.commits import CommitLog
from scalemgr.ledger.postgres.following import PostgresFollower, Servers
from scalemgr.ledger.postgres.log import PostgresLog
from scalemgr.ledger.postgres.server import Server
from scalemgr.ledger.postgres.views import PostgresViews
from scalemgr.ledger.process import ProcessProjector
from scalemgr.ledger.projector import ThreadProjector
from scalemgr.ledger.settings import LedgerSettings
from tests.postgres import Cluster, ClusterFailed, absent, ledgerUrl

from ..conftest import Logged
from ..scribe import Scribe
from ..test_process import gone, until

ROOT = Path(__file__).parents[3]


def append(log: CommitLog, entries: list[Entry]) -> None:
    """Add entries, as a gateway would."""
    log.begin(0, 0, "tests")
    log.write(pack(entries), uuid4().hex, "")


class Place:
    """
    A log and its views, each as good as on a server of its own.

    @ivar settings: where they are.
    """

    def __init__(self, url: str, viewsUrl: str) -> None:
        self.settings = LedgerSettings(url=url, views_url=viewsUrl, statement_seconds=20, lock_seconds=10)
        self.log = CommitLog(Server(url, self.settings), "tests", nowMs=1)
        self._viewsUrl = viewsUrl or url
        self.other = psycopg.connect(self._viewsUrl, autocommit=True)
        self.scribe = Scribe()
        self.scribe.group()
        self.scribe.user()
        append(self.log, self.scribe.entries)
        self._followers: list[PostgresFollower] = []

    def reconnect(self) -> None:
        """The servers were started again."""
        self.close()
        self.log = CommitLog(Server(self.settings.url, self.settings), "tests")
        self.other = psycopg.connect(self._viewsUrl, autocommit=True)

    def write(self, *cents: int) -> int:
        """Deposit these amounts; the last entry."""
        scribe = self.scribe
        first = scribe.book.seq + 1
        append(self.log, [scribe.trade(first + i, c) for i, c in enumerate(cents)])
        return scribe.book.seq

    def follower(self, made: int = 0) -> PostgresFollower:
        """One gateway's."""
        follower = PostgresFollower(self.settings, made)
        self._followers.append(follower)
        return follower

    def sql(self, query: str, *values: Any) -> list[Any]:
        """Something said to the server of the views by somebody else."""
        cursor = self.other.execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def cut(self, follower: PostgresFollower) -> None:
        """Cut its connection to the views."""
        assert follower._tenure is not None
        pid = follower._tenure.connection.info.backend_pid
        self.sql("SELECT pg_terminate_backend(%s, 10000)", pid)

    def hold(self, *deposits: int) -> None:
        """The views have the whole log, once."""
        moved = [(e.seq, e.balance) for e in self.scribe.entries if e.balance]
        assert self.sql("SELECT epoch, seq FROM view") == [(self.log.epoch, self.scribe.book.seq)]
        assert self.sql("SELECT seq, balance_change FROM movement ORDER BY seq") == moved
        assert self.sql("SELECT balance FROM account WHERE login = 1001") == [(sum(deposits),)]

    def close(self) -> None:
        for follower in self._followers:
            follower.close()
        self.other.close()
        self.log.close()


@pytest.fixture
def place(postgresUrl: str, postgresServer: str) -> Iterator[Place]:
    """A log with two entries, and no views yet."""
    with ledgerUrl(postgresServer) as viewsUrl:
        place = Place(postgresUrl, viewsUrl)
        try:
            yield place
        finally:
            place.close()


def eventually(what: Callable[[], object]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def shared(place: Place) -> tuple[PostgresFollower, PostgresFollower]:
    """Who makes them, and who stands by; both have seen the first entries."""
    maker, other = place.follower(), place.follower()
    assert maker.step()
    assert other.step()
    assert (maker.isStandingBy, other.isStandingBy) == (False, True)
    assert (maker.reached, other.reached) == (2, 2)
    return maker, other


def test_oneMakesThem(place: Place) -> None:
    """Of two, one folds in; the other writes nothing, and says how far the views are all the same."""
    maker, other = shared(place)
    head = place.write(10, 20)
    assert other.step()
    assert (other.reached, place.sql("SELECT seq FROM view")) == (2, [(2,)])
    assert maker.step()
    assert other.step()
    assert (maker.reached, other.reached, other.failing) == (head, head, "")
    place.hold(10, 20)


def test_besideTheLog(postgresUrl: str) -> None:
    """Log and views in one place: to make the views again leaves the log alone."""
    place = Place(postgresUrl, "")
    try:
        follower = place.follower()
        place.write(10)
        assert follower.step()
        place.hold(10)
        assert follower.step(anew=True)
        place.hold(10)
        assert len(place.log.read(0, 100)) == 3
    finally:
        place.close()


def test_firstEnds(place: Place) -> None:
    """If the one that makes them ends, the one that stands by goes on from there."""
    maker, other = shared(place)
    place.write(10)
    assert maker.step()
    place.write(20)
    maker.close()
    eventually(lambda: other.step() and not other.isStandingBy)
    place.hold(10, 20)


def test_firstIsCut(place: Place, logged: Logged) -> None:
    """If its connection is cut another one goes on; it finds that out, stands by, and nothing is done twice."""
    maker, other = shared(place)
    place.write(10)
    place.cut(maker)
    eventually(lambda: other.step() and not other.isStandingBy)
    place.write(20)
    assert not maker.step()
    assert maker.failing
    assert logged.has("cannot follow the log at entry 2", "trying again")
    assert maker.step()
    assert maker.isStandingBy
    assert maker.failing == ""
    assert other.step()
    assert maker.step()
    assert maker.reached == other.reached
    place.hold(10, 20)


def test_cutInATurn(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has lost its connection in the middle of a turn has done nothing of it; the other one does it all."""
    maker, other = shared(place)
    head = place.write(10, 20)
    project = PostgresViews.project

    def cut(views: PostgresViews, entries: list[Entry]) -> None:
        project(views, entries)
        monkeypatch.undo()
        place.cut(maker)

    monkeypatch.setattr(PostgresViews, "project", cut)
    assert not maker.step()
    assert maker.reached == 2
    eventually(lambda: other.step() and not other.isStandingBy)
    assert other.reached == head
    place.hold(10, 20)


def test_twoBelieveIt(place: Place) -> None:
    """Should two ever believe that it is theirs, as behind a pooler of transactions, nothing is done twice."""
    maker, other = shared(place)
    assert other._tenure is not None
    other._begin(other._tenure)
    other._tenure.isMine = True
    head = place.write(10)
    assert maker.step()
    assert not other.step()
    assert "somebody else has written the views" in other.failing
    assert other.step()
    assert other.isStandingBy
    assert other.reached == head
    place.hold(10)


@pytest.mark.parametrize("late", [False, True])
def test_silentMaker(place: Place, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    """One that has stopped without a word, between two turns or in one, is thrown out by the server."""
    if place.other.info.server_version < 140000 and not late:
        pytest.skip("this server lets a silent connection be")
    if late:
        place.settings = LedgerSettings(url=place.settings.url, views_url=place.settings.views_url, statement_seconds=1)
    monkeypatch.setattr(tenure, "_SILENT_S", 1)
    maker, other = shared(place)
    place.write(10)
    if late:
        assert maker._views is not None
        turn = maker._views.turn()
        turn.__enter__()
        maker._views.project(place.log.read(2, 10))
    eventually(lambda: other.step() and not other.isStandingBy)
    place.hold(10)
    assert not maker.step()


def test_noneYet(place: Place, logged: Logged) -> None:
    """Views of a log that has entries are missed, and made; who stands by meanwhile has none."""
    maker, other = place.follower(), place.follower()
    assert logged.has("there are none", "making them again from the log")
    assert other.step()
    assert (other.isStandingBy, other.reached) == (True, 0)
    assert maker.step()
    assert place.sql("SELECT seq FROM view") == [(2,)]


def test_epoch(place: Place, logged: Logged) -> None:
    """If the log becomes another one they are made again, and all who read them are told."""
    maker, other = shared(place)
    place.write(10)
    assert maker.step()
    before = maker.made, other.made
    place.log.renew()
    eventually(lambda: maker.step() and place.sql("SELECT epoch, seq FROM view") == [(place.log.epoch, 3)])
    eventually(lambda: other.step() and other.reached == 3)
    assert maker.made > before[0]
    assert logged.has("views of another log", "making them again")
    place.hold(10)


def test_epochInATurn(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before the log became another one is not taken for the other's."""
    maker, _ = shared(place)
    place.write(10)
    project = PostgresViews.project

    def renew(views: PostgresViews, entries: list[Entry]) -> None:
        project(views, entries)
        monkeypatch.undo()
        place.log.renew()

    monkeypatch.setattr(PostgresViews, "project", renew)
    assert not maker.step()
    assert "another one" in maker.failing
    assert place.sql("SELECT seq FROM view") == [(2,)]
    eventually(lambda: maker.step() and maker.reached == 3)
    place.hold(10)


@pytest.mark.parametrize("isRunning", [False, True])
def test_ahead(place: Place, logged: Logged, isRunning: bool) -> None:
    """Views that have more than the log are of a log that is lost: they are made again, whenever that is found."""
    maker = place.follower()
    place.write(10)
    place.write(20)
    assert maker.step()
    if not isRunning:
        maker.close()
    place.log.connection.execute("DELETE FROM page WHERE last = 4")
    place.scribe.entries.pop()
    place.scribe.book.seq = 3
    if not isRunning:
        maker = place.follower()
    eventually(lambda: maker.step() and maker.reached == 3)
    assert logged.has("ahead of the log", "making them again")
    place.hold(10)


@pytest.mark.parametrize("isRunning", [False, True])
def test_goneOnWithout(place: Place, logged: Logged, isRunning: bool) -> None:
    """If a server takes over that lacks some of the log, and goes on from there, views of what is lost are seen."""
    maker = place.follower()
    place.write(10)
    place.write(20)
    assert maker.step()
    if not isRunning:
        maker.close()
    place.log.connection.execute("DELETE FROM page WHERE last = 4")
    lost = place.scribe
    place.scribe = Scribe()
    place.scribe.group()
    place.scribe.user()
    place.scribe.trade(3, 10)
    assert place.scribe.entries == lost.entries[:3]
    place.write(30)
    if not isRunning:
        place.write(40)
        maker = place.follower()
    head = place.scribe.book.seq
    eventually(lambda: maker.step() and maker.reached == head and logged.has("another entry 4", "making them again"))
    eventually(lambda: maker.step() and maker.reached == head)
    place.hold(10, 30, *([] if isRunning else [40]))


def test_emptied(place: Place, logged: Logged) -> None:
    """An operator who wants them made again empties the table of how far they are; the others are told, too."""
    maker, other = shared(place)
    place.write(10)
    assert maker.step()
    assert other.step()
    made = other.made
    place.sql("DELETE FROM view")
    assert other.step()
    assert other.reached == 0
    assert other.made > made
    eventually(lambda: maker.step() and maker.reached == 3)
    assert other.step()
    assert other.reached == 3
    assert logged.has("there are none", "making them again")
    place.hold(10)


@pytest.mark.parametrize("anew", [False, True])
def test_suspected(place: Place, anew: bool) -> None:
    """Views that somebody could not read are looked at, or made again; who reads them connects again."""
    maker, other = shared(place)
    head = place.write(10)
    before = maker.made, other.made
    for follower in (maker, other):
        assert follower.step(suspected=True, anew=anew)
    assert (maker.reached, other.reached) == (head, head)
    assert maker.made > before[0]
    assert other.made > before[1]
    assert (maker.isStandingBy, other.isStandingBy) == (False, True)
    place.hold(10)


def test_damaged(place: Place, monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """Where the server finds a table of them damaged, they are made again."""
    maker, _ = shared(place)
    place.write(10)

    def damaged(views: PostgresViews, entries: list[Entry]) -> None:
        monkeypatch.undo()
        raise psycopg.errors.DataCorrupted("invalid page in block 7 of relation")

    monkeypatch.setattr(PostgresViews, "project", damaged)
    assert not maker.step()
    assert maker.step()
    assert logged.has("damaged", "making them again")
    place.hold(10)


def test_otherLog(place: Place, postgresServer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway of another log that was sent to these views by mistake leaves them alone, and says why it has none."""
    maker, _ = shared(place)
    with ledgerUrl(postgresServer) as url:
        settings = LedgerSettings(url=url, views_url=place.settings.views_url)
        PostgresLog(Server(url, settings), "tests", nowMs=1).close()
        with monkeypatch.context() as patch:
            patch.setattr(following, "_PATIENCE_SECONDS", 0.1)
            with pytest.raises(LedgerRefused, match="another log, and another gateway has them"):
                PostgresFollower(settings)
        stray = PostgresFollower(settings, made=1)
        assert not stray.step()
        assert "another log" in stray.failing
        assert stray.reached == 0
        stray.close()
    assert maker.step()
    assert place.sql("SELECT epoch FROM view") == [(place.log.epoch,)]


def test_startsMeanwhile(place: Place) -> None:
    """A gateway that starts just when the log has become another one waits for who makes the views to see it, too."""
    maker = ThreadProjector(Servers(place.settings))
    maker.begin()
    maker.wake(place.write(10))
    assert maker.waitFor(3, 30)
    place.log.renew()
    other = place.follower()
    assert other.isStandingBy
    assert other.failing == ""
    eventually(lambda: other.step() and other.reached == 3)
    maker.stop()
    place.hold(10)


class Away:
    """Lets a server be away for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._connect = Server.connect
        self.urls: list[str] = []
        monkeypatch.setattr(Server, "connect", lambda server, *args, **more: self._try(server, *args, **more))

    def _try(self, server: Server, *args: Any, **more: Any) -> Any:
        if server.shown in self.urls:
            raise psycopg.OperationalError("connection refused")
        return self._connect(server, *args, **more)


@pytest.mark.parametrize("which", ["url", "views_url"])
def test_away(place: Place, monkeypatch: pytest.MonkeyPatch, logged: Logged, which: str) -> None:
    """While either server is away it says why, once, and another gateway may go on; then it does what it has missed."""
    away = Away(monkeypatch)
    maker = place.follower()
    place.write(10)
    away.urls = [Server(getattr(place.settings, which), place.settings).shown]
    for connection in (maker._entries.connection, maker._tenure.connection):  # type: ignore[union-attr]
        connection.close()
    for _ in range(3):
        assert not maker.step()
    assert "connection refused" in maker.failing
    assert sum("cannot follow the log" in line for line in logged.lines()) == 1
    with pytest.raises(LedgerRefused, match="connection refused"):
        place.follower()
    # One that is started in place of one that has ended goes on by itself.
    other = place.follower(made=1)
    assert "connection refused" in other.failing
    assert not other.step()
    away.urls = []
    eventually(lambda: maker.step())
    assert maker.failing == ""
    assert logged.has("can be followed again")
    assert other.step()
    assert other.isStandingBy
    assert other.reached == 3
    place.hold(10)


def test_slowServer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a server that does not fold in so much in the time that a statement has, less is asked at a time."""
    maker, _ = shared(place)
    project = PostgresViews.project
    most = 1000

    def slow(views: PostgresViews, entries: list[Entry]) -> None:
        if len(entries) > most:
            raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")
        project(views, entries)

    monkeypatch.setattr(PostgresViews, "project", slow)
    place.write(*[1] * 2500)
    eventually(lambda: maker.step() and maker.reached == 2502)
    place.hold(2500)


def test_bug(place: Place, monkeypatch: pytest.MonkeyPatch, failures: list[LogEvent]) -> None:
    """What nobody has thought of is told with where it comes from, once, however often the lock changes hands."""
    maker, other = shared(place)
    place.write(10)
    project = PostgresViews.project

    def bug(views: PostgresViews, entries: list[Entry]) -> None:
        raise KeyError("bug")

    monkeypatch.setattr(PostgresViews, "project", bug)
    for _ in range(5):
        maker.step()
        other.step()
    assert len(failures) == 2
    failures.clear()
    monkeypatch.setattr(PostgresViews, "project", project)
    maker.step()
    other.step()
    place.hold(10)


@pytest.mark.parametrize("lost", ["trade", "view", "movement, key"])
def test_tableLost(place: Place, logged: Logged, lost: str) -> None:
    """If somebody has dropped tables of the views, all of them are made again, by whichever gateway."""
    followers = shared(place)
    place.write(10)
    assert followers[0].step()
    place.sql(f"DROP TABLE {lost}")
    place.write(20)
    eventually(
        lambda: [follower.step() for follower in followers] and followers[0].reached == followers[1].reached == 4
    )
    assert logged.has("tables are missing")
    assert sorted(follower.isStandingBy for follower in followers) == [False, True]
    place.hold(10, 20)


def test_madeAgainWhole(place: Place) -> None:
    """Of views that are made again nothing is left, in none of their tables."""
    maker, _ = shared(place)
    assert maker.step(anew=True)
    place.write(10)
    assert maker.step()
    place.log.connection.execute("DELETE FROM page")
    append(place.log, Scribe().story().entries[:1])
    eventually(lambda: maker.step() and maker.reached == 1)
    names = place.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
    assert {name for (name,) in names} == {table.strip('"') for table in tenure.TABLES} | {"scalemgr_schema"}
    counts = {table: place.sql(f"SELECT count(*) FROM {table}")[0][0] for table in tenure.TABLES}
    assert counts == {**dict.fromkeys(tenure.TABLES, 0), "view": 1, '"group"': 1}


# -- in a thread, and in a process ------------------------------------------------------------------------


def test_threads(place: Place) -> None:
    """Who asks behind any gateway sees what was written; when the one that makes them stops, the others go on."""
    projectors = [ThreadProjector(Servers(place.settings)) for _ in range(3)]
    for projector in projectors:
        projector.begin()
    while projectors:
        head = place.write(10, 20)
        for projector in projectors:
            projector.wake(head)
        for projector in projectors:
            assert projector.waitFor(head, 30)
            assert projector.failing == ""
        projectors.pop(0).stop()
    place.hold(*[10, 20] * 3)


def test_nobodyTellsTheMaker(place: Place) -> None:
    """That the gateway which has the lock hears of nothing, since it has stopped, holds up no other."""
    deaf, other = (ThreadProjector(Servers(place.settings)) for _ in range(2))
    deaf.begin()
    other.begin()
    head = place.write(10)
    other.wake(head)
    assert other.waitFor(head, 30)
    other.stop()
    deaf.stop()
    place.hold(10)


def test_standbyStops(place: Place) -> None:
    """One that stands by need not wait for the others to finish."""
    maker = place.follower()
    other = ThreadProjector(Servers(place.settings))
    other.begin()
    other.wake(place.write(10))
    other.stop()
    assert not other._thread.is_alive()
    assert maker.step()
    place.hold(10)


@pytest.mark.parametrize("how", ["immediate", "kill"])
def test_serverFails(how: str) -> None:
    """However the server of the log and the views ends, when it is back they go on by themselves, and miss nothing."""
    try:
        cluster = Cluster()
    except ClusterFailed as e:
        absent(str(e))
    with cluster, ledgerUrl(cluster.url()) as url, ledgerUrl(cluster.url()) as viewsUrl:
        place = Place(url, viewsUrl)
        projectors = [ThreadProjector(Servers(place.settings)) for _ in range(2)]
        for projector in projectors:
            projector.begin()
        for cents in (10, 20, 30):
            head = place.write(cents)
            for projector in projectors:
                projector.wake(head)
            if how == "kill":
                cluster.kill()
                cluster.start()
            else:
                cluster.restart("immediate")
            place.reconnect()
            for projector in projectors:
                eventually(lambda projector=projector, head=head: projector.reached >= head and not projector.failing)  # type: ignore[misc]
        place.hold(10, 20, 30)
        for projector in projectors:
            projector.stop()
        place.close()


def withPassword(place: Place) -> LedgerSettings:
    """The same, with passwords that nobody asks for here."""
    urls = [url.replace("@", ":hush-hush@", 1) for url in (place.settings.url, place.settings.views_url)]
    return LedgerSettings(url=urls[0], views_url=urls[1])


def test_processes(place: Place, monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """If the process that makes them is killed, another gateway's does the rest; its own starts one, to stand by."""
    monkeypatch.setattr(process, "_AGAIN_SECONDS", 0.01)
    first, second = (ProcessProjector(Servers(withPassword(place))) for _ in range(2))
    try:
        first.begin()
        second.begin()
        head = place.write(10)
        for projector in (first, second):
            projector.wake(head)
            assert projector.waitFor(head, 30)
        killed = first.pid
        os.kill(killed, signal.SIGKILL)
        head = place.write(20)
        second.wake(head)
        assert second.waitFor(head, 30)
        first.wake(head)
        assert first.waitFor(head, 30)
        assert (first.restarts, second.restarts) == (1, 0)
        assert first.pid != killed
    finally:
        first.stop()
        second.stop()
    place.hold(10, 20)


def test_noPasswords(place: Place, logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other user of the machine can read the passwords of the servers, nor are they in anything that is said."""
    projector = ProcessProjector(Servers(withPassword(place)))
    try:
        projector.begin()
        for what in ("cmdline", "environ"):
            assert b"hush" not in Path(f"/proc/{projector.pid}/{what}").read_bytes()
    finally:
        projector.stop()
    assert "hush" not in repr(Servers(withPassword(place)))
    away = LedgerSettings(url="postgresql://u:hush-hush@127.0.0.1:1/x", connect_seconds=2)
    with pytest.raises(LedgerRefused) as refused:
        PostgresFollower(away)
    assert "hush" not in str(refused.value)
    lost = PostgresFollower(away, made=1)
    assert not lost.step()
    assert "127.0.0.1" in lost.failing
    assert "hush" not in lost.failing
    assert not logged.has("hush")


@pytest.mark.parametrize("isBusy", [False, True])
def test_daemonKilled(place: Place, isBusy: bool) -> None:
    """It ends with its daemon, also in the middle of a statement for which the server takes its time."""
    command = [sys.executable, "-m", "tests.ledger.postgres.beside", place.settings.url, place.settings.views_url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdin is not None
        pid = int(daemon.stdout.readline())
        eventually(lambda: place.sql("SELECT seq FROM view") == [(2,)])
        if isBusy:
            place.sql("BEGIN")
            place.sql("SELECT * FROM view FOR UPDATE")
        daemon.stdin.write(f"{place.write(10)}\n")
        daemon.stdin.flush()
        daemon.stdout.readline()
        if isBusy:
            waits = "pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            eventually(lambda: place.sql(f"SELECT 1 FROM pg_stat_activity WHERE {waits}"))
        assert not gone(pid)
        daemon.kill()
    until(pid)
    # The server, too, lets go of what nobody waits for any more.
    if place.other.info.server_version >= 140000:
        held = "locktype = 'advisory' AND objid = 'view'::regclass::oid AND granted"
        eventually(lambda: not place.sql(f"SELECT 1 FROM pg_locks WHERE {held}"))
    place.sql("ROLLBACK")
    follower = place.follower()
    eventually(lambda: follower.step() and follower.reached == 3)
    place.hold(10)
