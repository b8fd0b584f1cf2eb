"""The commit of a log that several gateways share: one transaction.

It takes the ledger's lock, reads what the others have added, folds that into the book, settles its own batch, appends,
commits: three round trips, whatever the batch. So every book is the same fold of the same log, and nobody leads. While
one has the lock, the batches of the others grow.

What becomes of a commit whose answer is lost is found out before anybody is told anything: each page has a stamp.
By the stamps a gateway also sees whether the log is still the one that it has followed; after a fail-over to a server
that lacks some of it, it is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import uuid4

import psycopg
from twisted.logger import Logger

from ...finance.records import Entry
from ...finance.requests import KeyName, Request
from ...finance.settle import Outcome
from ...wire.errors import LedgerFailed
from ..errors import LedgerRefused, LedgerUnreachable
from ..finding import Partly
from ..pages import pack
from ..settings import LedgerSettings
from ..viewed import ViewedLedger
from .asked import Asked
from .commits import PAGES_MAX, CommitLog, Page, Tail, entriesOf
from .renounced import Renounced
from .server import Server, isAway, isMixedUp, isWorthRepeating
from .server import why as whyOf

__all__ = ["Committing", "Diverged"]

# How often a batch is tried that others were in the way of, or that met a connection which was cut meanwhile.
_TRIES = 5
# How long it is tried to find out what became of a commit, before those who wait are told that nobody knows.
_DOUBT_S = 10.0
_AGAIN_S = 0.1
# An entry that is this far in the future has its time from a clock that is wrong, or ours is.
_AHEAD_MS = 5000
# So often in one turn as many pages are read as are read at once; who is further behind than that takes nothing on.
_READS_MAX = 8
_BEHIND = "this gateway is far behind the log, and reads on what others have written"


class Diverged(Exception):
    """The log is not the one that was followed."""

    def __init__(self) -> None:
        super().__init__(
            "the log is not the one that this gateway has followed: some of it is lost, or it was put back from "
            "elsewhere. Start this gateway again"
        )


class Committing(ViewedLedger):
    """
    A gateway's ledger less what is not for the commit.

    @param settings: where it is, and how it is talked to.
    @param queryS: how long a question waits for the views to catch up, in seconds.
    @ivar isShared: other gateways write to it, too.
    @ivar away: why the server cannot be reached now; empty: it can.
    """

    _log = Logger()
    unreadable = (psycopg.Error,)
    isShared = True
    _file: CommitLog
    _asked: Asked

    def __init__(self, settings: LedgerSettings, queryS: float) -> None:
        super().__init__(queryS)
        self.epoch = ""
        self._server = Server(settings.url, settings)
        self._wake: Callable[[], None] = lambda: None
        # Who is told of each commit; empty: nobody.
        self._channel = ""
        # What each of its commits is stamped with begins like this.
        self._name = uuid4().hex
        self._commits = 0
        # Of the page that the book ends with. And is it unknown what became of the last commit?
        self._stamp = ""
        self._inDoubt = False
        # Did the last batch fail, and is the next one not empty?
        self._failed = self._writing = False
        self._nowMs = 0
        # When the last batch was begun, on this machine's steady clock; and the time of the last entry of others.
        self._begun = 0.0
        self._lastMs = 0
        self._saidAhead = False
        self._diverged: Diverged | None = None
        # Why the views could not be reached when they were last asked; and did that hold up a commit?
        self._viewsAway = ""
        self._needsViews = False
        self._renounced = Renounced()

    def commit(
        self, requests: Sequence[Request], nowMs: int, isOver: Callable[[int], bool] | None = None
    ) -> list[Outcome]:
        if self._diverged is not None:
            raise LedgerFailed(str(self._diverged), outcome="void")
        self._writing = bool(requests)
        self._nowMs, self._begun = nowMs, time.monotonic()
        tries = 0
        while True:
            tries += 1
            try:
                self._connect()
                outcomes = super().commit(requests, nowMs, isOver)
                # Replays alone leave nothing to commit.
                self._file.leave()
            except (psycopg.Error, LedgerRefused) as e:
                # It never came to a COMMIT: what is to be said of those is found out where it is.
                self._leave()
                if self._isWorthRepeating(e, tries):
                    continue
                self._failed = True
                self._say(e)
                raise LedgerFailed(f"the ledger cannot be written: {whyOf(e)}", outcome="void") from e
            except Diverged as e:
                self._leave()
                self._diverged = e
                self.lost = str(e)
                self._away(str(e))
                raise LedgerFailed(str(e), outcome="void") from e
            except LedgerFailed as e:
                self._leave()
                self._say(e)
                # What could not be read was wanted before a COMMIT.
                raise LedgerFailed(e.message, e.code, **{"outcome": "void", **e.details}) from e
            except BaseException as e:
                self._leave()
                self._say(e)
                raise
            self._failed = False
            self._away("")
            return outcomes

    def _isWorthRepeating(self, error: BaseException, tries: int) -> bool:
        """Did others get in the way, or was it a connection that had been cut, or a server that is no more the one?"""
        if tries == 1 and (isAway(error, self._file.connection) or isMixedUp(error)):
            self._file.close()
            return True
        return tries < _TRIES and isWorthRepeating(error)

    def _connect(self) -> None:
        if self._file.closed:
            file = CommitLog(self._server, "commits")
            try:
                file.share()
            except BaseException:
                file.close()
                raise
            self._file = file

    def _leave(self) -> None:
        """A commit came to nothing: let the others go on."""
        try:
            self._file.leave()
        except psycopg.Error:
            self._file.close()

    def _say(self, error: BaseException) -> None:
        """If it is the server that is the trouble, it is away."""
        if isinstance(error, LedgerRefused) or isAway(error, self._file.connection):
            # It may be one that cannot be written to any more, where another can.
            self._file.close()
            # Where it is the operator knows.
            self._away(whyOf(error.__cause__ if isinstance(error, LedgerUnreachable) and error.__cause__ else error))

    def _away(self, why: str) -> None:
        if why != self.away:
            self.away = why
            self._wake()

    def _refresh(self) -> list[Entry]:
        """What is folded in is to be told at once, whatever becomes of the rest: so nothing is left to be returned."""
        self._awaitProjector()
        if self._needsViews:
            self._tryViews()
        if self._failed or self._inDoubt:
            # A batch of nothing then finds out whether it can be written again. And of a commit that was given up while
            # it waited for a standby, what others can see of it may be lost with the server until this is not.
            self._file.confirm()
        takesLock = self._writing or self._inDoubt
        isNear = takesLock
        for _ in range(_READS_MAX):
            look = self._file.begin if isNear else self._file.tail
            tail = look(self.book.seq, self._renounced.upTo, self._name)
            self._renounced.seen(tail.renounced, isAll=isNear)
            isWhole = len(tail.pages) < PAGES_MAX
            if not isWhole:
                # Nobody else should have to wait while one reads on that is far behind.
                self._file.leave()
            self._takeIn(tail)
            if isWhole and isNear == takesLock:
                self._inDoubt = False
                return []
            isNear = takesLock and isWhole
        # There may be no end to it, and what is told is still in memory.
        self._file.leave()
        self._away(_BEHIND)
        raise LedgerFailed(_BEHIND, outcome="void")

    def _known(self, names: Collection[KeyName]) -> Mapping[KeyName, Entry]:
        self._viewsAway = ""
        found = super()._known(names)
        if isinstance(found, Partly) and self._viewsAway:
            # Nothing that has a key could be booked. So it is as if the server itself were away, until they are there.
            self._needsViews = True
            self._away(f"the views cannot be read: {self._viewsAway}")
            raise LedgerFailed(next(iter(found.lost.values())), outcome="void")
        return found

    def _tryViews(self) -> None:
        """Deposits could not be booked without them: are they there again?"""
        try:
            self._asked.views().seq()
        except self._unread as e:
            self._away(f"the views cannot be read: {whyOf(e)}")
            raise LedgerFailed(self.away, outcome="void") from e
        self._needsViews = False

    def _dropped(self, requests: Sequence[Request], isOver: Callable[[int], bool] | None) -> Collection[int]:
        # Nobody else commits now, or is about to be told that there is nothing: who asks for that has to wait.
        names = self._renounced.names
        over = set() if isOver is None else {i for i in range(len(requests)) if isOver(i)}
        return over if not names else over | {i for i, r in enumerate(requests) if r.cause.name in names}

    def _settle(self, requests: Sequence[Request], nowMs: int) -> list[Outcome]:
        # While this one waited for its turn others have booked, at a later time. What follows theirs is not earlier, or
        # the statement of a day and that of the next would have some of it twice.
        if 0 < self._lastMs - nowMs <= self._aheadMs():
            nowMs = self._lastMs
        return super()._settle(requests, nowMs)

    def _aheadMs(self) -> int:
        """By so much may be later what others have booked meanwhile, if all clocks are right."""
        return _AHEAD_MS + int(1000 * (time.monotonic() - self._begun))

    def _take(self, tail: Tail) -> list[Entry]:
        """Fold what the log has and the book does not."""
        if tail.epoch != self.epoch:
            raise Diverged
        pages = tail.pages
        if self.book.seq:
            # The last page that is known comes first.
            if not pages or (pages[0].last, pages[0].stamp) != (self.book.seq, self._stamp):
                self._lost(pages)
            pages = pages[1:]
        if not pages:
            return []
        entries = entriesOf(pages, self.book.seq)
        with self._folding():
            for entry in entries:
                self.book.apply(entry)
            self._stamp, self._lastMs = pages[-1].stamp, entries[-1].time_ms
        return entries

    def _takeIn(self, tail: Tail) -> None:
        """Fold it, remember where it is, and that it is to be told."""
        entries = self._take(tail)
        if entries:
            self._untold += entries
            self._appended(entries)
            self._compareClocks(entries[-1].time_ms)

    def _compareClocks(self, timeMs: int) -> None:
        isAhead = timeMs - self._nowMs > self._aheadMs()
        if isAhead and not self._saidAhead:
            self._log.warn(
                "another gateway's clock is {seconds:.1f} s ahead of this one's: one of them is wrong",
                seconds=(timeMs - self._nowMs) / 1000,
            )
        self._saidAhead = isAhead

    def _lost(self, pages: list[Page]) -> None:
        """The log has not got what was read of it."""
        self._file.leave()
        self._file.renew()
        self._log.critical(
            "the log at {shown} is not the one that was followed to entry {seq}: what it had there is lost. Did a "
            "server take over that lacked it? It gets a new epoch, so that those who go on from a number that is used "
            "again are told; this gateway must be started again",
            shown=self._server.shown,
            seq=self.book.seq,
        )
        raise Diverged

    def _append(self, entries: list[Entry]) -> None:
        try:
            pages = pack(entries)
        except ValueError as e:
            raise LedgerFailed(f"the ledger cannot keep this: {e}", outcome="void") from e
        self._commits += 1
        stamp = f"{self._name}-{self._commits}"
        try:
            self._file.write(pages, stamp, self._channel)
        except psycopg.Error as e:
            if self._file.isRefused:
                raise
            if not self._isKept(entries[-1].seq, stamp, e):
                if e.sqlstate is not None:
                    raise
                raise psycopg.errors.SerializationFailure("the connection was cut, and nothing was kept") from e
        self._stamp = stamp

    def _isKept(self, last: int, stamp: str, error: psycopg.Error) -> bool:
        """Find out what became of a commit."""
        self._inDoubt = True
        until = time.monotonic() + _DOUBT_S
        while True:
            try:
                self._leave()
                self._connect()
                found = self._file.stampOf(last)
                self._inDoubt = False
                return found == stamp
            except (psycopg.Error, LedgerRefused) as e:
                self._say(e)
                if time.monotonic() >= until:
                    self._failed = True
                    # Whatever the server says: it is of no use until that is known.
                    self._away(whyOf(error))
                    raise LedgerFailed(f"the ledger failed in its commit: {whyOf(error)}", outcome="pending") from error
            time.sleep(_AGAIN_S)

    def _appended(self, entries: list[Entry]) -> None:
        self._recent.release(self._projector.reached)
        self._recent.add(entries)
        self._projector.wake(self.book.seq)
