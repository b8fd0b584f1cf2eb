"""What one key must look like: applied once or certainly not, and no two answers that contradict each other.

Each check takes a key and gives a sentence for each thing that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import ujson

from .answers import Kind
from .asked import OFFICE
from .effects import isEffectOf, tells
from .history import Attempt, Entry, Key
from .journal import Sent

__all__ = ["CHECKS", "checkKey"]

# What is said instead of what the log has to those who may not know which accounts there are.
_MASK, _MASKED = "ADD_BALANCE_ERROR", "RET_USER_NOT_FOUND"


def checkKey(key: Key) -> list[str]:
    """All that is wrong with a key."""
    return [f"key {key.name}: {wrong}" for check in CHECKS for wrong in check(key)]


def appliedOnce(key: Key) -> Iterator[str]:
    """A key has one effect at most: the one that somebody asked for; and none, if it was refused."""
    if len(key.effects) > 1:
        yield f"applied {len(key.effects)} times, as entries {[e.seq for e in key.effects]}"
    for entry in key.effects:
        if not any(isEffectOf(entry, attempt.sent) for attempt in key.attempts):
            yield f"entry {entry.seq} is not what anybody asked for: {entry.data}"
        if key.refusals:
            yield f"applied as entry {entry.seq}, and refused as entry {key.refusals[0].seq}"
    if len(key.refusals) > 1:
        yield f"refused {len(key.refusals)} times, as entries {[e.seq for e in key.refusals]}"


def voidNeverApplies(key: Key) -> Iterator[str]:
    """
    What is in the log was caused by an attempt that was not said to be void.

    The time of an entry is that of the beginning of its commit: what was sent later has not caused it.
    """
    for entry in key.effects:
        causes = [a for a in key.attempts if isEffectOf(entry, a.sent) and a.sent.ms <= entry.time_ms]
        if causes and all(attempt.isKind(Kind.VOID) for attempt in causes):
            yield f"void, and applied as entry {entry.seq}: {'; '.join(map(str, causes))}"


def nothingLost(key: Key) -> Iterator[str]:
    """Each 200 is in the log, with the data that it told."""
    for attempt in _answered(key.attempts, Kind.DONE):
        entry = _effect(key, attempt.sent)
        if entry is None:
            yield f"lost: {attempt}, and the log does not have it"
        elif not tells(attempt, entry):
            assert attempt.answer is not None
            yield f"{attempt} told {attempt.answer.data}, entry {entry.seq} says {entry.data}"


def refusalsAreKept(key: Key) -> Iterator[str]:
    """Each refusal that was told is in the log, in the same words, unless they are not for everybody."""
    for attempt in _answered(key.attempts, Kind.REFUSED):
        assert attempt.answer is not None
        if not key.refusals:
            yield f"{attempt}, and the log has no refusal"
            continue
        kept, told = key.refusals[0], ujson.loads(attempt.answer.data)
        masked = ujson.loads(kept.data)["reason"] == _MASKED and told["error"] == _MASK
        if not masked and attempt.answer.data != kept.data:
            yield f"{attempt} told {attempt.answer.data}, entry {kept.seq} says {kept.data}"


def repeatsAreEqual(key: Key) -> Iterator[str]:
    """Every repeat gives the same data, and all but the first say that they repeat."""
    for kind in (Kind.DONE, Kind.REFUSED):
        told: dict[tuple[str, object], str] = {}
        for attempt in _answered(key.attempts, kind):
            assert attempt.answer is not None
            first = told.setdefault((attempt.sent.command, attempt.sent.content), attempt.answer.data)
            if attempt.answer.data != first:
                yield f"{attempt} told {attempt.answer.data}, an earlier one {first}"
        fresh = [a for a in _answered(key.attempts, kind) if a.answer is not None and not a.answer.replayed]
        if len(fresh) > 1:
            yield f"more than one answer claims to be the first: {'; '.join(map(str, fresh))}"


def nothingContradicted(key: Key) -> Iterator[str]:
    """What was asked after a certain answer was heard is answered in keeping with it."""
    for kind in (Kind.DONE, Kind.REFUSED):
        certain = min(_answered(key.attempts, kind), key=lambda a: a.heardAt, default=None)
        if certain is None:
            continue
        for later in key.attempts:
            same = later.sent.content == certain.sent.content
            allowed = {Kind.BUSY, Kind.PENDING, kind if same else Kind.DUPLICATE}
            if later.sentAt > certain.heardAt and later.answer is not None and later.answer.kind not in allowed:
                what = "the same" if same else "something else"
                yield f"{later}, asked for {what} after {certain}"
        for later in key.questions:
            if later.sentAt > certain.heardAt and later.isKind(Kind.STATE):
                assert later.answer is not None
                if later.answer.state != kind.value:
                    yield f"{later} {later.answer.state!r}, asked after {certain}"


def nothingDenied(key: Key) -> Iterator[str]:
    """
    What is in the log is not denied: neither by a void, nor by a GetRequest that does not know of it.

    The time of an entry is that of the beginning of its commit, so what was asked later found it there, or under way.
    """
    for entry in (*key.effects, *key.refusals):
        for attempt in (*key.attempts, *key.questions):
            denied = attempt.isKind(Kind.VOID) or (
                attempt.answer is not None and attempt.answer.state in ("unknown", "queued")
            )
            if denied and entry.time_ms < attempt.sent.ms:
                yield f"{attempt}, asked {attempt.sent.ms - entry.time_ms} ms after entry {entry.seq} was begun"


def duplicatesNameTheFirst(key: Key) -> Iterator[str]:
    """
    A 409 goes to another request than the one that has the key, and names the order of that one.

    While the first is only under way, that is the order of an attempt, which may come to nothing.
    """
    holders = [*key.effects, *key.refusals]
    certain = min((a.heardAt for a in _answered(key.attempts, Kind.DONE, Kind.REFUSED)), default=None)
    for attempt in _answered(key.attempts, Kind.DUPLICATE):
        assert attempt.answer is not None
        underWay = certain is None or attempt.sentAt < certain
        if not holders:
            yield f"{attempt}, and the log has nothing under that key"
        elif attempt.answer.order not in {entry.order for entry in holders} and not underWay:
            yield f"{attempt} names order {attempt.answer.order}, the log has {holders[0].order}"
        elif _effect(key, attempt.sent) is not None:
            yield f"{attempt}, and it is what was booked as entry {holders[0].seq}"


def statesAreTrue(key: Key) -> Iterator[str]:
    """GetRequest says done of what is in the log, with its data, and refused of what was refused."""
    for attempt in _answered(key.questions, Kind.STATE):
        answer = attempt.answer
        assert answer is not None
        if answer.state == "done":
            if not any((e.order, e.data) == (answer.order, answer.trade) for e in key.effects):
                yield f"{attempt} 'done', with order {answer.order} and {answer.trade}, which the log does not have"
        elif answer.state == "refused":
            if key.effects:
                yield f"{attempt} 'refused', and it is booked as entry {key.effects[0].seq}"
            elif not any((e.order, e.data) == (answer.order, answer.trade) for e in key.refusals):
                yield f"{attempt} 'refused', with order {answer.order} and {answer.trade}, which the log does not have"
        elif answer.state not in ("unknown", "queued", "pending"):
            yield f"{attempt} {answer.state!r}, which is no state"


def answersAreKnown(key: Key) -> Iterator[str]:
    """Every answer is one of those that the protocol has."""
    for attempt in _answered([*key.attempts, *key.questions], Kind.ODD):
        assert attempt.answer is not None
        yield f"{attempt} {attempt.answer.data}"
    for attempt in _answered(key.attempts, Kind.VOID, Kind.PENDING):
        assert attempt.answer is not None
        if not attempt.answer.order and attempt.sent.kind not in OFFICE:
            yield f"{attempt} names no order: {attempt.answer.data}"


def everythingIsCertain(key: Key) -> Iterator[str]:
    """In the end somebody was told for certain; and what was booked, to whoever asked for it."""
    if not any(attempt.isKind(Kind.DONE, Kind.REFUSED) for attempt in key.attempts):
        yield f"never answered for certain, in {len(key.attempts)} attempts"
    for entry in key.effects:
        if not any(a.isKind(Kind.DONE) and isEffectOf(entry, a.sent) for a in key.attempts):
            yield f"booked as entry {entry.seq}, and whoever asked for it was not told"


#: Every one of them is seen to fail in the tests.
CHECKS: tuple[Callable[[Key], Iterator[str]], ...] = (
    appliedOnce,
    voidNeverApplies,
    nothingLost,
    refusalsAreKept,
    repeatsAreEqual,
    nothingContradicted,
    nothingDenied,
    duplicatesNameTheFirst,
    statesAreTrue,
    answersAreKnown,
    everythingIsCertain,
)


def _answered(attempts: list[Attempt], *kinds: Kind) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.isKind(*kinds)]


def _effect(key: Key, sent: Sent) -> Entry | None:
    return next((entry for entry in key.effects if isEffectOf(entry, sent)), None)
