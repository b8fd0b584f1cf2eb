"""One page that listens: what it is sent, in which order, and how much of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from ..finance.channels import Interest
from ..interfaces import IEventReader
from ..runtime.eventlog import EventLog
from ..runtime.replay import PAGE
from ..wire.errors import LedgerFailed
from ..wire.messages import Json, encode

__all__ = ["EVENTS_A_TICK", "LOOK_BACK", "ROWS", "UNREAD_S_MAX", "Listener", "Wanted"]

#: Events a listener is sent from one tick to the next. More is for a program, on the manager port.
EVENTS_A_TICK = 50
#: Rows that a page keeps: of what was there before it came, it is sent no more than that.
ROWS = 200
#: How far back these are looked for: entries, without a filter and with one.
LOOK_BACK, LOOK_BACK_FILTERED = 500, 5000
#: A longer event is counted, and not sent.
LINE_BYTES_MAX = 32 * 1024
#: How long a listener may leave unread what it was sent, in seconds.
UNREAD_S_MAX = 60.0


class Wanted(Struct, frozen=True):
    """
    Which events a page filters for.

    @ivar login: those about this account; 0: about any.
    @ivar order: those about this trade; 0: about any.
    """

    login: int = 0
    order: int = 0

    def of(self, lines: bytes) -> list[bytes]:
        """Those of whole lines that are wanted, without their ends."""
        split = lines.split(b"\r\n")[:-1]
        marks = [b'"%s":%d' % mark for mark in ((b"login", self.login), (b"order", self.order)) if mark[1]]
        # Nearly all are not, and to look for the text is far quicker than to read the line.
        return [line for line in split if all(mark in line for mark in marks) and (not marks or self._covers(line))]

    def _covers(self, line: bytes) -> bool:
        about = _TOLD.decode(line).data
        return self.login in (0, about.login) and self.order in (0, about.order)


class _About(Struct):
    login: Any = 0
    order: Any = 0


class _Told(Struct):
    seq: int
    data: _About


_TOLD = msgspec.json.Decoder(_Told)


@implementer(IEventReader, IPushProducer)
class Listener:
    """
    A reader of events whose lines become messages in the answer to a request.

    @param timer: a clock that is never set.
    @param seesAll: may its principal see what is about the house as a whole?
    @param isGood: may its principal still be told anything? If not, it is ended before the next event is sent.
    """

    _log = Logger()

    def __init__(
        self,
        request: Request,
        timer: IReactorTime,
        events: EventLog,
        interest: Interest,
        wanted: Wanted,
        seesAll: bool,
        isGood: Callable[[], bool],
    ) -> None:
        self._request = request
        self._timer = timer
        self._events = events
        self._wanted = wanted
        self._isGood = isGood
        self.interest = interest
        self.seesAll = seesAll
        # What it gets first, until the log has been read up to where it came in; and what has come meanwhile.
        self._earlier: deque[bytes] | None = deque(maxlen=ROWS)
        self._meanwhile: deque[bytes] = deque(maxlen=ROWS)
        self._seq = self._end = 0
        # What may still be sent before the next tick; the latest of what may not; how many there were between them.
        self._room = EVENTS_A_TICK
        self._late: deque[bytes] = deque(maxlen=EVENTS_A_TICK)
        self._left = 0
        self._unreadSince: float | None = None
        self._closed = False

    # -- life -------------------------------------------------------------------------------------------

    def begin(self, after: int | None) -> None:
        """Send what there is to send, then what comes."""
        head = self._end = self._seq = self._events.head
        back = LOOK_BACK if self._wanted == Wanted() else LOOK_BACK_FILTERED
        first = max(0, head - back)
        if after is not None and after <= head:
            if after < first:
                self.say("gap", {"from": after + 1, "to": first})
            first = max(after, first)
        self._events.attach(self)
        self._read(first)

    def end(self) -> None:
        """It is sent no more."""
        if not self._closed:
            self._request.unregisterProducer()
            self._request.finish()

    def cutOff(self) -> None:
        """Nobody is there to take leave of."""
        self._request.channel.forceAbortClient()

    def close(self) -> None:
        """It has gone."""
        self._closed = True
        self._events.detach(self)

    # -- what there was ---------------------------------------------------------------------------------

    def _read(self, seq: int) -> None:
        count = min(PAGE, self._end - seq)
        if count:
            page = self._events.page(seq, count, self)
            page.addCallback(self._got, seq + count).addErrback(self._cannot, seq)
        else:
            self._caughtUp()

    def _got(self, lines: bytes, seq: int) -> None:
        if not self._closed:
            assert self._earlier is not None
            self._earlier.extend(_short(self._wanted.of(lines)))
            self._read(seq)

    def _cannot(self, failure: Failure, seq: int) -> None:
        text = "the log cannot be read for the console from entry {seq} on"
        if failure.check(LedgerFailed):
            # Nothing unforeseen: a server may be away.
            self._log.warn(f"{text}: {{why}}", seq=seq, why=failure.getErrorMessage())
        else:
            self._log.failure(text, failure, seq=seq)
        if not self._closed:
            self.say("gap", {"from": seq + 1, "to": self._end})
            self._caughtUp()

    def _caughtUp(self) -> None:
        assert self._earlier is not None
        self._earlier.extend(self._meanwhile)
        earlier, self._earlier = self._earlier, None
        self._meanwhile.clear()
        self._tell(earlier)

    # -- what comes -------------------------------------------------------------------------------------

    def deliver(self, lines: bytes, seq: int) -> None:
        self._seq = seq
        if self._earlier is not None:
            self._meanwhile.extend(_short(self._wanted.of(lines)))
            return
        # What is sent now may not overtake what has to wait.
        room = self._room if self._unreadSince is None and not self._late and not self._left else 0
        if self._wanted == Wanted():
            # At twenty thousand a second nobody reads them, and those in the middle need not be looked at one by one.
            count = lines.count(b"\r\n")
            told = lines.split(b"\r\n", room)[: min(room, count)]
            rest = min(EVENTS_A_TICK, count - len(told))
            late = lines.rsplit(b"\r\n", rest + 1)[-rest - 1 : -1] if rest else []
        else:
            wanted = self._wanted.of(lines)
            count = len(wanted)
            told, late = wanted[:room], wanted[room:][-EVENTS_A_TICK:]
        self._room -= len(told)
        told, late = _short(told), _short(late)
        self._left += count - len(told) + len(self._late)
        self._late.extend(late)
        self._left -= len(self._late)
        self._tell(told)

    def _tell(self, lines: Iterable[bytes]) -> None:
        if not self._isGood():
            self.end()
            return
        self._write(b"".join(b"id: %d\nevent: entry\ndata: %b\n\n" % (_TOLD.decode(line).seq, line) for line in lines))

    def say(self, event: str, data: Mapping[str, Any] | Json) -> None:
        """One message, unless the last ones are still unread."""
        if self._unreadSince is None:
            # Before it has caught up, it would not come back to where it was.
            mark = f"id: {self._seq}\n" if self._earlier is None else ""
            self._write(f"{mark}event: {event}\ndata: {encode(data)}\n\n".encode("ascii"))

    def tick(self) -> None:
        """A second has gone by."""
        self._room = EVENTS_A_TICK
        if self._unreadSince is not None:
            return
        if self._left:
            left, self._left = self._left, 0
            self.say("more", {"count": left})
        late = tuple(self._late)
        self._late.clear()
        self._tell(late)

    def _write(self, data: bytes) -> None:
        if data and not self._closed:
            self._request.write(data)

    # -- the transport ----------------------------------------------------------------------------------

    @property
    def isLeft(self) -> bool:
        """Has it not read for so long that nobody is there?"""
        return self._unreadSince is not None and self._timer.seconds() - self._unreadSince > UNREAD_S_MAX

    def pauseProducing(self) -> None:
        if self._unreadSince is None:
            self._unreadSince = self._timer.seconds()

    def resumeProducing(self) -> None:
        self._unreadSince = None

    def stopProducing(self) -> None:
        """The connection is being lost; the request says so, too."""


def _short(lines: Iterable[bytes]) -> list[bytes]:
    """Without those that are too long for a page."""
    return [line for line in lines if len(line) <= LINE_BYTES_MAX]
