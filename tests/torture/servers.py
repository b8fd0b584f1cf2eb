"""The servers of a campaign's ledger: one, or one and a standby that has whatever was said to be committed."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg

from ..cluster import Cluster, ClusterFailed

__all__ = ["CONNECTIONS", "DATABASE", "ROLE", "Servers"]

DATABASE = "ledger"
#: The daemons' own role: like everybody's, it may not do everything.
ROLE = "gateway"
#: The server takes no more than so many.
CONNECTIONS = 30

_CONNECT_S = 5
_IN_SYNC_S = 30.0
_SETTINGS = {
    "max_connections": str(CONNECTIONS),
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
    "log_lock_waits": "on",
}
_IN_SYNC = (
    "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND flush_lsn >= pg_current_wal_flush_lsn()"
)


class Servers:
    """
    They run when this is made, with an empty database for the daemons. L{close} takes them away.

    @param folder: an empty folder for the first one.
    @param standby: shall there be one?
    @ivar first: the one that is written.
    @ivar url: what the daemons are told; it stays the same.
    @raise ClusterFailed: if there is no PostgreSQL here.
    """

    def __init__(self, folder: Path, *, standby: bool) -> None:
        self.first = Cluster(_SETTINGS, folder)
        self._second: Cluster | None = None
        self._gone = ""
        try:
            self.first.start()
            self.first.psql(f"CREATE ROLE {ROLE} LOGIN")
            self.first.psql(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
            self.url = self.first.url(DATABASE, user=ROLE)
            if standby:
                # No commit is told before a standby has it; which is so for those that will be the first one, too.
                self.first.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
                self.first.psql("SELECT pg_reload_conf()")
                self._second = Cluster(of=self.first)
                self._second.start()
                ports = f":{self.first.port},127.0.0.1:{self._second.port}/"
                self.url = f"{self.url.replace(f':{self.first.port}/', ports)}&target_session_attrs=read-write"
        except BaseException:
            self.close()
            raise

    @property
    def hasStandby(self) -> bool:
        """Is there a second one?"""
        return self._second is not None

    def connect(self) -> psycopg.Connection:
        """A connection to the daemons' database that may do everything, and waits for no standby."""
        url = self.first.url(DATABASE, options="-csynchronous_commit=local")
        return psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_S)

    def again(self) -> None:
        """Have the first one run, which may have ended, or be about to."""
        try:
            self.first.ready()
        except ClusterFailed:
            if self.first.alive():
                raise
            self.first.start()

    def failOver(self) -> None:
        """
        The first one is gone for good, and the standby in its place; it gets a standby of its own where the other was.

        What was cancelled while it waited for the standby counts as committed though the standby may not have it; so
        this waits until the standby has everything. What is committed later is not told before the standby has it.

        @raise ClusterFailed: if the standby does not get that far.
        """
        assert self._second is not None
        until = time.monotonic() + _IN_SYNC_S
        while self.first.psql(_IN_SYNC) == [(0,)]:
            if time.monotonic() > until:
                raise ClusterFailed("the standby does not follow")
            time.sleep(0.01)
        old, self.first, self._second = self.first, self._second, None
        old.kill()
        self.first.promote()
        self._gone += old.said()
        old.close()
        self._second = Cluster(of=self.first, port=old.port)
        self._second.start()

    def said(self) -> str:
        """All that they said, those that are gone first."""
        return self._gone + "".join(server.said() for server in (self.first, self._second) if server is not None)

    def close(self) -> None:
        """They do no more; and nothing is left of them."""
        for server in (self._second, self.first):
            if server is not None:
                server.close()
