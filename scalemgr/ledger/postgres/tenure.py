"""Which gateway makes the views on a server: the one whose connection has a lock there, until that connection ends.

The lock is the connection's, and all that is written goes over the same one. So who has lost the lock without knowing,
since the connection was cut or the server has thrown it out, cannot write any more either. Should something between
the two give the lock to one connection and the writing to another, as a pooler of transactions does, there is L{hold
<Tenure.hold>}: it lets one turn follow another, and none be done twice.

The server ends a connection that has the lock and says nothing for a while, or whose other end is gone while it works.
So the others need not wait for one whose process, machine or network has stopped without a word.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from psycopg import Connection, errors

from ..errors import LedgerRefused

__all__ = ["TABLES", "Row", "Tenure"]

#: All that is emptied when views are made again.
TABLES = ("view", '"group"', "account", "profile", "trade", "digits", "movement", "key")

# "scav". The other half is the table, which is the same for all who use it, and that of no other ledger.
_KEY = "1935892854, 'view'::regclass::oid::integer"
_TAKE = (
    f"SELECT epoch, seq, stamp, taken FROM (SELECT pg_try_advisory_lock({_KEY}) AS taken) AS lock"
    " LEFT JOIN view ON true"
)
_LOOK = "SELECT epoch, seq, stamp FROM view"
_CLEAR = f"TRUNCATE {', '.join(TABLES)}"

# For how long who has the lock may say nothing; it is asked for more than every other second. In seconds.
_SILENT_S = 5
# The first version that can see to that.
_ENDS = 140000


class Row(NamedTuple):
    """
    How far the views are.

    @ivar epoch: of which log; empty: there are none yet.
    @ivar seq: the last entry that is in.
    @ivar stamp: of the page of the log that this one is on. By that it is known for the one that it was.
    """

    epoch: str = ""
    seq: int = 0
    stamp: str = ""


class Tenure:
    """
    @param connection: in autocommit mode; it has the tables of the views.
    @ivar isMine: is it the one that makes them?
    """

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        self.isMine = False

    def take(self) -> Row:
        """
        Take the lock if it is free, and see how far they are.

        @raise psycopg.Error: from this and all others, if the server cannot be asked.
        """
        row = self.connection.execute(_TAKE.encode()).fetchone()
        assert row is not None
        if row[-1]:
            self.isMine = True
            if self.connection.info.server_version >= _ENDS:
                self._lookAfter()
            # What it was before the lock was had may be another's last but one.
            return self.look()
        return _row(row[:-1])

    def _lookAfter(self) -> None:
        """Should this process, machine or network end without a word, the lock is free soon."""
        self.connection.execute("SELECT set_config('idle_session_timeout', %s, false)", [f"{_SILENT_S}s"])
        try:
            # While a statement runs, too.
            self.connection.execute("SELECT set_config('client_connection_check_interval', '1s', false)")
        except errors.InvalidParameterValue:
            # Not every system can see that. Then the statement's own time ends it.
            pass

    def look(self) -> Row:
        """How far they are."""
        return _row(self.connection.execute(_LOOK.encode()).fetchone())

    def hold(self, row: Row) -> None:
        """
        In a transaction: nobody else goes on from here before its end.

        @raise LedgerRefused: if somebody has already.
        """
        found = _row(self.connection.execute(f"{_LOOK} FOR UPDATE".encode()).fetchone())
        if found != row:
            raise LedgerRefused(
                f"somebody else has written the views: they were at entry {row.seq}, and are at {found.seq}"
            )

    def mark(self, stamp: str) -> None:
        """In that transaction: the page of the entry that is the last one now."""
        self.connection.execute("UPDATE view SET stamp = %s", [stamp])

    def clear(self, epoch: str) -> None:
        """There is nothing in them from here on, and they are of this log."""
        with self.connection.transaction():
            self.connection.execute(_CLEAR.encode())
            self.connection.execute("INSERT INTO view (id, epoch, seq) VALUES (1, %s, 0)", [epoch])

    def close(self) -> None:
        """Let another one have them."""
        self.connection.close()


def _row(values: Any) -> Row:
    return Row() if values is None or values[0] is None else Row(*values)
