"""What wakes a gateway when others have committed: what of it is lost costs time, and nothing else."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from scalemgr.ledger.postgres import listening
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.ledger.postgres.listening import Listener
from scalemgr.ledger.postgres.server import Server
from scalemgr.ledger.settings import LedgerSettings

from ..helpers import NOW_MS, depositEach, populate
from .gateways import Truth, gateway

_WAIT_S = 30


@pytest.fixture
def truth(postgresUrl: str) -> Iterator[Truth]:
    """The log."""
    with closing(Truth(postgresUrl)) as truth:
        yield truth


#: What C{select} takes ends here.
FD_SETSIZE = 1024


@contextmanager
def manyFiles() -> Iterator[None]:
    """What is opened meanwhile has a number beyond that."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 4 * FD_SETSIZE), before[1]))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(FD_SETSIZE)]
    try:
        yield
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Woken:
    """Counts what it is called for."""

    def __init__(self, ledger: PostgresLedger) -> None:
        self.count = 0
        self._called = threading.Event()
        ledger.follow(self)

    def __call__(self) -> None:
        self.count += 1
        self._called.set()

    def within(self, seconds: float = _WAIT_S) -> bool:
        """Is it called from now on, or was it since this was last asked?"""
        found = self._called.wait(seconds)
        self._called.clear()
        return found


def listens(truth: Truth) -> list[int]:
    """The server's processes of those who listen."""
    channel = truth.sql("SELECT 'scalemgr_' || 'ledger'::regclass::oid")[0][0]
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'scalemgr wake-ups' AND query = %s"
    return [pid for (pid,) in truth.sql(query, f"LISTEN {channel}")]


def until(truth: Truth, count: int) -> list[int]:
    """Wait until so many listen."""
    end = time.monotonic() + _WAIT_S
    while len(found := listens(truth)) != count:
        assert time.monotonic() < end, f"{len(found)} listen, and not {count}"
    return found


def test_told(postgresUrl: str, truth: Truth) -> None:
    """Others' commits wake, at once; one's own do not."""
    with gateway(postgresUrl, notify=True) as one, gateway(postgresUrl, notify=True) as other:
        until(truth, 2)
        woken, self = Woken(other), Woken(one)
        populate(one)
        assert woken.within()
        other.commit([], NOW_MS)
        assert other.book.seq == one.book.seq
        depositEach(one, 1)
        assert woken.within()
        # By now it would have heard of its own.
        depositEach(other, 1)
        assert self.within()
        assert self.count <= 1


def test_cutOff(postgresUrl: str, truth: Truth) -> None:
    """Whose listening is cut off listens again, and looks for what it missed."""
    with gateway(postgresUrl, notify=True) as one, gateway(postgresUrl, notify=True) as other:
        first = until(truth, 2)
        woken = Woken(other)
        for pid in first:
            truth.sql("SELECT pg_terminate_backend(%s, 5000)", pid)
        assert woken.within()
        while set(first) & set(until(truth, 2)):
            pass
        populate(one)
        assert woken.within()


@pytest.mark.parametrize("notify", [False, True])
def test_polled(postgresUrl: str, truth: Truth, notify: bool) -> None:
    """If nobody says so, it is looked now and then."""
    with gateway(postgresUrl, notify=notify, poll_seconds=0.05) as one:
        woken = Woken(one)
        for _ in range(3):
            assert woken.within()
        assert len(until(truth, int(notify))) == int(notify)


def test_manySessions(postgresUrl: str, truth: Truth) -> None:
    """It hears, and is cut off and comes back, though the process has thousands of connections already."""
    with manyFiles(), gateway(postgresUrl, notify=True) as one, gateway(postgresUrl, notify=True) as other:
        first = until(truth, 2)
        assert one._file.connection.fileno() > FD_SETSIZE
        woken = Woken(other)
        for pid in first:
            truth.sql("SELECT pg_terminate_backend(%s, 5000)", pid)
        while set(first) & set(until(truth, 2)):
            pass
        populate(one)
        assert woken.within()
        # A question looks whether its connection is there yet.
        assert other.account(1001) is not None
        truth.sql("SELECT pg_terminate_backend(%s, 5000)", other._asked.views()._connection.info.backend_pid)
        assert other.account(1001) is not None


def test_quickToStop(postgresUrl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends though it polls once in ten minutes, or is just connecting to who does not answer."""
    monkeypatch.setattr(listening, "_END_S", 0.1)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        nobody = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/db"
        for url, channel in ((postgresUrl, ""), (postgresUrl, "scalemgr_1"), (nobody, "scalemgr_1")):
            heard: list[int] = []
            settings = LedgerSettings(url=url, connect_seconds=600)
            listener = Listener(Server(url, settings), channel, 600, heard.append)
            listener.start()
            listener.stop()
            silent.settimeout(1)
    before = len(heard)
    assert before <= 1
