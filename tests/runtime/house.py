"""A daemon whose ledger and whose threads do what they are told, with two sessions of one caller."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import pytest
from twisted.internet.defer import Deferred

from scalemgr.finance.records import Entry
from scalemgr.finance.requests import KeyName
from scalemgr.wire.errors import LedgerFailed

from ..helpers import Daemon, Session, WatchedLedger, fresh

COMMANDS = ["BalanceIn", "BalanceInSync"]
both = pytest.mark.parametrize("command", COMMANDS)
VOID = LedgerFailed("the disk is full", outcome="void")
PENDING = LedgerFailed("the disk went away", outcome="pending")


class Ledger(WatchedLedger):
    """
    @ivar blind: can keys not be looked up?
    @ivar dead: is it not even found out what became of the last batch?
    """

    blind = dead = False

    def _refresh(self) -> list[Entry]:
        if self.dead:
            raise VOID
        return super()._refresh()

    def keyed(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        if self.blind:
            raise LedgerFailed("the views cannot be read now", outcome="pending")
        return super().keyed(names)


class House:
    """A daemon with two sessions of one principal."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.daemon = Daemon(ledger=self.ledger)
        self.one, self.two = self.daemon.staff(), self.daemon.staff()
        self.ledgerThread, self.readerThread = self.daemon.ledgerThread, self.daemon.readerThread

    def block(self) -> None:
        """Put a batch under way, so that what comes next stays in the queue."""
        self.ledgerThread.held = True
        self.daemon.staff().deposit(fresh(), 1.0, login=1002, timeout_ms=25_000)
        self.daemon.settle()

    def wait(self, seconds: float) -> None:
        self.daemon.clock.pump([0.05] * round(seconds / 0.05))

    def release(self) -> None:
        self.ledgerThread.release()
        self.wait(1.2)

    def state(self, key: str) -> str:
        """What C{GetRequest} says, from a session that came for that."""
        session = self.daemon.staff()
        session.send("GetRequest", "q", {"idempotency_key": key})
        self.daemon.settle()
        [answer] = session.answers()
        return str(answer["data"].get("state", answer["status"]))


class Told(NamedTuple):
    """An answer in short."""

    extID: str
    status: int
    replayed: bool
    outcome: str | None


def told(session: Session) -> list[Told]:
    return [
        Told(a["extID"], a["status"], a.get("replayed", False), a["data"].get("outcome")) for a in session.answers()
    ]


def ok(extID: str, replayed: bool = False) -> list[Told]:
    return [Told(extID, 200, replayed, None)]


def late(extID: str, outcome: str) -> list[Told]:
    return [Told(extID, 504, False, outcome)]


class SlowReader:
    """Stands in for the reader's thread: what it has found is on its way back until it is let go."""

    def __init__(self, house: House) -> None:
        self._back: list[Callable[[], None]] = []
        setattr(house.daemon.runtime._underWay._lookups, "_inReader", self)

    def __call__(self, f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        found = f(*args)
        done: Deferred[Any] = Deferred()
        self._back.append(lambda: done.callback(found))
        return done

    def letGo(self) -> None:
        while self._back:
            self._back.pop(0)()


def keepAndFail(ledger: Ledger) -> None:
    """Let the next commit be kept, and fail in a way that does not tell; the one after finds it."""
    append = ledger._append

    def keep(entries: list[Entry]) -> None:
        setattr(ledger, "_append", append)
        append(entries)
        setattr(ledger, "_refresh", lambda: _fold(ledger, entries))
        raise PENDING

    setattr(ledger, "_append", keep)


def _fold(ledger: Ledger, entries: list[Entry]) -> list[Entry]:
    """What a ledger on a disk does at its next commit."""
    delattr(ledger, "_refresh")
    for entry in entries:
        ledger.book.apply(entry)
    ledger._appended(entries)
    return entries
