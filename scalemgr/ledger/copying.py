"""A log moved to where another engine keeps it, page by page, as it is: not one byte of an entry changes.

    origin    where it comes from, which a daemon may be writing meanwhile
    target    where it goes, empty at first; not whole until the end, and no daemon opens what is not

What is at the target is always the log up to some entry. So a copy that ended before its time, however it did, goes on
from there, once it is clear that both are the same log. It ends when nobody can write at the origin any more: a copy
that is made while a daemon is at work there is not the last one, but leaves little for that to do.

Only the log is copied. Views and snapshot are made from it by whoever opens it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from .audit import Tell, nobody
from .errors import LedgerRefused
from .settings import LedgerSettings
from .url import folderOf, isPostgres, postgres

__all__ = ["Copied", "IOrigin", "ITarget", "Row", "copy", "originAt", "targetAt"]

#: A page: its last entry, its first, what it has, and the stamp of its commit; empty where commits have none.
Row = tuple[int, int, str, str]

# If no more than so many entries came while the others were copied, it is time to stop the daemon; and if it does not
# come to that, after so many rounds.
_FEW = 20_000
_ROUNDS = 20
# Other settings than a daemon's: nobody waits for a batch.
_PATIENT_S = 120.0


class IOrigin(Protocol):
    """
    Where a log comes from. (Not zope's: it stays inside this folder, as L{ITarget} does.)

    @ivar shown: what it is called, for people.
    @ivar identity: nothing else has the same.
    @ivar epoch: the name that the log has.
    @ivar createdMs: when it was made, in milliseconds since 1970.
    """

    shown: str
    identity: object
    epoch: str
    createdMs: int

    def head(self) -> int:
        """The last entry; 0: there is none."""

    def nextOrder(self) -> int:
        """No order from here up was ever reserved."""

    def named(self) -> str:
        """The name that it has by now."""

    def pages(self, after: int, upTo: int) -> list[Row]:
        """Some of the pages that follow an entry, the next ones, up to another; none: there are no more."""

    def pageAt(self, last: int) -> str | None:
        """What is on the page that ends with an entry."""

    def exclude(self) -> str:
        """See to it that nobody writes, until it is closed; why that cannot be, or nothing."""

    def close(self) -> None:
        """Let go of it."""


class ITarget(Protocol):
    """
    Where a log goes. Nobody else writes there until it is closed.

    @ivar epoch: the name of the log that is there; empty: there is none.
    @ivar isWhole: is it there to its end?
    """

    shown: str
    identity: object
    epoch: str
    isWhole: bool

    def head(self) -> int:
        """The last entry; 0: there is none."""

    def pageAt(self, last: int) -> str | None:
        """What is on the page that ends with an entry."""

    def begin(self, epoch: str, createdMs: int) -> None:
        """Make an empty log of this name, that is not whole."""

    def add(self, rows: Sequence[Row]) -> None:
        """Add pages where it ends, all or none, durably."""

    def finish(self, nextOrder: int) -> None:
        """From here on it is whole."""

    def close(self) -> None:
        """Let go of it."""


class Copied(Struct, frozen=True):
    """
    What came of it.

    @ivar seq: the last entry that is there.
    @ivar count: so many were copied now.
    @ivar why: why it is not whole; empty: it is.
    """

    epoch: str
    seq: int
    count: int
    nextOrder: int
    why: str


def originAt(url: str, base: Path) -> IOrigin:
    """
    The ledger that a URL names, to be copied.

    @param base: the folder that a relative one starts from.
    @raise LedgerRefused: if there is none.
    """
    if isPostgres(url):
        origin: IOrigin = postgres("copying").ServerOrigin(_settings(url))
        return origin
    from .folders import FolderOrigin

    return FolderOrigin(folderOf(url, base))


def targetAt(url: str, base: Path) -> ITarget:
    """
    The place that a URL names, to copy to.

    @raise LedgerRefused: if it cannot be used.
    """
    if isPostgres(url):
        target: ITarget = postgres("copying").ServerTarget(_settings(url))
        return target
    from .folders import FolderTarget

    return FolderTarget(folderOf(url, base))


def _settings(url: str) -> LedgerSettings:
    return LedgerSettings(url=url, statement_seconds=_PATIENT_S)


def copy(origin: IOrigin, target: ITarget, tell: Tell = nobody) -> Copied:
    """
    Copy what the target lacks.

    @param tell: is told how many entries are there, and of how many.
    @raise LedgerRefused: if the target has anything else than the beginning of this log, or something fails; what is
        there by then stays there, to go on from.
    """
    if origin.identity == target.identity:
        raise LedgerRefused(f"{origin.shown} cannot be copied to itself")
    began = done = _agreed(origin, target)
    if target.isWhole:
        return _finished(origin, target, done)
    if not target.epoch:
        target.begin(origin.epoch, origin.createdMs)
    why = ""
    for _ in range(_ROUNDS):
        # In this order: then what is the end now stays it.
        why = origin.exclude()
        head, before = origin.head(), done
        done = _copyTo(origin, target, done, head, tell)
        if not why or done - before <= _FEW:
            break
    if origin.named() != origin.epoch:
        raise LedgerRefused(f"{origin.shown} has become another log meanwhile; copy it to an empty place")
    # After the entries: so every order in them is below it.
    nextOrder = origin.nextOrder()
    if not why:
        target.finish(nextOrder)
    return Copied(origin.epoch, done, done - began, nextOrder, why)


def _agreed(origin: IOrigin, target: ITarget) -> int:
    """How far the target has the same log."""
    if not target.epoch:
        return 0
    if target.epoch != origin.epoch:
        raise LedgerRefused(
            f"{target.shown} has another ledger, {target.epoch}, and not {origin.epoch}; copy to an empty place"
        )
    reached = target.head()
    if reached > origin.head():
        raise LedgerRefused(
            f"{target.shown} has {reached} entries, and {origin.shown} has {origin.head()}: it has gone on by itself, "
            "and is not to be copied to"
        )
    if reached and origin.pageAt(reached) != target.pageAt(reached):
        raise LedgerRefused(
            f"{target.shown} has something else at entry {reached} than {origin.shown}; copy to an empty place"
        )
    return reached


def _finished(origin: IOrigin, target: ITarget, done: int) -> Copied:
    """It was whole before."""
    if done < origin.head():
        raise LedgerRefused(
            f"{target.shown} is a whole ledger of {done} entries, and {origin.shown} has gone on to {origin.head()} "
            "since; copy to an empty place"
        )
    return Copied(origin.epoch, done, 0, origin.nextOrder(), "")


def _copyTo(origin: IOrigin, target: ITarget, done: int, head: int, tell: Tell) -> int:
    tell(done, head)
    while done < head:
        rows = origin.pages(done, head)
        after = done
        for last, first, _, _ in rows:
            if first != done + 1 or last < first:
                raise LedgerRefused(f"{origin.shown} is damaged: after entry {done} comes a page of {first} to {last}")
            done = last
        if done == after:
            raise LedgerRefused(f"{origin.shown} is damaged: it ends at entry {head}, and entry {done + 1} is missing")
        target.add(rows)
        tell(done, head)
    return done
