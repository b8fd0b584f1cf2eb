"""A PostgreSQL server, or several of which one can be written to: how it is connected to, and what it may not do.

Every statement has a bound, so has waiting for a lock, and a transaction that its gateway has forgotten is ended by
the server: nothing that one gateway does, or fails to do, holds up the others for long. A peer that is gone is found
by keep-alives, and one that is there and does not answer is left (L{scalemgr.ledger.postgres.patience}).

Nothing that is said here has a password in it, even where what was to be a connection string is none.
"""

from __future__ import annotations

import re
from select import POLLIN, poll
from typing import Any
from urllib.parse import quote, unquote

import psycopg
from psycopg import Connection, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..errors import LedgerRefused
from ..settings import LedgerSettings
from .patience import LOST_S, PatientConnection

__all__ = ["Server", "isAway", "isCut", "isMixedUp", "isWorthRepeating", "shown", "why"]

_VERSION = 130000

# The classes of what the server says when it, and not a statement, is the trouble: the connection, its resources, an
# operator, its system; and the conditions: it is not the one to write to, it has waited for us too long.
_AWAY = ("08", "53", "57P", "58", "25006", "25P03", "25P04")
# Of the words of a connection string, those that nobody needs to see.
_SECRET = re.compile("password|secret|scram", re.IGNORECASE)
# User, password, hosts, database and parameters, with nothing in them that must be written otherwise: whoever leaves an
# @ or a / in a password as it is has it taken for something else, which might be shown.
_URL = re.compile(
    r"(?P<scheme>postgres(?:ql)?)://(?:(?P<user>[^:@/?#\s]*)(?::[^@/?#\s]*)?@)?"
    r"(?P<hosts>(?:(?:\[[0-9a-fA-F:.%]*\]|[\w.%-]*)(?::[0-9]*)?,?)*)(?P<database>/[^/@?#\s]*)?"
    r"(?:\?(?P<query>[^#@?\s]*))?"
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
            # What it quotes may be a part of a password.
            said = re.sub('".*"', "(not shown)", why(e))
            raise LedgerRefused(f"{shown(url)} is none of PostgreSQL: {said}") from None
        self._settings = settings
        self.shown = shown(url)
        if "://" in url and not _URL.fullmatch(url):
            raise LedgerRefused(
                f"{self.shown} is none of PostgreSQL: it is to be postgresql://user:password@host:port/database, where "
                "in a name or password each of : / ? # [ ] @ % is written as % and two digits, as in %40 for @"
            )
        patience = settings.statement_seconds + LOST_S
        self._patience = patience
        given: dict[str, Any] = {
            "connect_timeout": max(2, round(settings.connect_seconds)),
            "target_session_attrs": "read-write",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": int(1000 * patience),
        }
        self._conninfo = make_conninfo(**{**given, **words, "client_encoding": "UTF8"})

    def connect(self, purpose: str, *, readOnly: bool = False) -> PatientConnection:
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
        connection = PatientConnection.connect(conninfo, autocommit=True)
        connection.patience = self._patience
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
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(_AWAY)


def isCut(connection: Connection[Any]) -> bool:
    """Is a connection gone, as far as that can be known without asking? One over which nothing is being asked."""
    try:
        # Not select: it takes no number beyond 1023, and each session has one.
        said = poll()
        said.register(connection.pgconn.socket, POLLIN)
        # What it says when it ends comes first, and then the end.
        while not connection.closed and said.poll(0):
            connection.pgconn.consume_input()
    except (psycopg.Error, OSError):
        connection.close()
    return connection.closed


def isMixedUp(error: BaseException) -> bool:
    """Have we, or has psycopg, another idea of what was prepared over a connection than the server?"""
    return isinstance(error, (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement))


def isWorthRepeating(error: BaseException) -> bool:
    """Was a transaction given up for others that it was in the way of?"""
    return isinstance(error, _AGAIN)


def why(error: BaseException) -> str:
    """What an error of the server or of libpq says, in one line, without the password of a connection string."""
    said = str(error)
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        # Without the statement, and where in it.
        said = ": ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
    return " ".join(said.removeprefix("connection failed: ").split())[:500] or type(error).__name__


def _words(url: str) -> str:
    """As libpq takes it: C{postgresql:} before C{key=value} words is ours."""
    return url if "://" in url else url.removeprefix("postgresql:").removeprefix("postgres:")


def shown(url: str) -> str:
    """A connection string, for people: without its password. If it is none, nothing of it."""
    try:
        words = conninfo_to_dict(_words(url))
    except psycopg.Error:
        return "the connection string"
    if "://" not in url:
        return "postgresql:" + " ".join(
            f"{key}={quote(str(value), safe='/:,.@_-')}" for key, value in words.items() if not _SECRET.search(key)
        )
    parts = _URL.fullmatch(url)
    if parts is None:
        return "the connection string"
    user = "" if parts["user"] is None else f"{parts['user']}@"
    query = "&".join(
        word for word in (parts["query"] or "").split("&") if word and not _SECRET.search(unquote(word.split("=")[0]))
    )
    return f"{parts['scheme']}://{user}{parts['hosts']}{parts['database'] or ''}{'?' if query else ''}{query}"
