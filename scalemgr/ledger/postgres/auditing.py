"""The audit of a ledger on PostgreSQL: the log, the views, and the book that was written down.

Reads only, over connections of its own, while gateways are at work. Views and book are read first, then the log, so
that it has what they have; they may be behind it, and are compared as of the entry that they have come to. The log and
the views may be on two servers, and either may be a standby.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg

from ...wire.errors import LedgerFailed
from ..audit import Audit, Kept, Tell, audit, keptBook, keptViews, nobody
from ..errors import LedgerRefused, LedgerUnreachable
from ..settings import LedgerSettings
from ..snapshot import readSnapshot
from .log import PostgresLog
from .migrating import demandKnown
from .server import Server, why
from .views import PostgresViews

__all__ = ["readable", "verify"]

_BOUNDS = 10_000
# So many gaps are named; after one there may be as many as there are pages.
_NAMED = 20
# How long a standby with the log may take to come to where the views are.
_PATIENCE_S = 10.0
_AGAIN_S = 0.1


def readable(settings: LedgerSettings, purpose: str = "reading") -> PostgresLog:
    """
    A log to be read: that of the server that can be written to, or, if there is none now, of any.

    @raise LedgerRefused: if there is no log.
    """
    server = Server(settings.url, settings)
    try:
        log = PostgresLog(server, purpose)
    except LedgerUnreachable:
        log = PostgresLog(server, purpose, readOnly=True)
    try:
        demandKnown(log.connection, "log", server.shown)
        if not log.isWhole:
            raise LedgerRefused(
                f"a ledger is being copied to {server.shown}, and is not there to its end; let `scalemgr copy` go on"
            )
    except psycopg.Error as e:
        log.close()
        raise LedgerRefused(f"{server.shown} cannot be read: {why(e)}") from e
    except BaseException:
        log.close()
        raise
    return log


def verify(settings: LedgerSettings, tell: Tell = nobody) -> Audit:
    """
    Audit a ledger.

    @raise LedgerRefused: if there is none, or it cannot be read, or cannot be read to the end.
    """
    with closing(readable(settings, "verify")) as log:
        try:
            return _audit(settings, log, tell)
        except (LedgerFailed, psycopg.Error) as e:
            raise LedgerRefused(f"{Server(settings.url, settings).shown} cannot be read to the end: {why(e)}") from e


def _audit(settings: LedgerSettings, log: PostgresLog, tell: Tell) -> Audit:
    server = Server(settings.views_url, settings) if settings.views_url else Server(settings.url, settings)
    kept: list[Kept] = []
    differences: list[str] = []
    # If they cannot be read, that is a difference, and not that there are none.
    hasViews = True
    try:
        with closing(server.connect("verify", readOnly=not _canWrite(log))) as connection:
            hasViews = _hasViews(connection, server.shown)
            if hasViews:
                kept.append(keptViews(PostgresViews(connection, log.epoch, readOnly=True).frozen(), "the views"))
    except ValueError as e:
        differences.append(
            f"the views at {server.shown} cannot be used: {e}; the next start of a gateway makes them again"
        )
    except (psycopg.Error, LedgerRefused) as e:
        differences.append(f"the views at {server.shown} cannot be read: {why(e)}")
    saved = log.saved()
    if saved is not None:
        last, stamp, body = saved
        book = readSnapshot(body, log.epoch)
        # Else it is of what the log has lost, or of another, and no gateway uses it.
        if book is not None and log.stampAt(last) == stamp:
            kept.append(keptBook(book, "the book"))
    _await(log, max((one.seq for one in kept), default=0))
    differences += _gaps(log, log.head())
    found = audit(log, kept, tell, "the log")
    # After the entries: so each order in them was reserved before.
    nextOrder = log.nextOrder()
    if found.order >= nextOrder:
        differences.append(
            f"the log: it has order {found.order}, but the next one to be handed out is {nextOrder}, which may have "
            "been given already"
        )
    found.differences = differences + found.differences
    found.hasViews = hasViews
    return found


def _canWrite(log: PostgresLog) -> bool:
    row = log.connection.execute("SELECT pg_is_in_recovery()").fetchone()
    return row is not None and not row[0]


def _hasViews(connection: psycopg.Connection[object], shown: str) -> bool:
    """Has a gateway begun to make them?"""
    row = connection.execute("SELECT to_regclass('view')").fetchone()
    if row is None or row == (None,):
        return False
    demandKnown(connection, "views", shown)
    return connection.execute("SELECT 1 FROM view").fetchone() is not None


def _await(log: PostgresLog, seq: int) -> None:
    until = time.monotonic() + _PATIENCE_S
    while log.head() < seq and time.monotonic() < until:
        time.sleep(_AGAIN_S)


def _gaps(log: PostgresLog, head: int) -> Iterator[str]:
    """Where a page does not begin after the one before it."""
    before, found = 0, 0
    while before < head and (bounds := log.bounds(before, _BOUNDS)):
        for first, last in bounds:
            if first != before + 1:
                found += 1
                if found <= _NAMED:
                    missing = f"the entries {before + 1} to {first - 1} are missing"
                    twice = f"the pages that end with the entries {before} and {last} overlap"
                    yield f"the log: {missing if first > before else twice}"
            before = last
    if found > _NAMED:
        yield f"the log: and so on, {found} times in all"
