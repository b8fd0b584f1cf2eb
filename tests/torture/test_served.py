"""What is done to a server is felt by whoever works with it, and leaves it well."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from signal import Signals

import psycopg
import pytest

from ..cluster import ClusterFailed, binaries
from ..postgres import absent
from .daemon import Daemon
from .grounds import Ground
from .havoc import Plan
from .history import PAGES, entriesIn
from .served import served

_ENTRY = '[1,5,"trade:event",0,"real",1001,7,25,0,"crm","k","f0",{"order":7, "x":"\\u00fc"}]'


class _Idle(Daemon):
    """A daemon of which it is only counted how often it is ended."""

    def __init__(self) -> None:
        self.ended = 0

    def alive(self) -> bool:
        return True

    def end(self, number: Signals) -> None:
        self.ended += 1


class _Worker:
    """
    Commits and commits, and notes what goes wrong.

    @ivar failed: how often, by what the server said or by the driver's word for it.
    @ivar told: the commits that it was told of.
    """

    def __init__(self, url: str) -> None:
        self.failed: Counter[str] = Counter()
        self.told = 0
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with psycopg.connect(self._url, connect_timeout=3, autocommit=True) as connection:
                    connection.execute("SET lock_timeout = '100ms'")
                    while not self._over.is_set():
                        self._work(connection)
            except psycopg.Error as e:
                self._note(e)
                time.sleep(0.01)

    def _work(self, connection: psycopg.Connection) -> None:
        try:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(x'7363616c'::int, 'ledger'::regclass::oid::int)")
                connection.execute("UPDATE ledger SET n = n + 1")
                connection.execute("INSERT INTO page (entries) VALUES (repeat('x', 1000000))")
            self.told += 1
        except psycopg.errors.LockNotAvailable as e:
            self._note(e)

    def _note(self, e: psycopg.Error) -> None:
        crowded = "too many" in str(e)
        self.failed["too many" if crowded else type(e).__name__] += 1

    def await_(self, told: int) -> None:
        """Until it was told of so many."""
        until = time.monotonic() + 60
        while self.told < told:
            assert time.monotonic() < until, self.failed
            time.sleep(0.01)

    def end(self) -> None:
        """It does no more."""
        self._over.set()
        self._thread.join()


@contextmanager
def _served(folder: Path, *, standby: bool = False) -> Iterator[Ground]:
    """One with the tables of a log, and no gateway."""
    try:
        binaries()
    except ClusterFailed as e:
        absent(str(e))
    with served(folder, mount=True, standby=standby) as ground:
        with psycopg.connect(ground.url) as connection:
            connection.execute("CREATE TABLE ledger AS SELECT 0 AS n")
            connection.execute("CREATE TABLE page (last serial, first int, stamp text, entries text)")
        yield ground


_STRIKES = {
    "holds": (Plan(0, holds=1), {"LockNotAvailable"}),
    "crashes": (Plan(0, crashes=1), {"OperationalError", "AdminShutdown", "CrashShutdown"}),
    "server kills": (Plan(0, serverKills=1), {"OperationalError"}),
    "cuts": (Plan(0, cuts=1), {"AdminShutdown", "OperationalError"}),
    "crowds": (Plan(0, crowds=2), {"too many"}),
    "cancels": (Plan(0, cancels=1), {"QueryCanceled"}),
    "full disks": (Plan(0, fullDisks=1), {"DiskFull", "OperationalError", "CrashShutdown"}),
    "stalls": (Plan(0, stalls=1), set()),
    "fail-overs": (Plan(0, failOvers=2), {"AdminShutdown", "OperationalError"}),
}


@pytest.mark.parametrize("name", _STRIKES)
def test_everyStrikeIsFelt(tmp_path: Path, name: str) -> None:
    """Whoever works with the server has the trouble meant; then it takes commits again, and what was told is kept."""
    plan, expected = _STRIKES[name]
    with _served(tmp_path, standby=name == "fail-overs") as ground:
        daemon, worker = _Idle(), _Worker(ground.url)
        havoc = ground.havoc([daemon], Random(1))
        try:
            worker.await_(1)
            havoc.wreak(plan)
            if name == "full disks" and not havoc.done:
                pytest.skip("no small disk can be mounted here")
            worker.await_(worker.told + 1)
        finally:
            worker.end()
        with psycopg.connect(ground.url) as connection:
            ((kept,),) = connection.execute("SELECT n FROM ledger").fetchall()
    assert kept >= worker.told
    assert havoc.done[name] >= 1
    assert not expected or expected & worker.failed.keys(), worker.failed


def test_thePagesAreKept(tmp_path: Path) -> None:
    """What is in the log in the end is in the campaign's folder, byte for byte, and so is what the server said."""
    with _served(tmp_path) as ground, psycopg.connect(ground.url) as connection:
        row = 1, 1, "stamp", f"[{_ENTRY}]"
        connection.execute("INSERT INTO page (last, first, stamp, entries) VALUES (%s, %s, %s, %s)", row)
        connection.commit()
        (entry,) = ground.log()
    assert [entry] == entriesIn(tmp_path / "ledger")
    assert (tmp_path / "ledger" / PAGES).exists()
    assert entry.data == '{"order":7, "x":"\\u00fc"}'
    assert (entry.seq, entry.login, entry.order, entry.balance, entry.key, entry.group) == (1, 1001, 7, 25, "k", "real")
    assert "ready to accept connections" in (tmp_path / "ledger" / "said").read_text()
