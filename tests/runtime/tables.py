"""A table of waiters by itself, with a clock to turn by hand."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from scalemgr.finance.records import TRADE_EVENT, Entry
from scalemgr.interfaces import ISubmission
from scalemgr.runtime.waiters import Awaited, TimeoutBounds, Waiters
from scalemgr.wire.codes import EventRecordType
from scalemgr.wire.messages import Json

from ..helpers import NOW_MS

ADD, UPDATE = EventRecordType.EV_RECORD_ADD, EventRecordType.EV_RECORD_UPDATE
BOUNDS = TimeoutBounds(default_ms=5000, min_ms=100, max_ms=25_000)


@implementer(ISubmission)
class Submission:
    """A cause that remembers whether it was taken back."""

    request: Any = None
    outcome: Any = None
    replayed = False
    named = True

    def __init__(self, *, committing: bool = False) -> None:
        self.queued = not committing
        self.withdrawn = False

    def forsake(self, end: float) -> None:
        """It does not matter here."""

    def withdraw(self) -> bool:
        self.withdrawn, self.queued = self.queued, False
        return self.withdrawn

    def giveUp(self) -> Deferred[str | None]:
        return succeed("void" if self.withdraw() else "pending")


class Table:
    """A table of waiters, and what each was answered with."""

    def __init__(self, waitersMax: int = 10_000, startAt: float = NOW_MS / 1000) -> None:
        self.clock = Clock()
        self.clock.rightNow = startAt
        self.waiters = Waiters(self.clock, BOUNDS, waitersMax)
        self.answers: list[tuple[str, Any]] = []

    def wait(
        self,
        extID: str = "a",
        order: int = 7,
        timeout: int | None = None,
        cause: ISubmission | None = None,
        type: int = ADD,
        session: object = "session",
    ) -> Deferred[Entry]:
        awaited = Awaited("trade", TRADE_EVENT, type, order, timeout, cause)
        waiting = self.waiters.wait(awaited, session, extID)
        waiting.addBoth(lambda answer: self.answers.append((extID, _plain(answer))))
        return waiting

    def tell(self, outcome: Any, cause: Submission) -> None:
        """What the runtime does when a cause has an outcome."""
        cause.outcome = outcome
        self.waiters.settled(cause)
        if isinstance(outcome, Entry):
            self.waiters.emitted(outcome)

    def who(self) -> list[str]:
        return [extID for extID, _ in self.answers]

    def timers(self) -> int:
        return len(self.clock.getDelayedCalls())


def _plain(answer: object) -> object:
    return answer.value if isinstance(answer, Failure) else answer


def entry(order: int = 7, type: int = ADD, event: str = TRADE_EVENT) -> Entry:
    return Entry(1, NOW_MS, event, type, "demo", 1001, order, 0, 0, "crm", None, None, Json("{}"))
