"""Fold the log again and compare: is what is kept what follows from the log?

Reads only, over connections of its own, so it can run beside the daemon that has the ledger. The views are
read as of one moment; entries that come meanwhile do not disturb it.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import NamedTuple

import ujson
from msgspec import Struct

from ..finance.book import Book
from ..finance.money import fromMinor
from ..finance.records import (
    BALANCE_EVENT,
    BROADCAST,
    GROUP_EVENT,
    REFUSAL,
    TRADE_EVENT,
    USER_EVENT,
    Account,
    Entry,
)
from ..finance.requests import KeyName
from .errors import LedgerRefused
from .finding import Log
from .frozen import Frozen, condense
from .log import SqliteLog
from .projection import Change, read
from .reading import logIn
from .snapshot import loadSnapshot
from .views import Views

__all__ = ["Audit", "Kept", "Tell", "audit", "keptBook", "keptViews", "nobody", "verify", "verifyLog"]

#: Is told again and again how many entries are done, and of how many.
Tell = Callable[[int, int], object]


def nobody(done: int, total: int) -> None:
    """Nobody wants to be told."""


class Audit(Struct):
    """
    What was found.

    @ivar seq: the head of the log that was folded.
    @ivar events: how many of its entries were broadcast.
    @ivar refusals: how many of them are refusals.
    @ivar keys: the idempotency keys that count.
    @ivar differences: one sentence each.
    @ivar order: the highest one that an entry has which is no refusal.
    @ivar hasViews: are there any? There need not be where a gateway has yet to make them.
    """

    epoch: str
    seq: int
    accounts: int
    trades: int
    events: int
    refusals: int
    keys: int
    differences: list[str]
    order: int = 0
    hasViews: bool = True


class Kept(NamedTuple):
    """
    Something that is made from the log.

    @ivar seq: the entry that it is as of.
    @ivar name: what it is called.
    @ivar check: how to find what differs, when the fold has come to that entry.
    """

    seq: int
    name: str
    check: Callable[[_Fold], Iterable[str]]


def verify(folder: Path, tell: Tell = nobody) -> Audit:
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
        return _audit(folder, log, views, differences, tell)
    finally:
        if views is not None:
            views.close()
        log.close()


def verifyLog(path: Path, tell: Tell = nobody) -> Audit:
    """
    Audit a log that has nothing beside it, such as a backup.

    @raise LedgerRefused: if it is none, or cannot be read.
    """
    with closing(logIn(path)) as log:
        return audit(log, [], tell)


def _audit(folder: Path, log: SqliteLog, views: Views | None, differences: list[str], tell: Tell) -> Audit:
    kept: list[Kept] = []
    snapshot = loadSnapshot(folder / "book.snapshot", log.epoch)
    if snapshot is not None:
        kept.append(keptBook(snapshot, "book.snapshot"))
    if views is not None:
        try:
            kept.append(keptViews(views.frozen(), "views.db"))
        except sqlite3.Error as e:
            differences.append(f"views.db cannot be read: {e}")
    found = audit(log, kept, tell)
    found.differences = differences + found.differences
    return found


def keptBook(book: Book, name: str) -> Kept:
    """A book that was written down."""
    return Kept(book.seq, name, lambda fold: _checkSnapshot(book, fold))


def keptViews(frozen: Frozen, name: str) -> Kept:
    """Views as of one moment."""
    return Kept(frozen.seq, name, lambda fold: _checkViews(frozen, fold))


def audit(log: Log, kept: list[Kept], tell: Tell = nobody, name: str = "log.db") -> Audit:
    """
    Fold a log.

    @param kept: what is compared with it, each as of its own entry.
    @param name: what the log is called.
    """
    fold = _Fold(log)
    differences: list[str] = []
    try:
        head = log.head()
        fold.tell = lambda seq: tell(seq, head)
        for one in sorted(kept, key=attrgetter("seq")):
            fold.upTo(one.seq)
            differences += (f"{one.name}: {found}" for found in one.check(fold))
        fold.upTo(head)
        tell(head, head)
        fold.unsaid()
    except (sqlite3.Error, ValueError, KeyError, AssertionError) as e:
        differences.append(f"{name}: {e}")
    trades = sum(event == TRADE_EVENT for event, _ in fold.contents)
    differences += (f"{name}: {found}" for found in fold.doubles + fold.misstatements)
    return Audit(
        log.epoch,
        fold.book.seq,
        len(fold.book.accounts),
        trades,
        fold.events,
        fold.refusals,
        len(fold.keys),
        differences,
        fold.order,
    )


_UNSAID = "entry {} moves money and is not followed by what the account has then"


# In entries: a tenth of a second, or less.
_TELL_EACH = 5_000


class _Fold:
    """A book in the making, and what the views should keep of what it came by."""

    def __init__(self, log: Log) -> None:
        self.book = Book()
        self.contents: dict[tuple[str, int | str], int] = {}
        self.gone: set[str] = set()
        self.movements, self.moved = array("q"), array("q")
        self.keys: dict[KeyName, int] = {}
        self._used: deque[tuple[int, KeyName]] = deque()
        self.doubles: list[str] = []
        self.misstatements: list[str] = []
        # The last entry, if it moved money, and whether this log says what there is then.
        self._due = 0
        self._saysBalances = False
        self.events = self.refusals = self.order = 0
        self.tell: Callable[[int], object] = lambda seq: None
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
            self.events += entry.event in BROADCAST
            self._keep(read(entry))
            self._checkSaid(entry)
            self.refusals += entry.event == REFUSAL
            if entry.event != REFUSAL:
                # A refusal may be of an order that never was.
                self.order = max(self.order, entry.order)
            if entry.key is not None:
                self._use((entry.principal, entry.key), entry.seq)
            self._forget()
            if entry.seq % _TELL_EACH == 0:
                self.tell(entry.seq)

    def _checkSaid(self, entry: Entry) -> None:
        """Is what moves money followed by what is there then? In a log that begins before there was that: from the
        first one on."""
        if entry.event == BALANCE_EVENT:
            self._saysBalances = True
            self.misstatements += _misstated(self.book, entry)
        else:
            self.unsaid()
        self._due = entry.seq if entry.balance or entry.credit else 0

    def unsaid(self) -> None:
        """No balance follows the last entry."""
        if self._due and self._saysBalances:
            self.misstatements.append(_UNSAID.format(self._due))

    def _keep(self, change: Change) -> None:
        """What the views should keep of an entry."""
        if change.trade is not None:
            order, login, _, *facts = change.trade
            self.contents[TRADE_EVENT, order] = condense(order, login, *facts)
        if change.movement is not None:
            *facts, comment = change.movement
            account = self.book.accounts[change.movement.login]
            self.movements.append(change.movement.seq)
            self.moved.append(condense(*facts, account.balance, account.credit, comment))
        if change.user is not None:
            group = self.book.groups[change.user.group]
            self.contents[USER_EVENT, change.user.login] = condense(change.user.record, group.currency, group.digits)
        if change.group is not None:
            name, shown, record, *_ = change.group
            self.contents[GROUP_EVENT, name] = condense(shown, record)
            self.gone.discard(name)
        if change.dropped is not None:
            self.gone.add(change.dropped)

    def _use(self, name: KeyName, seq: int) -> None:
        first = self.keys.setdefault(name, seq)
        if first != seq:
            self.doubles.append(f"the key {name[1]!r} of {name[0]} has two entries, {first} and {seq}")
        self._used.append((seq, name))

    def _forget(self) -> None:
        while self._used and self._used[0][0] <= self.book.forgotten:
            seq, name = self._used.popleft()
            if self.keys.get(name) == seq:
                del self.keys[name]


def _checkSnapshot(snapshot: Book, fold: _Fold) -> Iterator[str]:
    yield from _compare(fold.book, snapshot.accounts)
    if fold.book.groups != snapshot.groups or fold.book.nextLogin != snapshot.nextLogin:
        yield "the groups or the next login differ"
    if fold.book.forgotten != snapshot.forgotten:
        yield "which keys are forgotten differs"
    right, kept = fold.book.turnover.sums, snapshot.turnover.sums
    for key in sorted(right.keys() | kept.keys()):
        if right.get(key) != kept.get(key):
            yield "what {1} has moved of {2} on day {0} since 1970 is not what the log says".format(*key)


def _checkViews(frozen: Frozen, fold: _Fold) -> Iterator[str]:
    yield from _compare(fold.book, frozen.accounts)
    for event, key in sorted(fold.contents.keys() | frozen.contents.keys(), key=str):
        kept = frozen.contents.get((event, key))
        if kept != fold.contents.get((event, key)):
            how = "is missing" if kept is None else "is not what the log says"
            yield f"{_NAMES[event]} {key} {how}"
    yield from _checkGroups(frozen, fold)
    yield from _checkMovements(frozen, fold)
    for principal, name in sorted(fold.keys.keys() ^ frozen.keys.keys()):
        how = "is missing" if (principal, name) in fold.keys else "is there, which the log does not say"
        yield f"the key {name!r} of {principal} {how}"
    for principal, name in sorted(fold.keys.keys() & frozen.keys.keys()):
        if fold.keys[principal, name] != frozen.keys[principal, name]:
            yield f"the key {name!r} of {principal} is of another entry than the log says"


def _checkGroups(frozen: Frozen, fold: _Fold) -> Iterator[str]:
    for group in sorted((frozen.gone ^ fold.gone) & {key for event, key in frozen.contents if event == GROUP_EVENT}):
        says, is_ = ("is", "is not") if group in fold.gone else ("is not", "is")
        yield f"group {group} {is_} deleted, the log says that it {says}"
    for (login, group), order in sorted(frozen.groupsOfTrades.items(), key=itemgetter(1)):
        account = fold.book.ever(login)
        if account is not None and account.group != group and (TRADE_EVENT, order) in fold.contents:
            yield f"order {order} of login {login} is in group {group}, the log says {account.group}"


def _checkMovements(frozen: Frozen, fold: _Fold) -> Iterator[str]:
    """Mostly they are equal, and little memory is needed."""
    if frozen.movements == fold.movements and frozen.moved == fold.moved:
        return
    kept, right = (dict(zip(side.movements, side.moved, strict=True)) for side in (frozen, fold))
    for seq in sorted(kept.keys() | right.keys()):
        if kept.get(seq) != right.get(seq):
            how = "is missing" if seq not in kept else "is not what the log says"
            yield f"the movement of entry {seq} {how}"


def _misstated(book: Book, entry: Entry) -> Iterator[str]:
    """A balance that was broadcast is that of the account at this place of the log."""
    account = book.ever(entry.login)
    group = None if account is None else book.group(account.group)
    if account is None or group is None:
        yield f"entry {entry.seq} says the balance of login {entry.login}, which there is not"
        return
    balance, equity = (
        fromMinor(account.balance, group.digits),
        fromMinor(account.balance + account.credit, group.digits),
    )
    right = {
        "login": account.login,
        "balance": balance,
        "credit": fromMinor(account.credit, group.digits),
        "equity": equity,
        "margin": 0.0,
        "margin_free": equity,
        "margin_level": 0.0,
        "balance_version": account.balance_version,
    }
    said = ujson.loads(entry.data)
    for name, value in right.items():
        if said.get(name) != value:
            yield (
                f"entry {entry.seq} says that {name} of login {account.login} is {said.get(name)}, "
                f"the entries before it say {value}"
            )


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
