"""Says what became of a batch: first each response, then each event, in the order of the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from ..finance.records import Entry
from ..finance.settle import Outcome, Replay
from ..wire.errors import LedgerFailed, ManagerError
from .eventlog import EventLog
from .underway import Work
from .waiters import Waiters

__all__ = ["Telling"]


class Telling:
    """
    Tells those who wait, and those who listen.

    @param gathering: entered while a batch is told, so that what each session is told can leave at once.
    """

    _log = Logger()

    def __init__(self, waiters: Waiters, events: EventLog, gathering: AbstractContextManager[None]) -> None:
        self._waiters = waiters
        self._events = events
        self._gathering = gathering

    def settled(self, batch: Iterable[Work], outcomes: Iterable[Outcome], entries: Sequence[Entry]) -> None:
        """
        A batch is on the disk.

        @param entries: what is in the log now, with what others wrote before it.
        """
        with self._gathering:
            for work, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Entry):
                    work.settle(outcome, replay=False)
                    self._answer(work)
                elif isinstance(outcome, Replay):
                    work.settle(outcome.entry, replay=True)
                    self._answer(work)
                else:
                    if not isinstance(outcome, ManagerError):
                        self._log.failure("a request could not be settled", Failure(outcome))
                    self.refuse(work, outcome)
            self.emitted(entries)

    def emitted(self, entries: Sequence[Entry]) -> None:
        """These are in the log."""
        self._waiters.emitted(*entries)
        self._events.publish(entries)

    def refuse(self, work: Work, error: Exception) -> None:
        """Nothing was kept of it. That nothing ever was, is only said when it is certain."""
        if not isinstance(error, LedgerFailed):
            work.fail(error)
            self._answer(work)
            return
        if not work.askers:
            # Nothing need be found out.
            work.fail(error)
            return
        if error.details.get("outcome") != "void":
            work.fail(_about(error, work, "pending"))
            self._answer(work)
            return

        def certain(outcome: str | None) -> None:
            if outcome is not None:
                work.fail(_about(error, work, outcome))
            self._answer(work)

        work.certainty().addCallback(certain).addErrback(self._untold)

    def _answer(self, work: Work) -> None:
        # To answer one may make another go away. And nobody asks for what is done: else the two would hold each other
        # until the collector finds them.
        askers = tuple(work.askers)
        work.askers.clear()
        for asker in askers:
            self._waiters.settled(asker)

    def _untold(self, failure: Failure) -> None:
        self._log.failure("what became of a request could not be told", failure)


def _about(error: LedgerFailed, work: Work, outcome: str) -> LedgerFailed:
    """The same failure, with what can be said of this work, and the order to ask for later, where there is one."""
    details: dict[str, Any] = {"kind": "trade", "order": work.order} if work.order else {}
    return LedgerFailed(error.message, error.code, **{**details, **error.details, "outcome": outcome})
