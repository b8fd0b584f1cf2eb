"""What the console's page is told while it is open, as server-sent events (C{text/event-stream}).

Messages, each with a JSON object as its C{data}:

- C{hello}, first: C{{"id": ..., "role": ..., "all": true, "audit": true, "local": true}}, who looks, whether that one
  sees everything, and may know who asked for what, and whether without having shown a token.
- C{history}, then: the last minute and the last hour, as in C{/status}.
- C{status}, at once and once a second: C{/status} without its history, but with the rows that were added to that,
  C{"rows": {"minute": [...], "hour": [...]}}, or null where there is none. It is made once for all who listen, and
  not at all while nobody does. Who does not see everything is told numbers, and which checks failed, but neither who
  the others are nor why: that names folders. Its C{id} is the entry up to which the page has been told of the log.
- C{entry}: an event of the log, the very line that sessions get; its C{id} is its C{seq}. To who may audit the house
  also what was refused, as L{scalemgr.runtime.eventlog} has it, unless it asks for none of that.
- C{more}: C{{"count": n}}, n events are not sent, for they were too many at a time or too long for a page. Of many,
  the first and the latest are.
- C{gap}: C{{"from": seq, "to": seq}}, what lies between was missed, and is too much to be sent now.

A listener is sent only what its principal may see, and of that what it filters for. Who comes (again) first gets what
the latest entries were, or those that it has missed, if they are not too many.

No listener costs more memory than one page of rows and what its transport takes: who does not read gets a
number, and after a while is let go. A browser comes back by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.server import Request

from ..finance.channels import Audit, Interest
from ..runtime.eventlog import EventLog
from ..server.auth import Principal
from ..wire.codes import SessionType
from ..wire.messages import Json, encode
from .guard import OPERATOR, Guard
from .history import History, Row
from .listener import Listener, Wanted
from .status import Status

__all__ = ["LISTENERS_MAX", "TICK_S", "Listeners"]

#: How many pages may be open.
LISTENERS_MAX = 64
#: How many sessions are listed every second.
SESSIONS_MAX = 100
#: How often those who listen are told how things are, in seconds.
TICK_S = 1.0
#: A browser that has lost us waits so long before it comes back, in milliseconds.
_RETRY_MS = 2000
_UNSAID = "how things are cannot be said to the console"


class Listeners:
    """
    All pages that are open.

    @param timer: a clock that is never set.
    @param guard: knows who looks, and when that one's time is up: then it is sent no more.
    @param listenersMax: one more is refused.
    """

    _log = Logger()

    def __init__(
        self,
        timer: IReactorTime,
        events: EventLog,
        guard: Guard,
        status: Status,
        history: History,
        listenersMax: int = LISTENERS_MAX,
    ) -> None:
        self._timer = timer
        self._events = events
        self._guard = guard
        self._status = status
        self._history = history
        self._listenersMax = listenersMax
        self._open: dict[Listener, Request] = {}
        self._lastHour: Row | None = None
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = timer

    def __len__(self) -> int:
        return len(self._open)

    @property
    def isFull(self) -> bool:
        """Is there no room for one more?"""
        return len(self._open) >= self._listenersMax

    def open(
        self, request: Request, principal: Principal, wanted: Wanted, after: int | None, *, refused: bool = True
    ) -> None:
        """
        Send events from now on, as the answer to a request whose headers are set.

        @param after: the last entry that the page knows of; C{None}: it knows none.
        @param refused: what was refused, too, if that is for who looks?
        """
        seesAll = self._guard.mayOversee(principal)
        isGood = partial(self._guard.isGood, principal)
        mayAudit = self._guard.mayAudit(principal)
        interest = (Audit if mayAudit and refused else Interest)(principal.mask, principal.events)
        listener = Listener(request, self._timer, self._events, interest, wanted, seesAll, isGood)
        self._open[listener] = request
        request.notifyFinish().addBoth(self._gone, listener)
        request.registerProducer(listener, True)
        request.write(b"retry: %d\n\n" % _RETRY_MS)
        role = SessionType(principal.role).name.removeprefix("SESSION_")
        hello = {"id": principal.id, "role": role, "all": seesAll, "audit": mayAudit}
        listener.say("hello", {**hello, "local": principal is OPERATOR})
        try:
            listener.say("history", self._history.told())
            listener.say("status", self._now({"minute": None, "hour": None})[listener.seesAll])
        except Exception:
            self._log.failure(_UNSAID)
        listener.begin(after)
        if not self._ticking.running:
            self._lastHour = _last(self._history.hour)
            self._ticking.start(TICK_S, now=False)

    def close(self) -> None:
        """The daemon stops: end them all."""
        for listener in tuple(self._open):
            listener.end()

    def _gone(self, _: object, listener: Listener) -> None:
        del self._open[listener]
        listener.close()
        if not self._open and self._ticking.running:
            self._ticking.stop()

    def _tick(self) -> None:
        said: dict[bool, Json] = {}
        try:
            hour, before = _last(self._history.hour), self._lastHour
            self._lastHour = hour
            said = self._now({"minute": _last(self._history.minute), "hour": None if hour is before else hour})
        except Exception:
            # The page says itself that it hears nothing; and this must go on.
            self._log.failure(_UNSAID)
        for listener, request in tuple(self._open.items()):
            if listener.isLeft:
                listener.cutOff()
            elif self._guard.principalOf(request) is None:
                listener.end()
            else:
                listener.tick()
                if said:
                    listener.say("status", said[listener.seesAll])

    def _now(self, rows: Mapping[str, Row | None]) -> dict[bool, Json]:
        """How things are, for who sees everything and who does not, if there are such."""
        brief = {**self._status.brief(), "rows": rows}
        waiters, sessions = brief["waiters"], brief["sessions"]
        told = {}
        if any(one.seesAll for one in self._open):
            listed = sessions["listed"][:SESSIONS_MAX]
            told[True] = encode({**brief, "sessions": {**sessions, "listed": listed}})
        if not all(one.seesAll for one in self._open):
            told[False] = encode(
                {
                    **brief,
                    "waiters": {**waiters, "oldest": []},
                    "sessions": {**sessions, "listed": []},
                    "ledger": {**brief["ledger"], "folder": "", "refusal": ""},
                    "commit": {**brief["commit"], "failing": ""},
                    "views": {**brief["views"], "failing": ""},
                    "checks": [{**check, "why": ""} for check in brief["checks"]],
                }
            )
        return told


def _last(rows: Sequence[Row]) -> Row | None:
    return rows[-1] if rows else None
