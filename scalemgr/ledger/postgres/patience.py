"""A connection that does not wait for ever.

The server ends a statement that takes too long, and the system finds out that a peer is gone. Neither helps where what
is between the two, or the server's machine, takes what is sent and never answers. So each exchange has an end here too,
a little after the server's; then the connection is cut.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from psycopg.waiting import Ready

__all__ = ["LOST_S", "PatientConnection", "patient"]

#: How long what is sent may stay unanswered, beyond what a statement may take, in seconds.
LOST_S = 5.0

_Answer = TypeVar("_Answer")


class PatientConnection(Connection[Any]):
    """
    @ivar patience: how long one exchange may take, in seconds; C{None}: as long as it does.
    """

    patience: float | None = None

    def wait(self, gen: Generator[Any, Any, _Answer], *how: Any, **more: Any) -> _Answer:
        if self.patience is not None:
            gen = self._bounded(gen, self.patience)
        return super().wait(gen, *how, **more)

    def _bounded(self, gen: Generator[Any, Any, _Answer], seconds: float) -> Generator[Any, Any, _Answer]:
        until = time.monotonic() + seconds
        try:
            wanted = next(gen)
            while True:
                # It comes back ten times a second, whether there is something or not.
                ready = yield wanted
                if ready == Ready.NONE:
                    if time.monotonic() >= until:
                        gen.close()
                        self.pgconn.finish()
                        raise psycopg.OperationalError(f"the server does not answer within {seconds:g} s")
                    # It goes on to wait for the same.
                    gen.send(ready)
                else:
                    wanted = gen.send(ready)
        except StopIteration as e:
            answer: _Answer = e.value
            return answer


@contextmanager
def patient(connection: Connection[Any], seconds: float) -> Iterator[None]:
    """
    One that is asked for something that may take longer.

    @param seconds: how long; 0: as long as it does.
    """
    if not isinstance(connection, PatientConnection) or connection.patience is None:
        yield
        return
    before = connection.patience
    connection.patience = max(before, seconds + LOST_S) if seconds else None
    try:
        yield
    finally:
        connection.patience = before
