"""A ledger on a server, as what is copied, and as what is copied to.

While a log is copied here, its row in C{ledger} says that it is not whole, and no gateway opens it. As long as either
connection lasts that has excluded them, none begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import psycopg

from ...wire.errors import LedgerFailed
from ..copying import Row
from ..errors import LedgerRefused, LedgerUnreachable
from ..pages import WITHOUT_GAP
from ..settings import LedgerSettings
from .auditing import readable
from .log import EXCLUDE, PostgresLog
from .migrating import migrate
from .server import Server, why

__all__ = ["ServerOrigin", "ServerTarget", "renew"]

# How much is copied at a time.
_PAGES = 10_000
_BYTES = 8 * 1024 * 1024

_REACH = (
    "SELECT max(last) FROM (SELECT last, sum(octet_length(entries)) OVER (ORDER BY last) - octet_length(entries)"
    " AS before FROM (SELECT last, entries FROM page WHERE last > %s AND last <= %s ORDER BY last LIMIT %s) AS those)"
    " AS summed WHERE before < %s"
)
_NEXT = "SELECT last, first, entries, stamp FROM page WHERE last > %s AND last <= %s ORDER BY last"
_IDENTITY = (
    "SELECT (SELECT system_identifier FROM pg_control_system()), (SELECT oid FROM pg_database"
    " WHERE datname = current_database()), 'ledger'::regclass::oid"
)
_HEAD = "SELECT coalesce(max(last), 0) FROM page"
_AT_WORK = (
    "a gateway is at work on the ledger at {}, or it is a standby; stop all of them, and copy from the server that "
    "can be written to"
)


class _Server:
    """What the two have in common: a connection to a log."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], shown: str) -> None:
        self.shown = shown
        self._connection = connection
        self.identity: object = self._rows(_IDENTITY)[0]

    def head(self) -> int:
        """The last entry; 0: there is none."""
        return int(str(self._rows(_HEAD)[0][0]))

    def pageAt(self, last: int) -> str | None:
        """What is on the page that ends with an entry."""
        rows = self._rows("SELECT entries FROM page WHERE last = %s", last)
        return str(rows[0][0]) if rows else None

    def _rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with self._saying():
            return self._connection.execute(sql.encode(), values or None).fetchall()

    @contextmanager
    def _saying(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, LedgerFailed) as e:
            raise LedgerRefused(f"{self.shown}: {why(e)}") from e


class ServerOrigin(_Server):
    """
    A server that is copied from: L{IOrigin <scalemgr.ledger.copying.IOrigin>}.

    @raise LedgerRefused: if there is no ledger that can be read.
    """

    def __init__(self, settings: LedgerSettings) -> None:
        self._log: PostgresLog = readable(settings, "copy")
        try:
            super().__init__(self._log.connection, Server(settings.url, settings).shown)
            ((created,),) = self._rows("SELECT created_ms FROM ledger")
        except BaseException:
            self._log.close()
            raise
        self.epoch = self._log.epoch
        self.createdMs = int(str(created))
        self._excluded = False

    def nextOrder(self) -> int:
        """No order from here up was ever reserved."""
        with self._saying():
            return self._log.nextOrder()

    def named(self) -> str:
        """The name that it has by now."""
        return str(self._rows("SELECT epoch FROM ledger")[0][0])

    def pages(self, after: int, upTo: int) -> list[Row]:
        """The next ones, in statements that do not take long."""
        ((reach,),) = self._rows(_REACH, after, upTo, _PAGES, _BYTES)
        if reach is None:
            return []
        return self._rows(_NEXT, after, reach)  # type: ignore[return-value]

    def exclude(self) -> str:
        """See to it that no gateway begins."""
        if not self._excluded:
            with self._saying():
                self._excluded = self._log.exclude()
        return "" if self._excluded else _AT_WORK.format(self.shown)

    def close(self) -> None:
        """Let go of it."""
        self._log.close()


class ServerTarget(_Server):
    """
    A server that is copied to: L{ITarget <scalemgr.ledger.copying.ITarget>}. The tables are made if need be.

    @raise LedgerRefused: if they cannot be, or a gateway uses them.
    """

    def __init__(self, settings: LedgerSettings) -> None:
        server = Server(settings.url, settings)
        try:
            connection = server.connect("copy")
        except psycopg.Error as e:
            raise LedgerUnreachable(f"{server.shown} cannot be reached: {why(e)}") from e
        try:
            with _refusing(server.shown):
                migrate(connection, "log", server.shown)
            super().__init__(connection, server.shown)
            if self._rows(EXCLUDE) != [(True,)]:
                raise LedgerRefused(f"a gateway, or another copy, is at work on the ledger at {server.shown}")
            rows = self._rows("SELECT epoch, whole FROM ledger")
            if not rows and self._rows("SELECT to_regclass('view') IS NOT NULL") == [(True,)]:
                # They may be of a log of the same name that has gone on by itself.
                raise LedgerRefused(f"{server.shown} has the views of another ledger; copy to an empty place")
        except BaseException:
            connection.close()
            raise
        self.epoch, self.isWhole = (str(rows[0][0]), bool(rows[0][1])) if rows else ("", False)

    def begin(self, epoch: str, createdMs: int) -> None:
        """An empty log."""
        with self._saying():
            self._connection.execute(
                "INSERT INTO ledger (id, epoch, created_ms, next_order, whole) VALUES (1, %s, %s, 1, false)",
                [epoch, createdMs],
            )
        self.epoch = epoch

    def add(self, rows: Sequence[Row]) -> None:
        """Add pages, which keep the stamps that they have."""
        stamp = f"copy-{uuid4().hex}"
        with (
            self._saying(),
            self._connection.transaction(),
            self._connection.cursor() as cursor,
            cursor.copy("COPY page (last, first, entries, stamp) FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.set_types(["int8", "int8", "text", "text"])
            for row in rows:
                copy.write_row(row if row[3] else (*row[:3], stamp))

    def finish(self, nextOrder: int) -> None:
        """From here on a gateway may open it."""
        with self._saying():
            ((isAll,),) = self._connection.execute(WITHOUT_GAP).fetchall()
            if not isAll:
                raise LedgerRefused(f"pages are missing among those at {self.shown}; empty it, and copy it anew")
            self._connection.execute("UPDATE ledger SET next_order = %s, whole = true", [nextOrder])
        self.isWhole = True

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


@contextmanager
def _refusing(shown: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as e:
        raise LedgerRefused(f"{shown}: {why(e)}") from e


def renew(settings: LedgerSettings, skippedOrders: int) -> tuple[str, int, int]:
    """
    Make a log another one, that has all of its entries.

    @return: its new name, its last entry, and the next order that is handed out.
    @raise LedgerRefused: if a gateway is at work, or it cannot be written.
    """
    shown = Server(settings.url, settings).shown
    log = readable(settings, "renew")
    try:
        with _refusing(shown):
            if not log.exclude():
                raise LedgerRefused(
                    f"a gateway is at work on the ledger at {shown}, or it is a standby; stop all first"
                )
            # First: what is skipped for nothing is no harm.
            log.connection.execute("UPDATE ledger SET next_order = next_order + %s", [skippedOrders])
            order = log.nextOrder()
            log.renew()
            return log.epoch, log.head(), order
    except LedgerFailed as e:
        raise LedgerRefused(f"{shown}: {e}") from e
    finally:
        log.close()
