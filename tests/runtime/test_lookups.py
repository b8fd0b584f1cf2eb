"""Keys are looked up one question at a time, and whoever wants to know is told in time, if only that nobody can say."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from scalemgr.finance.records import Entry
from scalemgr.finance.requests import KeyName
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.runtime.lookups import LOOKUP_S, Lookups
from scalemgr.wire.errors import LedgerFailed, Overloaded

from ..helpers import Threads
from .tables import entry

#: A little, in seconds.
SOME = 0.01
USED = {("crm", key): replace(entry(), seq=n, key=key) for n, key in enumerate("abc", 1)}


class Asked(MemoryLedger):
    """
    @ivar questions: the keys of each, in order.
    @ivar error: what the next ones fail with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[list[str]] = []
        self.error: Exception | None = None

    def keyed(self, names: Collection[KeyName]) -> dict[KeyName, Entry]:
        self.questions.append([key for _, key in names])
        if self.error is not None:
            raise self.error
        return {name: USED[name] for name in names if name in USED}


class Desk:
    """Lookups by themselves, and what each who asked was told: an entry's seq, C{None}, or an error."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ledger = Asked()
        self.thread = Threads()
        self.lookups = Lookups(self.clock, self.ledger, self.thread)
        self.told: list[tuple[str, Any]] = []

    def find(self, *keys: str) -> list[Deferred[None]]:
        def tell(found: object, key: str) -> None:
            self.told.append((key, _plain(found)))

        return [self.lookups.find(("crm", key)).addBoth(tell, key) for key in keys]

    def take(self) -> list[tuple[str, Any]]:
        told, self.told = self.told, []
        return told

    def cannot(self) -> list[str]:
        """Those who were just told that nobody can say now."""
        told = self.take()
        for _, error in told:
            assert isinstance(error, LedgerFailed)
            assert (error.code.name, error.details) == ("RET_ERR_TIMEOUT", {})
        return [key for key, _ in told]


def _plain(found: object) -> object:
    return found.seq if isinstance(found, Entry) else found.value if isinstance(found, Failure) else found


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_found(desk: Desk) -> None:
    """A key that was used is told with its entry, and one that was not with nothing; no timer is left."""
    desk.find("a", "never", "b")
    assert desk.take() == [("a", 1), ("never", None), ("b", 2)]
    assert desk.ledger.questions == [["a"], ["never"], ["b"]]
    assert desk.clock.getDelayedCalls() == []


def test_oneQuestionAtATime(desk: Desk) -> None:
    """What is wanted while a question is under way is gathered into one more, in which each key is named once."""
    desk.thread.held = True
    desk.find("a", "b", "never", "a", "b", "b")
    assert (desk.thread.waiting(), desk.told) == (1, [])
    desk.thread.release()
    assert desk.ledger.questions == [["a"], ["b", "never", "a"]]
    assert sorted(desk.take(), key=str) == [("a", 1), ("a", 1), ("b", 2), ("b", 2), ("b", 2), ("never", None)]
    assert desk.clock.getDelayedCalls() == []


def test_askedAgainByOneWhoIsTold(desk: Desk) -> None:
    """Who is told may ask again at once, and so may those who waited meanwhile: all are told once."""
    desk.thread.held = True
    first, _ = desk.find("a", "b")
    first.addCallback(lambda _: desk.find("c"))
    desk.thread.release()
    assert desk.take() == [("a", 1), ("b", 2), ("c", 3)]
    assert desk.ledger.questions == [["a"], ["b", "c"]]
    assert desk.clock.getDelayedCalls() == []


def test_toldInTime(desk: Desk) -> None:
    """When a question hangs, all who ask are told that nobody can say, no later than LOOKUP_S after the question."""
    desk.thread.held = True
    desk.find("a", "a")
    desk.clock.advance(LOOKUP_S / 2)
    desk.find("b")
    desk.clock.advance(LOOKUP_S / 2 - SOME)
    assert desk.told == []
    desk.clock.advance(SOME)
    assert desk.cannot() == ["a", "a", "b"]
    assert desk.clock.getDelayedCalls() == []


def test_toldAtOnceWhileItHangs(desk: Desk) -> None:
    """While a question goes on hanging, who asks is told so at once, also by one who was just told; nobody waits."""
    desk.thread.held = True
    desk.find("a")[0].addCallback(lambda _: desk.find("c"))
    desk.clock.advance(LOOKUP_S)
    assert sorted(desk.cannot()) == ["a", "c"]
    desk.find("a", "b")
    assert desk.cannot() == ["a", "b"]
    assert (desk.thread.waiting(), desk.clock.getDelayedCalls()) == (1, [])


@pytest.mark.parametrize("error", [None, LedgerFailed("the disk is dead")])
def test_worksAgain(desk: Desk, error: Exception | None) -> None:
    """When what hung comes back, whatever with, nobody is told twice, and the next question is asked again."""
    desk.thread.held = True
    desk.find("a")
    desk.clock.advance(LOOKUP_S)
    assert desk.cannot() == ["a"]
    desk.ledger.error = error
    desk.thread.release()
    assert (desk.told, desk.clock.getDelayedCalls()) == ([], [])
    desk.ledger.error = None
    desk.find("b", "a")
    assert desk.take() == [("b", 2), ("a", 1)]
    assert desk.ledger.questions == [["a"], ["b"], ["a"]]
    desk.clock.advance(2 * LOOKUP_S)
    assert desk.told == []


@pytest.fixture
def waiting(desk: Desk) -> list[Deferred[dict[KeyName, Entry]]]:
    """The questions of a desk, each to be answered by hand."""
    waiting: list[Deferred[dict[KeyName, Entry]]] = []

    def inThread(f: Any, *args: Any) -> Deferred[Any]:
        waiting.append(Deferred())
        return waiting[-1]

    desk.lookups = Lookups(desk.clock, desk.ledger, inThread)
    return waiting


def test_oneQuestionThoughMoreIsAskedByThoseWhoAreTold(desk: Desk, waiting: list[Deferred[Any]]) -> None:
    """What those who are told ask next is one question at a time as well, and all of them are told."""
    _, one, two = desk.find("never", "a", "a")
    one.addCallback(lambda _: desk.find("b"))
    two.addCallback(lambda _: desk.find("c"))
    for n in range(4):
        assert len(waiting) == n + 1
        waiting[n].callback(USED)
    assert desk.take() == [("never", None), ("a", 1), ("a", 1), ("b", 2), ("c", 3)]
    assert desk.clock.getDelayedCalls() == []


def test_eachQuestionHasItsOwnTime(desk: Desk, waiting: list[Deferred[Any]]) -> None:
    """The second question has LOOKUP_S of its own, from when it is asked."""
    desk.find("a", "b")
    desk.clock.advance(LOOKUP_S - SOME)
    waiting[0].callback(USED)
    assert desk.take() == [("a", 1)]
    desk.clock.advance(LOOKUP_S - SOME)
    assert desk.told == []
    desk.clock.advance(SOME)
    assert desk.cannot() == ["b"]
    waiting[1].callback(USED)
    assert desk.told == []


@pytest.mark.parametrize("error", [LedgerFailed("the views cannot be read", outcome="pending"), Overloaded("busy")])
def test_failure(desk: Desk, error: Exception) -> None:
    """A failure reaches all who asked, also if each does with it what it likes, and those who asked next are told."""
    desk.ledger.error = error
    desk.thread.held = True
    desk.find("a")
    desk.find("b", "b")
    desk.thread.release()
    assert desk.take() == [("a", error), ("b", error), ("b", error)]
    assert desk.clock.getDelayedCalls() == []
    desk.ledger.error = None
    desk.find("a")
    assert desk.take() == [("a", 1)]
