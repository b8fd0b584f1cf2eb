"""Fold the log again and compare: is what is kept what follows from the log?

Reads only, over connections of its own, so it can run beside the daemon that has the ledger. The views are
read as of one moment; entries that come meanwhile do not disturb it.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path

from msgspec import Struct

from ..finance.book import Book
from ..finance.records import BROADCAST, GROUP_EVENT, REFUSAL, TRADE_EVENT, USER_EVENT, Account
from ..finance.requests import KeyName
from .errors import LedgerRefused
from .log import SqliteLog
from .snapshot import loadSnapshot
from .views import Frozen, Views, condense

__all__ = ["Audit", "verify"]


class Audit(Struct):
    """
    What was found.

    @ivar seq: the head of the log that was folded.
    @ivar events: how many of its entries were broadcast.
    @ivar refusals: how many of them are refusals.
    @ivar keys: the idempotency keys that count.
    @ivar differences: one sentence each.
    """

    epoch: str
    seq: int
    accounts: int
    trades: int
    events: int
    refusals: int
    keys: int
    differences: list[str]


def verify(folder: Path) -> Audit:
    """
    Audit the ledger in a folder.

    @raise LedgerRefused: if there is none, or it cannot be read.
    """
    try:
        log = SqliteLog(folder / "log.db", readOnly=True)
    except (LedgerRefused, sqlite3.Error) as e:
        raise LedgerRefused(f"there is no ledger to be read in {folder}: {e}") from e
    views: Views | None = None
    differences: list[str] = []
    try:
        try:
            if not (folder / "views.db").exists():
                raise LedgerRefused("it is missing; the next start of the daemon makes it again")
            views = Views(folder / "views.db", log.epoch, readOnly=True)
        except (sqlite3.Error, LedgerRefused, ValueError) as e:
            differences.append(f"views.db cannot be read: {e}")
        return _audit(folder, log, views, differences)
    finally:
        if views is not None:
            views.close()
        log.close()


def _audit(folder: Path, log: SqliteLog, views: Views | None, differences: list[str]) -> Audit:
    # What was kept, each as of its own entry, is compared when the fold has come to that entry.
    kept: list[tuple[int, Callable[[_Fold], Iterable[str]]]] = []
    snapshot = loadSnapshot(folder / "book.snapshot", log.epoch)
    if snapshot is not None:
        kept.append((snapshot.seq, partial(_checkSnapshot, snapshot)))
    if views is not None:
        try:
            frozen = views.frozen()
            kept.append((frozen.seq, partial(_checkViews, frozen)))
        except sqlite3.Error as e:
            differences.append(f"views.db cannot be read: {e}")
    fold = _Fold(log)
    try:
        head = log.head()
        for seq, check in sorted(kept, key=itemgetter(0)):
            fold.upTo(seq)
            differences += check(fold)
        fold.upTo(head)
    except (sqlite3.Error, ValueError, KeyError, AssertionError) as e:
        differences.append(f"log.db: {e}")
    trades = sum(event == TRADE_EVENT for event, _ in fold.contents)
    differences += fold.doubles
    return Audit(
        log.epoch,
        fold.book.seq,
        len(fold.book.accounts),
        trades,
        fold.events,
        fold.refusals,
        len(fold.keys),
        differences,
    )


class _Fold:
    """A book in the making, and what the views should keep of what it came by."""

    def __init__(self, log: SqliteLog) -> None:
        self.book = Book()
        self.contents: dict[tuple[str, int | str], int] = {}
        self.keys: dict[KeyName, int] = {}
        self._used: deque[tuple[int, KeyName]] = deque()
        self.doubles: list[str] = []
        self.events = self.refusals = 0
        self._entries = chain.from_iterable(log.pages(0))

    def upTo(self, seq: int) -> None:
        """
        Go on to this entry.

        @raise ValueError: if the log does not have it, or has a gap before it.
        """
        while self.book.seq < seq:
            entry = next(self._entries, None)
            if entry is None:
                raise ValueError(f"entry {self.book.seq + 1} is missing")
            self.book.apply(entry)
            if entry.event in BROADCAST:
                self.events += 1
                key = entry.order or entry.login or entry.group
                self.contents[entry.event, key] = condense(entry.group, entry.record or entry.data)
            self.refusals += entry.event == REFUSAL
            if entry.key is not None:
                self._use((entry.principal, entry.key), entry.seq)
            self._forget()

    def _use(self, name: KeyName, seq: int) -> None:
        first = self.keys.setdefault(name, seq)
        if first != seq:
            self.doubles.append(f"log.db: the key {name[1]!r} of {name[0]} has two entries, {first} and {seq}")
        self._used.append((seq, name))

    def _forget(self) -> None:
        while self._used and self._used[0][0] <= self.book.forgotten:
            seq, name = self._used.popleft()
            if self.keys.get(name) == seq:
                del self.keys[name]


def _checkSnapshot(snapshot: Book, fold: _Fold) -> Iterator[str]:
    yield from (f"book.snapshot: {d}" for d in _compare(fold.book, snapshot.accounts))
    if fold.book.groups != snapshot.groups or fold.book.nextLogin != snapshot.nextLogin:
        yield "book.snapshot: the groups or the next login differ"
    if fold.book.forgotten != snapshot.forgotten:
        yield "book.snapshot: which keys are forgotten differs"


def _checkViews(frozen: Frozen, fold: _Fold) -> Iterator[str]:
    yield from (f"views.db: {d}" for d in _compare(fold.book, frozen.accounts))
    for event, key in sorted(fold.contents.keys() | frozen.contents.keys(), key=str):
        kept = frozen.contents.get((event, key))
        if kept != fold.contents.get((event, key)):
            how = "is missing" if kept is None else "is not what the log says"
            yield f"views.db: {_NAMES[event]} {key} {how}"
    for principal, name in sorted(fold.keys.keys() ^ frozen.keys.keys()):
        how = "is missing" if (principal, name) in fold.keys else "is there, which the log does not say"
        yield f"views.db: the key {name!r} of {principal} {how}"
    for principal, name in sorted(fold.keys.keys() & frozen.keys.keys()):
        if fold.keys[principal, name] != frozen.keys[principal, name]:
            yield f"views.db: the key {name!r} of {principal} is of another entry than the log says"


_NAMES = {TRADE_EVENT: "order", USER_EVENT: "the profile of login", GROUP_EVENT: "group"}


def _compare(book: Book, kept: dict[int, Account]) -> Iterator[str]:
    for login in sorted(book.accounts.keys() | kept.keys()):
        expected, found = book.accounts.get(login), kept.get(login)
        if expected is None or found is None:
            yield f"login {login} is {'missing' if found is None else 'there'}, which the log does not say"
            continue
        for name in expected.__struct_fields__:
            says, is_ = getattr(expected, name), getattr(found, name)
            if says != is_:
                yield f"login {login}: {name} is {is_}, the log says {says}"
