"""A PostgreSQL server, or several of which one can be written to: how it is connected to, and what it may not do.

Every statement has a bound, so has waiting for a lock, and a transaction that its gateway has forgotten is ended by
the server: nothing that one gateway does, or fails to do, holds up the others for long. A peer that is gone is found
by keep-alives.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import Connection, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..errors import LedgerRefused
from ..settings import LedgerSettings

__all__ = ["Server", "isAway", "isWorthRepeating", "shown", "why"]

_VERSION = 130000
# How long what is sent may stay unacknowledged, beyond what a statement may take, in seconds.
_LOST_S = 5.0

# What the server says when it, and not a statement, is the trouble: it is going, coming, full, or not the one to ask.
_AWAY = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.TooManyConnections,
    errors.DiskFull,
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
)
_AGAIN = errors.SerializationFailure, errors.DeadlockDetected


class Server:
    """
    @param url: a connection string as libpq takes it: a URL, or C{postgresql:} and C{key=value} words; one that names
        several hosts finds the one that can be written to, unless it says otherwise.
    @raise LedgerRefused: if it is none.
    """

    def __init__(self, url: str, settings: LedgerSettings) -> None:
        try:
            words = conninfo_to_dict(_words(url))
        except psycopg.Error as e:
            raise LedgerRefused(f"{shown(url)} is no connection string of PostgreSQL: {why(e)}") from None
        self._settings = settings
        self.shown = shown(url)
        patience = settings.statement_seconds + _LOST_S
        given: dict[str, Any] = {
            "connect_timeout": max(2, round(settings.connect_seconds)),
            "target_session_attrs": "read-write",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": int(1000 * patience),
        }
        self._conninfo = make_conninfo(**{**given, **words, "client_encoding": "UTF8"})

    def connect(self, purpose: str, *, readOnly: bool = False) -> Connection[Any]:
        """
        A connection in autocommit mode.

        @param purpose: what it is for, in C{pg_stat_activity}.
        @param readOnly: a standby will do.
        @raise psycopg.Error: if there is none now.
        @raise LedgerRefused: if there never will be, as the server is.
        """
        conninfo = make_conninfo(self._conninfo, application_name=f"scalemgr {purpose}")
        if readOnly:
            conninfo = make_conninfo(conninfo, target_session_attrs="any")
        connection = psycopg.connect(conninfo, autocommit=True)
        try:
            self._check(connection)
            connection.execute(
                "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),"
                " set_config('idle_in_transaction_session_timeout', %s, false),"
                " set_config('default_transaction_isolation', 'read committed', false),"
                # Any that waits for a disk, or for more, will do.
                " CASE current_setting('synchronous_commit') WHEN 'off'"
                " THEN set_config('synchronous_commit', 'on', false) END",
                [
                    _ms(self._settings.statement_seconds),
                    _ms(self._settings.lock_seconds),
                    _ms(self._settings.statement_seconds),
                ],
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: Connection[Any]) -> None:
        info = connection.info
        if info.server_version < _VERSION:
            raise LedgerRefused(f"{self.shown} is PostgreSQL {info.server_version // 10000}; it takes 13 or newer")
        if info.parameter_status("server_encoding") != "UTF8":
            raise LedgerRefused(
                f"the database {info.dbname!r} of {self.shown} is in {info.parameter_status('server_encoding')}; "
                "make one with the encoding UTF8"
            )


def _ms(seconds: float) -> str:
    return f"{int(1000 * seconds)}ms"


def isAway(error: BaseException, connection: Connection[Any] | None = None) -> bool:
    """Is it the server, or the way there, that is the trouble, and not what was asked?"""
    if connection is not None and connection.closed:
        return True
    return isinstance(error, _AWAY) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None)


def isWorthRepeating(error: BaseException) -> bool:
    """Was a transaction given up for others that it was in the way of?"""
    return isinstance(error, _AGAIN)


def why(error: BaseException) -> str:
    """What an error of the server or of libpq says, in one line, without the password of a connection string."""
    return " ".join(str(error).split())[:500] or type(error).__name__


def _words(url: str) -> str:
    """As libpq takes it: C{postgresql:} before C{key=value} words is ours."""
    return url if "://" in url else url.removeprefix("postgresql:").removeprefix("postgres:")


def shown(url: str) -> str:
    """A connection string, for people: without its password."""
    if "://" in url:
        parts = urlsplit(url)
        user, at, hosts = parts.netloc.rpartition("@")
        name = user.partition(":")[0]
        query = "&".join(word for word in parts.query.split("&") if word and not word.startswith("password"))
        return urlunsplit(parts._replace(netloc=f"{name}{at}{hosts}", query=query, fragment=""))
    try:
        words = conninfo_to_dict(_words(url))
    except psycopg.Error:
        return "the connection string"
    return "postgresql:" + " ".join(
        f"{key}={quote(str(value), safe='/:,.@_-')}" for key, value in words.items() if key != "password"
    )
