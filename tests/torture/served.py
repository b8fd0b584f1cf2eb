"""A ledger on PostgreSQL, with a server of its own that is treated like the daemons."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import psycopg

from .daemon import Daemon
from .disk import Disk, disk
from .grounds import Ground
from .havoc import Havoc, Plan
from .history import PAGES, Entry, entriesOf
from .servers import CONNECTIONS, ROLE, Servers

__all__ = ["served"]

_CONNECT_S = 5
# What somebody else may have that a commit waits for: the lock of commits, the one row there is, the table of pages.
_HOLDS = (
    "SELECT pg_advisory_xact_lock(x'7363616c'::int, 'ledger'::regclass::oid::int)",
    "SELECT FROM ledger FOR UPDATE",
    "LOCK TABLE page IN ACCESS EXCLUSIVE MODE",
)
_OURS = f"usename = '{ROLE}'"


@contextmanager
def served(folder: Path, *, mount: bool, standby: bool = False) -> Iterator[Ground]:
    """
    One on a server of its own. Afterwards its pages, and what the server said, are in the folder C{ledger} of this one.

    @param mount: try to mount a small disk for it? Else its disk is never full; nor with a standby.
    @param standby: shall it have one?
    @raise ClusterFailed: if there is no PostgreSQL here.
    """
    keep = folder / "ledger"
    keep.mkdir()
    with ExitStack() as stack:
        # Whoever the server runs as must get there, which is not so below the folder of the campaign.
        outside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scalemgr-torture-")))
        outside.chmod(0o711)
        where = stack.enter_context(disk(outside / "disk", None, mount=mount and not standby))
        servers = Servers(where.folder, standby=standby)
        stack.callback(servers.close)
        ground = _Served(servers, where)
        try:
            yield ground
        finally:
            (keep / "said").write_text(servers.said())
            (keep / PAGES).write_bytes(b"".join(msgspec.json.encode(page) + b"\n" for page in ground.pages()))


class _Served(Ground):
    """One database, for any number of daemons."""

    # What could not be read while the server was away; whoever asked was told.
    foreseen = ("LedgerFailed: the log cannot be read",)
    mayBeAway = True

    def __init__(self, servers: Servers, disk: Disk) -> None:
        self._servers = servers
        self._disk = disk
        self.url = servers.url

    def havoc(self, daemons: Sequence[Daemon], random: Random) -> Havoc:
        return _Havoc(daemons, random, self._servers, self._disk)

    def log(self) -> list[Entry]:
        return entriesOf(entries for *_, entries in self.pages())

    def pages(self) -> list[tuple[Any, ...]]:
        """The rows of the log as they are."""
        self._servers.again()
        with self._servers.connect() as connection:
            ((exists,),) = connection.execute("SELECT to_regclass('page') IS NOT NULL").fetchall()
            query = "SELECT last, first, stamp, entries FROM page ORDER BY last"
            return connection.execute(query).fetchall() if exists else []


class _Havoc(Havoc):
    """To the daemons, and to the server; here and there to both at a time."""

    def __init__(self, daemons: Sequence[Daemon], random: Random, servers: Servers, disk: Disk) -> None:
        super().__init__(daemons, random)
        self._servers = servers
        self._disk = disk

    def _strikes(self, plan: Plan) -> list[Callable[[], None]]:
        return [
            *[self._fillDisk] * (plan.fullDisks if self._disk.mounted else 0),
            *[self._hold] * plan.holds,
            *[self._crash] * plan.crashes,
            *[self._killServer] * plan.serverKills,
            *[self._stall] * plan.stalls,
            *[self._cut] * plan.cuts,
            *[self._crowd] * plan.crowds,
            *[self._cancel] * plan.cancels,
            *[self._failOver] * (plan.failOvers if self._servers.hasStandby else 0),
        ]

    def _perhapsKill(self, chance: float = 0.3) -> None:
        if self._random.random() < chance:
            self._killNow()

    def _fillDisk(self) -> None:
        """The server has no room: it refuses, or is in so much trouble that it ends."""
        self.done["full disks"] += 1
        self._disk.fill()
        try:
            self._wait(0.3, 2)
            self._perhapsKill()
        finally:
            self._disk.empty()
        self._servers.again()

    def _hold(self) -> None:
        """Somebody else has what a commit needs."""
        self.done["holds"] += 1
        with self._servers.connect() as connection, connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '10s'")
            connection.execute(self._random.choice(_HOLDS))
            self._wait(0.5, 4)
            self._perhapsKill()

    def _crash(self) -> None:
        self.done["crashes"] += 1
        self._servers.first.stop(self._random.choice(("immediate", "immediate", "fast")))
        self._away()

    def _killServer(self) -> None:
        self.done["server kills"] += 1
        self._servers.first.kill()
        self._away()

    def _away(self) -> None:
        """The server is away: for a moment, or for longer than anybody waits."""
        self._wait(0, self._random.choice((0.1, 1, 5)))
        self._perhapsKill()
        self._servers.again()

    def _failOver(self) -> None:
        """The server is gone for good; while its standby takes its place, nobody can write."""
        self.done["fail-overs"] += 1
        self._servers.failOver()
        self._perhapsKill()

    def _stall(self) -> None:
        """The server stands still, with every connection open."""
        self.done["stalls"] += 1
        # The first one by itself, so that it starts no more.
        pids = self._servers.first.processes()[:1]
        _signal(pids[0], signal.SIGSTOP)
        pids = self._servers.first.processes()
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        try:
            self._wait(0.5, 5)
            self._perhapsKill()
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)

    def _cut(self) -> None:
        """The connections are cut, some of them once more as soon as they are back."""
        self.done["cuts"] += 1
        for _ in range(self._random.choice((1, 1, 3, 10))):
            self._servers.first.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OURS}")
            self._wait(0, 0.2)

    def _crowd(self) -> None:
        """The server takes no connection of a daemon, and then they are cut."""
        self.done["crowds"] += 1
        if self._random.random() < 0.5:
            self._servers.first.psql(f"ALTER ROLE {ROLE} CONNECTION LIMIT 0")
            try:
                self._cut()
                self._wait(0.3, 3)
                self._perhapsKill()
            finally:
                self._servers.first.psql(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")
            return
        crowd: list[psycopg.Connection] = []
        try:
            with self._servers.connect() as connection:
                connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OURS}".encode())
                for _ in range(CONNECTIONS):
                    crowd.append(psycopg.connect(self._servers.first.url(), connect_timeout=_CONNECT_S))
        except psycopg.OperationalError:
            pass
        try:
            self._wait(0.3, 3)
            self._perhapsKill()
        finally:
            for connection in crowd:
                connection.close()

    def _cancel(self) -> None:
        """Whatever the server is at for a daemon is cancelled."""
        self.done["cancels"] += 1
        with self._servers.connect() as connection:
            for _ in range(self._random.randrange(20, 200)):
                connection.execute(
                    f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {_OURS} AND state <> 'idle'".encode()
                )
                self._wait(0, 0.01)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
