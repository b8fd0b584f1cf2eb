"""The memory of the daemon: what one more of something takes."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

from ..daemon import Daemon
from ..loads import Load
from ..stage import ACCOUNTS, Stage

__all__ = ["memory"]

_CONNECTIONS = 2000
_WAITERS = (50, 200)
# How long each half of the deposits over which memory is watched may take.
_SLOPE_S = 300.0
# Waiters are held up for seconds; nobody's time must be up meanwhile.
_PATIENT = "[sync]\ntimeout_ms = 25000\n"


def memory(stage: Stage) -> None:
    """All of it."""
    with stage.daemon(config=_PATIENT, subscriber=False) as daemon:
        few = daemon.rss()
        _connections(stage, daemon)
        _waiters(stage, daemon)
        if stage.plan.slope:
            _slope(stage, daemon)
    accounts = stage.plan.bigAccounts
    with stage.daemon(stage.ledger(accounts), subscriber=False) as daemon:
        stage.keep("memory of an account", "bytes", (daemon.rss() - few) / (accounts - ACCOUNTS))


def _connections(stage: Stage, daemon: Daemon) -> None:
    # The first ones make room that the others find.
    with stage.generator.beside(daemon.port, "subscribe", connections=200, token=daemon.token):
        before = daemon.rss()
        with stage.generator.beside(daemon.port, "subscribe", connections=_CONNECTIONS, token=daemon.token):
            stage.keep("memory of an idle connection", "bytes", (daemon.rss() - before) / _CONNECTIONS)


def _waiters(stage: Stage, daemon: Daemon) -> None:
    connections, inFlight = _WAITERS
    # As above; and what a load leaves behind is no waiter's.
    stage.deposits(daemon, connections, 16)
    before = daemon.rss()
    load = {"connections": connections, "in_flight": inFlight, "token": daemon.token}
    with closing(sqlite3.connect(daemon.folder / "log.db", isolation_level=None, timeout=10)) as log:
        # While we may write to the log nobody else can, so whoever asks for something has to wait.
        log.execute("BEGIN EXCLUSIVE")
        with stage.generator.beside(daemon.port, "deposit", **load):
            after = _steady(daemon)
            log.execute("ROLLBACK")
    stage.keep("memory of a waiter", "bytes", (after - before) / (connections * inFlight))
    daemon.settle()


def _steady(daemon: Daemon) -> int:
    """Its memory, once that does not grow any more."""
    rss = [0, daemon.rss()]
    end = time.monotonic() + 5
    while rss[-1] > rss[-2] and time.monotonic() < end:
        time.sleep(0.5)
        rss.append(daemon.rss())
    return rss[-1]


def _slope(stage: Stage, daemon: Daemon) -> None:
    """After a fifth of them all that is filled once is full."""
    first = _deposit(stage, daemon, stage.plan.slope // 5)
    before = daemon.rss()
    rest = _deposit(stage, daemon, stage.plan.slope - first)
    stage.keep("memory that a deposit leaves", "bytes", (daemon.rss() - before) / rest)
    stage.notes["memory that a deposit leaves"] = f"watched over {rest:,} deposits, after {first:,}"


def _deposit(stage: Stage, daemon: Daemon, count: int) -> int:
    """Make at least so many deposits, or fewer if that takes too long; how many were made."""
    made = 0
    end = time.monotonic() + _SLOPE_S
    while made < count and time.monotonic() < end:
        load: Load = stage.deposits(daemon, 50, 16, warmup=0, seconds=1.0)
        made += load["total"]
    return made
