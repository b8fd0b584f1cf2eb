"""What a commit costs that is far from its server: how often it waits for an answer."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.money import Amount
from scalemgr.finance.requests import Cause, MoveMoney
from scalemgr.ledger.postgres.following import Servers
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.ledger.projector import ThreadProjector
from scalemgr.ledger.settings import LedgerSettings
from scalemgr.wire.codes import TradeCommand

from ..helpers import NOW_MS, commit, deposit, populate

# After that all that is prepared is.
WARM = 10


def keyed(order: int) -> MoveMoney:
    """A deposit with a key of its own."""
    cause = Cause("crm", EVERYTHING, f"key {order}")
    return MoveMoney(cause, TradeCommand.OP_BALANCE_IN, 1001, Amount(100, 2), order)


class Between:
    """
    Lets everything through to a server, and counts.

    @ivar trips: how often somebody spoke to it who had heard from it last.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self.trips = 0
        self._counting = threading.Lock()
        threading.Thread(target=self._welcome, daemon=True).start()

    def _welcome(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=[client], daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        heard = True
        with client, socket.create_connection(self._server) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                # What a client was told before it speaks comes first.
                for end in sorted(ready, key=lambda end: end is client):
                    try:
                        said = end.recv(1 << 20)
                    except OSError:
                        said = b""
                    if not said:
                        return
                    if end is client:
                        with self._counting:
                            self.trips += heard
                        heard = False
                        server.sendall(said)
                    else:
                        heard = True
                        client.sendall(said)

    def during(self, what: Callable[[], object]) -> int:
        """How many there were meanwhile."""
        before = self.trips
        what()
        return self.trips - before

    def close(self) -> None:
        self._door.close()


@pytest.fixture
def between(postgresUrl: str) -> Iterator[Between]:
    """Between a gateway and its server."""
    parts = urlsplit(postgresUrl)
    counted = Between(parts.hostname or "127.0.0.1", parts.port or 5432)
    yield counted
    counted.close()


@pytest.fixture
def ledger(postgresUrl: str, between: Between) -> Iterator[PostgresLedger]:
    """One that has been at work, whose own connections are counted; those of its views and its wake-ups are not."""
    parts = urlsplit(postgresUrl)
    user = parts.netloc.rpartition("@")[0]
    there = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{between.port}"))
    direct = LedgerSettings(url=postgresUrl)
    settings = LedgerSettings(url=there, notify=False, poll_seconds=600)
    made = PostgresLedger(settings, follow=lambda _: ThreadProjector(Servers(direct)))
    made.open(NOW_MS)
    try:
        populate(made)
        for n in range(WARM):
            commit(made, keyed(n + 1))
        yield made
    finally:
        made.close(None)


@pytest.mark.parametrize("count", [1, 200])
def test_with_keys(ledger: PostgresLedger, between: Between, count: int) -> None:
    """Three, however much is committed: the keys; the lock, and what others have added; the pages, and the end."""
    batch = [keyed(100 + n) for n in range(count)]
    assert between.during(lambda: commit(ledger, *batch)) == 3


def test_without_keys(ledger: PostgresLedger, between: Between) -> None:
    """Two, if there is nothing to look up."""
    assert between.during(lambda: commit(ledger, deposit(100))) == 2


def test_catching_up(ledger: PostgresLedger, between: Between) -> None:
    """One, and no lock, to see whether others have added something."""
    assert between.during(lambda: commit(ledger)) == 1
