"""The views that are asked: a connection for each thread that does."""

from __future__ import annotations

import threading

import psycopg

from ..errors import LedgerRefused
from ..settings import LedgerSettings
from .server import Server, why
from .tenure import Row, Tenure
from .views import PostgresViews

__all__ = ["Asked"]


class Asked:
    """
    Views on one server, for reading.

    @param server: that of the log.
    @param epoch: the log's.
    @ivar shown: where they are, for people.
    @ivar epoch: of which log they should be.
    """

    def __init__(self, settings: LedgerSettings, server: Server, epoch: str) -> None:
        self._server = Server(settings.views_url, settings) if settings.views_url else server
        self._replica = Server(settings.read_url, settings) if settings.read_url else None
        self.epoch = epoch
        self.shown = self._server.shown
        self._threads = threading.local()
        self._opened: set[PostgresViews] = set()

    @property
    def hasReplica(self) -> bool:
        """Is there one that may be behind?"""
        return self._replica is not None

    def views(self) -> PostgresViews:
        """
        Those that are kept up.

        @raise LedgerRefused: if they cannot be reached.
        """
        return self._of("views", self._server, isReplica=False)

    def replica(self) -> PostgresViews:
        """Those that may be behind; raises as L{views}."""
        assert self._replica is not None
        return self._of("replica", self._replica, isReplica=True)

    def _of(self, name: str, server: Server, *, isReplica: bool) -> PostgresViews:
        views: PostgresViews | None = getattr(self._threads, name, None)
        if views is not None and not views.closed:
            return views
        if views is not None:
            self._opened.discard(views)
        try:
            views = PostgresViews(server.connect("questions", readOnly=isReplica), self.epoch, readOnly=True)
        except psycopg.Error as e:
            raise LedgerRefused(f"the views at {server.shown} cannot be reached: {why(e)}") from e
        setattr(self._threads, name, views)
        self._opened.add(views)
        return views

    def row(self) -> Row:
        """How far those are that are kept up, of whatever log, as far as it can be found out now."""
        try:
            with self._server.connect("questions", readOnly=True) as connection:
                return Tenure(connection).look()
        except psycopg.Error:
            # There are none, or they cannot be reached, which whoever keeps them up will say.
            return Row()

    def close(self) -> None:
        """Let go."""
        for views in self._opened:
            views.close()
