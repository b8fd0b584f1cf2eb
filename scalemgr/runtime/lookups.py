"""Idempotency keys, looked up off the reactor's thread.

Only one lookup is under way at a time; what is wanted meanwhile goes into the next one, so that a thousand
time-outs at once are two questions. Whoever wants to know is told within L{LOOKUP_S}, if only that nobody can
say now.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from ..finance.records import Entry
from ..finance.requests import KeyName
from ..interfaces import ILedger
from ..wire.codes import RetCode
from ..wire.errors import LedgerFailed
from .orders import InThread

__all__ = ["LOOKUP_S", "Lookups"]

#: How long a lookup may take, in seconds.
LOOKUP_S = 1.0

_Waiting = dict[KeyName, list["Deferred[Entry | None]"]]


class Lookups:
    """
    Finds the entries of keys.

    @param inReader: runs the ledger's questions.
    """

    def __init__(self, clock: IReactorTime, ledger: ILedger, inReader: InThread) -> None:
        self._clock = clock
        self._ledger = ledger
        self._inReader = inReader
        self._next: _Waiting = {}
        self._asked: _Waiting = {}
        # Those of the next ones that nothing is to come of, if they have nothing.
        self._renounced: set[KeyName] = set()
        self._asking = False
        self._timer: IDelayedCall | None = None

    def find(self, name: KeyName, *, renounced: bool = False) -> Deferred[Entry | None]:
        """
        The entry of a key, or C{None} if it has none. What is under way meanwhile is the caller's to know.

        @param renounced: if it has none, nobody else books anything that was asked for with it before now.
        @return: a Deferred that fails if it cannot be looked up now.
        """
        if self._asking and self._timer is None:
            return fail(_cannot())
        found: Deferred[Entry | None] = Deferred()
        self._next.setdefault(name, []).append(found)
        if renounced:
            self._renounced.add(name)
        if not self._asking:
            self._ask()
        return found

    def _ask(self) -> None:
        self._asked, self._next = self._next, {}
        self._asking = True
        self._timer = self._clock.callLater(LOOKUP_S, self._late)
        renounced, self._renounced = self._renounced, set()
        self._inReader(self._look, [*self._asked], renounced).addCallbacks(self._found, self._failed)

    def _look(self, names: list[KeyName], renounced: set[KeyName]) -> dict[KeyName, Entry]:
        """In the reader's thread."""
        found = self._ledger.renounce(renounced) if renounced else {}
        others = [name for name in names if name not in renounced]
        return {**found, **self._ledger.keyed(others)} if others else found

    def _late(self) -> None:
        """It hangs. Until it comes back, nobody need ask."""
        self._timer = None
        self._failAll(_cannot())

    def _found(self, entries: dict[KeyName, Entry]) -> None:
        asked = self._finish()
        for name, waiting in asked.items():
            for each in waiting:
                each.callback(entries.get(name))
        self._goOn()

    def _failed(self, failure: Failure) -> None:
        asked = self._finish()
        for waiting in asked.values():
            for each in waiting:
                each.errback(failure)
        self._goOn()

    def _finish(self) -> _Waiting:
        self._asking = False
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        asked, self._asked = self._asked, {}
        return asked

    def _goOn(self) -> None:
        if self._next and not self._asking:
            self._ask()

    def _failAll(self, error: Exception) -> None:
        tables = self._asked, self._next
        self._asked, self._next, self._renounced = {}, {}, set()
        for table in tables:
            for waiting in table.values():
                for each in waiting:
                    each.errback(error)


def _cannot() -> LedgerFailed:
    return LedgerFailed("the ledger does not answer; ask again later", RetCode.RET_ERR_TIMEOUT)
