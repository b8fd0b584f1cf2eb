"""Requests that are open until something has happened.

A waiter belongs to a session and an C{extID} and waits for an event: of this name, with this C{type} and
this C{data.order}. If it also knows its L{cause <scalemgr.interfaces.ISubmission>}, only the event of that
cause will do (two updates of one order are two events that look alike), and a refusal of that cause is its
answer too.

Each waiter is answered exactly once: by the event, the refusal, the time-out, or not at all, when its
session goes away, which changes nothing about what it waited for.

One timer serves all time-outs. Waiters are kept in slots of L{TICK_S}; a time-out strikes up to one tick
late and never early.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import islice
from math import ceil
from typing import Any, TypeVar

from msgspec import Struct
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..finance.records import Entry
from ..interfaces import ISubmission
from ..wire.errors import MEANS, InvalidData, ManagerError, Overloaded, SyncTimeout

__all__ = ["TICK_S", "Awaited", "TimeoutBounds", "WaiterSeen", "Waiters", "awaitedFrom"]

#: The precision of time-outs, in seconds.
TICK_S = 0.05

# Of those who wait for no cause, so many events are looked through for the oldest.
_EVENTS_SEEN = 1000

_Key = TypeVar("_Key")


class TimeoutBounds(Struct, frozen=True):
    """How long a request may wait, in milliseconds: unless it says otherwise, at least, and at most."""

    default_ms: int = 5000
    min_ms: int = 100
    max_ms: int = 25_000


class Awaited(Struct, frozen=True, forbid_unknown_fields=True):
    """
    What a request waits for: the C{__deferred} of L{scalemgr.interfaces.ICommand.run}.

    @ivar kind: what the 504 calls it.
    @ivar event: the name of the event.
    @ivar type: its C{EV_RECORD_*}.
    @ivar order: its C{data.order}.
    @ivar timeout: milliseconds, or C{None} for the configured ones.
    @ivar cause: the submission whose outcome it is, or C{None}: any such event will do.
    """

    kind: str
    event: str
    type: int
    order: int
    timeout: int | None = None
    cause: ISubmission | None = None


class WaiterSeen(Struct, frozen=True):
    """
    One who waits, to look at.

    @ivar age: for how long, in seconds.
    @ivar session: its session's number.
    """

    age: float
    kind: str
    order: int
    session: int


class _Waiter(Struct, eq=False):
    awaited: Awaited
    session: Hashable
    extID: str
    slot: int
    since: float
    # Cancelled when the session goes away, and then nobody listens.
    deferred: Deferred[Entry]

    def tell(self) -> None:
        """What became of the cause."""
        assert self.awaited.cause is not None
        outcome = self.awaited.cause.outcome
        if isinstance(outcome, Entry):
            self.deferred.callback(outcome)
        else:
            self.deferred.errback(outcome)


class Waiters:
    """
    The table of those who wait.

    @param waitersMax: how many there may be.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, bounds: TimeoutBounds, waitersMax: int) -> None:
        self._clock = clock
        self.change(bounds, waitersMax)
        self._byCause: _Few = {}
        self._byEvent: _Crowds[tuple[str, int, int]] = {}
        self._bySession: _Crowds[Hashable] = {}
        self._slots: _Crowds[int] = {}
        self._swept = 0
        self._count = 0
        self._timer: IDelayedCall | None = None

    def change(self, bounds: TimeoutBounds, waitersMax: int) -> None:
        """From now on, these. Who waits already is not concerned."""
        self._bounds = bounds
        self._default = bounds.default_ms / 1000
        self._waitersMax = waitersMax

    def __len__(self) -> int:
        return self._count

    def wait(self, awaited: Awaited, session: Hashable, extID: str) -> Deferred[Entry]:
        """
        Open a waiter.

        @param session: who is to be answered; see L{forget}.
        @return: a Deferred of the entry whose event it is. It fails with the refusal, or with L{SyncTimeout}.
        @raise ManagerError: if there cannot be one. Its cause was then withdrawn: nothing was done.
        """
        cause = awaited.cause
        if cause is not None and (outcome := cause.outcome) is not None:
            # It is settled already; there will be no other event.
            return succeed(outcome) if isinstance(outcome, Entry) else fail(outcome)
        try:
            seconds = self.seconds(awaited.timeout)
            if self._count >= self._waitersMax:
                raise Overloaded(f"{self._count} requests are waiting already; nothing was done")
        except ManagerError:
            if cause is not None:
                cause.withdraw()
            raise
        now = self._clock.seconds()
        slot = ceil((now + seconds) / TICK_S)
        deferred: Deferred[Entry] = Deferred()
        waiter = _Waiter(awaited, session, extID, slot, now, deferred)
        self._count += 1
        _join(self._bySession, session, waiter)
        _join(self._slots, slot, waiter)
        if cause is not None:
            others = self._byCause.get(cause)
            self._byCause[cause] = (waiter,) if others is None else (*others, waiter)
        else:
            _join(self._byEvent, (awaited.event, awaited.type, awaited.order), waiter)
        if self._timer is None:
            # What was left behind by those who were answered in time.
            self._slots = {slot: self._slots[slot]}
            self._swept = int(now / TICK_S)
            self._startTimer()
        if self._swept > slot:
            # A clock that was set back has slots again that were swept already.
            self._swept = slot
        return deferred

    def emitted(self, *entries: Entry) -> None:
        """Answer those who wait for these events, whatever caused them."""
        if not self._byEvent:
            # Nearly always: most wait for a cause.
            return
        for entry in entries:
            for waiter in tuple(self._byEvent.get((entry.event, entry.type, entry.order), ())):
                if self._remove(waiter):
                    waiter.deferred.callback(entry)

    def settled(self, cause: ISubmission) -> None:
        """Answer those who wait for this cause: it has an outcome."""
        for waiter in self._byCause.get(cause, ()):
            if self._remove(waiter):
                waiter.tell()

    def forget(self, session: Hashable) -> None:
        """The session is gone. What its requests asked for goes its way, until their time is up."""
        for waiter in tuple(self._bySession.get(session, ())):
            if self._remove(waiter):
                if waiter.awaited.cause is not None:
                    waiter.awaited.cause.forsake(waiter.slot * TICK_S)
                waiter.deferred.cancel()

    def oldest(self, count: int) -> list[WaiterSeen]:
        """Those who have waited longest, the oldest first, at most so many."""
        now = self._clock.seconds()
        found = sorted(self._first(count), key=lambda waiter: waiter.since)[:count]
        return [
            WaiterSeen(now - w.since, w.awaited.kind, w.awaited.order, getattr(w.session, "number", 0)) for w in found
        ]

    def oldestAge(self) -> float:
        """For how long the oldest has waited, in seconds; 0: nobody waits."""
        first = self.oldest(1)
        return first[0].age if first else 0.0

    def _first(self, count: int) -> list[_Waiter]:
        """Among these are the oldest: not all need to be looked at, for a table has first who came first."""
        ofCauses = [waiter for waiters in islice(self._byCause.values(), count) for waiter in waiters]
        ofEvents = [w for crowd in islice(self._byEvent.values(), _EVENTS_SEEN) for w in islice(crowd, count)]
        return ofCauses + ofEvents

    def stop(self) -> None:
        """Nobody will wait any more: leave no timer behind."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def seconds(self, timeoutMs: int | None) -> float:
        """
        How long to wait.

        @raise InvalidData: if that is out of bounds.
        """
        if timeoutMs is None:
            return self._default
        bounds = self._bounds
        if not bounds.min_ms <= timeoutMs <= bounds.max_ms:
            raise InvalidData(f"expected {bounds.min_ms} to {bounds.max_ms} milliseconds", field="timeout_ms")
        return timeoutMs / 1000

    def _remove(self, waiter: _Waiter) -> bool:
        """
        Take a waiter from the table.

        @return: C{False} if it is not there any more: to answer one may end the session of the next.
        """
        awaited = waiter.awaited
        if not _leave(self._bySession, waiter.session, waiter):
            return False
        cause = awaited.cause
        if cause is None:
            _leave(self._byEvent, (awaited.event, awaited.type, awaited.order), waiter)
        elif len(self._byCause[cause]) == 1:
            del self._byCause[cause]
        else:
            self._byCause[cause] = tuple(other for other in self._byCause[cause] if other is not waiter)
        ofSlot = self._slots.get(waiter.slot)
        if ofSlot is not None:
            del ofSlot[waiter]
        self._count -= 1
        return True

    def _sweep(self) -> None:
        now = int(self._clock.seconds() / TICK_S)
        # Slot by slot, unless the clock has leapt further than there are slots.
        slots = range(self._swept, now + 1) if now - self._swept <= len(self._slots) else sorted(self._slots)
        for slot in slots:
            if slot > now:
                break
            for waiter in self._slots.pop(slot, ()):
                try:
                    self._expire(waiter)
                except Exception:
                    # One that cannot be told must not keep the others waiting for ever.
                    self._log.failure("a waiter could not be told that its time is up")
        self._swept = now + 1
        self._timer = None
        if self._count:
            self._startTimer()

    def _startTimer(self) -> None:
        """To the next slot, not just a tick from now: else a time-out could be late by two."""
        now = self._clock.seconds()
        self._timer = self._clock.callLater(max(0, (int(now / TICK_S) + 1) * TICK_S - now), self._sweep)

    def _expire(self, waiter: _Waiter) -> None:
        if not self._remove(waiter):
            return
        kind, order, cause = waiter.awaited.kind, waiter.awaited.order, waiter.awaited.cause
        if cause is None:
            error = SyncTimeout(kind, order, "pending", "the event has not come in time; it may still")
            waiter.deferred.errback(error)
            return

        def certain(outcome: str | None) -> None:
            if outcome is None:
                waiter.tell()
            else:
                nameless = outcome == "pending" and not cause.named
                waiter.deferred.errback(SyncTimeout(kind, order, outcome, MEANS["nameless"] if nameless else None))

        # Out of the queue first, then the word.
        cause.giveUp().addCallback(certain).addErrback(self._untold)

    def _untold(self, failure: Failure) -> None:
        self._log.failure("a waiter could not be told that its time is up", failure)


# Those of a slot, a session or an event may be many. Dicts for their order: who came first is answered first.
_Crowds = dict[_Key, dict[_Waiter, None]]
# Those of a cause are what one request waits for: nearly always one, and a tuple of one costs a fifth of a dict.
_Few = dict[ISubmission, tuple[_Waiter, ...]]


def _join(table: _Crowds[_Key], key: _Key, waiter: _Waiter) -> None:
    crowd = table.get(key)
    if crowd is None:
        table[key] = {waiter: None}
    else:
        crowd[waiter] = None


def _leave(table: _Crowds[_Key], key: _Key, waiter: _Waiter) -> bool:
    """C{False} if it is not there any more."""
    crowd = table.get(key)
    if crowd is None or waiter not in crowd:
        return False
    del crowd[waiter]
    if not crowd:
        del table[key]
    return True


def awaitedFrom(service: Mapping[str, Any] | Awaited) -> Awaited:
    """
    The C{__deferred} that a command returned: a mapping, or already what becomes of it.

    @raise TypeError: if it is none; that is a bug of the command. Its cause was then withdrawn.
    """
    if isinstance(service, Awaited):
        return service
    try:
        awaited = Awaited(**service)
        for name, types in _AWAITED.items():
            if not isinstance(getattr(awaited, name), types):
                raise TypeError(f"__deferred[{name!r}] is {getattr(awaited, name)!r}")
        if awaited.cause is not None and not ISubmission.providedBy(awaited.cause):
            raise TypeError(f"__deferred['cause'] is {awaited.cause!r}")
    except TypeError:
        cause = service.get("cause") if isinstance(service, Mapping) else None
        if ISubmission.providedBy(cause):
            cause.withdraw()
        raise
    return awaited


_AWAITED: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "event": str,
    "type": int,
    "order": int,
    "timeout": (int, type(None)),
}
