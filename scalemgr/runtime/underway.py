"""Requests that are under way, by key: whoever asks for the same thing again joins, and is told the same.

And what may be said of a request. C{"void"}, that nothing was and nothing will be applied for it, is only said
when it is certain for the key: this attempt is out of the queue, no other one is under way or in doubt, and
the log has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec import Struct, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from ..finance.records import REFUSAL, Entry
from ..finance.requests import KeyName, Request, fingerprint
from ..finance.settle import alike, refusalOf
from ..interfaces import Asked, ISubmission
from ..wire.errors import DuplicateRequest, LedgerFailed, Overloaded
from .lookups import Lookups

__all__ = ["RIVALS_MAX", "Submission", "UnderWay", "Work"]

#: How many different requests may be under way with one key, for the ledger to judge.
RIVALS_MAX = 16

_Said = TypeVar("_Said")
_VOID, _PENDING, _UNKNOWN = "void", "pending", "unknown"


class Work(Struct, eq=False):
    """
    A request on its way, for all who ask for it.

    @ivar name: its key in full, or C{None}.
    @ivar makes: the number of the trade that it will make, or 0.
    @ivar outcome: what became of it: an entry, the refusal that an entry is, or why there is none.
    @ivar entry: the entry, if there is one.
    @ivar replay: is that an earlier request's?
    @ivar askers: those who want to be told. A dict for its order: who came first is told first.
    @ivar end: until when it may be taken into a batch though nobody asks, in seconds of the clock that time-outs go by.
    """

    _desk: UnderWay
    request: Request
    name: KeyName | None
    makes: int
    outcome: Entry | Exception | None = None
    entry: Entry | None = None
    replay: bool = False
    askers: dict[Submission, None] = field(default_factory=dict)
    end: float = 0.0
    _state: str = "queued"

    @property
    def order(self) -> int:
        """The number that it has, or 0."""
        return getattr(self.request, "order", 0)

    @property
    def state(self) -> str:
        """C{"queued"}; C{"pending"} in a batch; C{"unknown"} when it is withdrawn."""
        return self._state

    @property
    def isUnderWay(self) -> bool:
        """Can it still become something?"""
        return self.outcome is None and self._state != _UNKNOWN

    def take(self) -> bool:
        """It goes into a batch; C{False} if it was withdrawn."""
        if self._state == "queued":
            self._state = _PENDING
        return self._state == _PENDING

    def release(self) -> None:
        """It is in no batch any more, and nothing came of that: it is queued again."""
        assert self._state == _PENDING
        self._state = "queued"

    def withdraw(self) -> bool:
        """It will never go into a batch; C{False} if it is in one."""
        if self._state == "queued":
            self._state = _UNKNOWN
            self._desk.leave(self)
        return self._state == _UNKNOWN

    def settle(self, entry: Entry, *, replay: bool) -> None:
        """This became of it, or, as a replay, of an earlier request with its key."""
        self.outcome = entry if entry.event != REFUSAL else refusalOf(entry)
        self.entry, self.replay = entry, replay
        self._desk.leave(self)
        if replay:
            self._desk.replayed(entry)

    def fail(self, error: Exception) -> None:
        """Nothing became of it that the log has."""
        self.outcome = error
        self._desk.leave(self)

    def certainty(self) -> Deferred[str | None]:
        """What can be said of it, when it is in no batch; see L{ISubmission.giveUp}."""
        if self.name is None:
            return succeed(_VOID)
        return self._desk.lookUp(self)


@implementer(ISubmission)
class Submission(Struct, eq=False):
    """
    One who asks.

    @ivar _joined: did somebody ask for it before?
    """

    _work: Work
    _joined: bool = False

    @property
    def request(self) -> Request:
        return self._work.request

    @property
    def named(self) -> bool:
        return self._work.name is not None

    @property
    def outcome(self) -> Entry | Exception | None:
        return self._work.outcome

    @property
    def replayed(self) -> bool:
        return self._work.replay or (self._joined and self._work.entry is not None)

    def forsake(self, end: float) -> None:
        work = self._work
        work.askers.pop(self, None)
        work.end = max(work.end, end)

    def withdraw(self) -> bool:
        self._work.askers.pop(self, None)
        return not self._work.askers and self._work.withdraw()

    def giveUp(self) -> Deferred[str | None]:
        if self._work.outcome is not None:
            return succeed(None)
        return self._work.certainty() if self.withdraw() else succeed(_PENDING)


def _asker(work: Work, *, joined: bool) -> Submission:
    asker = Submission(work, joined)
    work.askers[asker] = None
    return asker


class UnderWay:
    """
    All work that has no outcome.

    @param replayed: is told of each entry that is the outcome of a repeat.
    """

    def __init__(self, lookups: Lookups, replayed: Callable[[Entry], None]) -> None:
        self._lookups = lookups
        self.replayed = replayed
        # Mostly one a key; another one that is no repeat of it is for the ledger to judge: the key may be a third's.
        self._byName: dict[KeyName, tuple[Work, ...]] = {}
        # What may be in the log or not; a commit will tell.
        self._doubtful: dict[KeyName, Work] = {}
        self._doubtfulOrders: set[int] = set()
        # Orders that are being made, with those who want to know when they are.
        self._byOrder: dict[int, list[Deferred[None]] | None] = {}
        # By key, for each question to the log that is under way: what is or was under way since it was asked.
        self._searches: dict[KeyName, list[list[Work]]] = {}

    def join(self, request: Request, name: KeyName | None) -> Submission | None:
        """
        Ask for the same thing as somebody else does, if somebody does.

        @param name: the request's key in full.
        @raise Overloaded: if too many others are under way with its key; nothing was done.
        """
        works = None if name is None else self._byName.get(name)
        if works is None:
            return None
        for work in works:
            if fingerprint(work.request) == fingerprint(request):
                return _asker(work, joined=True)
        if len(works) >= RIVALS_MAX:
            raise Overloaded(f"{len(works)} other requests are under way with this key; nothing was done")
        return None

    def enter(self, request: Request, name: KeyName | None) -> tuple[Work, Submission]:
        """Something new, with this key, and its first asker."""
        makes = request.makes
        work = Work(self, request, name, makes)
        if makes:
            self._byOrder.setdefault(makes)
        if name is not None:
            self._byName[name] = (*self._byName.get(name, ()), work)
            if self._searches:
                for search in self._searches.get(name, ()):
                    search.append(work)
        return work, _asker(work, joined=False)

    def leave(self, work: Work) -> None:
        """It has an outcome, or never will."""
        curious = self._byOrder.pop(work.makes, None)
        if curious:
            for known in curious:
                known.callback(None)
        name = work.name
        if name is None:
            return
        works = self._byName.get(name, ())
        if work in works:
            if len(works) == 1:
                del self._byName[name]
            else:
                self._byName[name] = tuple(other for other in works if other is not work)

    def written(self, order: int) -> Deferred[None]:
        """
        When it is known whether there is a trade with this number: at once, unless it is on its way.

        @return: a Deferred that fails with L{LedgerFailed} if nobody knows.
        """
        if order in self._doubtfulOrders:
            return fail(LedgerFailed(f"it is not known yet whether order {order} was booked; ask again later"))
        if order not in self._byOrder:
            return succeed(None)
        known: Deferred[None] = Deferred()
        curious = self._byOrder[order] = self._byOrder[order] or []
        curious.append(known)
        return known.addCallback(lambda _: self.written(order))

    def doubt(self, works: Iterable[Work]) -> None:
        """Whether these were committed is not known."""
        for work in works:
            if work.makes:
                self._doubtfulOrders.add(work.makes)
            if work.name is not None:
                self._doubtful.setdefault(work.name, work)

    def found(self, entries: Iterable[Entry]) -> None:
        """These were committed, perhaps after all."""
        if not self._doubtful:
            return
        for entry in entries:
            work = None if entry.key is None else self._doubtful.get((entry.principal, entry.key))
            if work is not None:
                work.entry = entry

    def known(self) -> None:
        """It is known of all that were doubtful."""
        self._doubtful.clear()
        self._doubtfulOrders.clear()

    def asked(self, name: KeyName) -> Deferred[Asked]:
        """
        How far the request with this key is. The log is asked first: what is under way may be a repeat.

        @return: a Deferred that fails if the log cannot be asked.
        """

        def found(entry: Entry | None, works: list[Work]) -> Asked:
            if entry is not None:
                return Asked("refused" if entry.event == REFUSAL else "done", entry.order, entry.data, entry.seq)
            if name in self._doubtful:
                return Asked(_PENDING, self._doubtful[name].order)
            for work in works:
                if work.isUnderWay:
                    return Asked(work.state, work.order)
            return Asked(_UNKNOWN)

        return self._search(name, found)

    def lookUp(self, work: Work) -> Deferred[str | None]:
        """The C{certainty} of work that has a key."""
        name = work.name
        assert name is not None

        def found(first: Entry | None, works: list[Work]) -> str | None:
            if first is None:
                others = any(other.isUnderWay for other in works if other is not work)
                return _PENDING if others or name in self._doubtful else _VOID
            try:
                work.settle(alike(first, work.request).entry, replay=True)
            except DuplicateRequest as e:
                work.fail(e)
            return None

        if name in self._doubtful:
            return succeed(_PENDING)
        return self._search(name, found, renounced=True).addErrback(lambda _: _PENDING)

    def _search(
        self, name: KeyName, found: Callable[[Entry | None, list[Work]], _Said], *, renounced: bool = False
    ) -> Deferred[_Said]:
        """
        Ask the log for a key.

        @param renounced: if it has none, no other gateway is to book what it was asked for.
        @param found: given what the log had, or has by now, and what was under way with this key at any time since
            it was asked.
        """
        doubtful = self._doubtful.get(name)
        works = [*([] if doubtful is None else [doubtful]), *self._byName.get(name, ())]
        searches = self._searches.setdefault(name, [])
        searches.append(works)

        def end(result: Entry | Failure | None) -> Entry | Failure | None:
            # Not remove(), which takes an equal one for it.
            searches[:] = [search for search in searches if search is not works]
            if not searches and self._searches.get(name) is searches:
                del self._searches[name]
            return result

        def said(entry: Entry | None) -> _Said:
            # What the log said may be older than what was booked since.
            return found(entry or next((work.entry for work in works if work.entry is not None), None), works)

        return self._lookups.find(name, renounced=renounced).addBoth(end).addCallback(said)
