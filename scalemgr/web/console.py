"""The console: one page for people, and what it asks for.

- C{/}: the page; or, for somebody who has to say who they are, a form for a token.
- C{/pages/...}: its style and its scripts. Nothing comes from anywhere else.
- C{/stream?login=&order=&refused=&after=}: L{scalemgr.web.stream}.
- C{/statement?login=&from=&to=&limit=&after_seq=&as_of=}: what C{GetStatement} answers, newest first, with its status.
- C{/payment?id=&key=}, C{/entry?seq=}: L{scalemgr.web.payment}.
- C{/login}, C{/logout}: L{scalemgr.web.forms}.

Those two change who looks; nothing else changes anything. What is asked of the ledger goes the way that requests
go, so who may see what is decided where it always is.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import CACHED
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from ..finance.channels import NOTHING, Channels
from ..server.auth import Principal
from ..server.dispatch import Dispatcher
from ..server.limits import Turns
from ..wire.messages import Json
from ..wire.messages import Request as Question
from .data import Data, argument, isCount, number
from .entry import Badges, Entry
from .forms import PAGES, Form, Login, Logout, Room, shown
from .guard import Guard
from .listener import Wanted
from .payment import EntryOf, Payment
from .resources import said
from .stream import Listeners

__all__ = ["STATEMENT_ROWS", "furnish"]

#: Rows of a statement at a time, unless the page asks for less.
STATEMENT_ROWS = 100

_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}


def furnish(
    front: Resource,
    guard: Guard,
    listeners: Listeners,
    entry: Entry,
    badges: Badges,
    timer: IReactorTime,
    dispatcher: Dispatcher,
) -> None:
    """
    Serve the console from here on.

    @param timer: a clock that is never set.
    """
    rooms: dict[bytes, Room] = {
        b"": _Front(guard),
        b"pages": _Folder(),
        b"stream": _Stream(guard, listeners),
        b"statement": _Statement(guard, timer, dispatcher),
        b"payment": Payment(guard, dispatcher),
        b"entry": EntryOf(guard, dispatcher),
        b"login": Login(entry),
        b"logout": Logout(badges),
    }
    for path, room in rooms.items():
        front.putChild(path, room)


class _Front(Room):
    """The page itself."""

    isLinked = True

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard
        self._page = PAGES.joinpath("console.html").read_bytes()

    def answer(self, request: Request) -> bytes:
        if self._guard.principalOf(request) is None:
            return Form.page(request, 401)
        return shown(request, 200, self._page)


class _Folder(Room):
    """What the page is made of."""

    def __init__(self) -> None:
        super().__init__()
        for entry in PAGES.iterdir():
            kind = _TYPES.get(entry.name[entry.name.rfind(".") :])
            if kind is not None:
                self.putChild(entry.name.encode("ascii"), _File(kind, entry.read_bytes()))

    def answer(self, request: Request) -> bytes:
        return said(request, 404, "There is no such page.")


class _File(Room):
    def __init__(self, kind: bytes, content: bytes) -> None:
        super().__init__()
        self._kind = kind
        self._content = content
        self._tag = b'"%b"' % sha256(content).hexdigest()[:16].encode("ascii")

    def answer(self, request: Request) -> bytes:
        # The same for everybody; and after another version was started, another one.
        request.setHeader(b"cache-control", b"no-cache")
        if request.setETag(self._tag) is CACHED:
            return b""
        request.setHeader(b"content-type", self._kind)
        return self._content


class _Stream(Data):
    """What happens, as it happens."""

    def __init__(self, guard: Guard, listeners: Listeners) -> None:
        super().__init__(guard)
        self._listeners = listeners

    def told(self, request: Request, principal: Principal) -> Any:
        try:
            wanted = Wanted(number(request, b"login") or 0, number(request, b"order") or 0)
            refused = number(request, b"refused") != 0
            after = number(request, b"after")
        except ValueError as e:
            return said(request, 400, str(e))
        # What a browser remembers of before it lost the connection is later than what the page knew when it began.
        seen = (request.getHeader(b"last-event-id") or b"").decode("latin-1")
        if isCount(seen):
            after = int(seen)
        if self._listeners.isFull:
            request.setHeader(b"retry-after", b"10")
            return said(request, 503, "As many consoles are open as there may be: close one, or try again later.")
        request.setHeader(b"content-type", b"text/event-stream")
        # A proxy that gathers what is sent would make all of it late.
        request.setHeader(b"x-accel-buffering", b"no")
        if request.method == b"HEAD":
            return b""
        self._listeners.open(request, principal, wanted, after, refused=refused)
        return NOT_DONE_YET


class _Statement(Data):
    """One account's statement."""

    def __init__(self, guard: Guard, timer: IReactorTime, dispatcher: Dispatcher) -> None:
        super().__init__(guard)
        self._timer = timer
        self._dispatcher = dispatcher

    def told(self, request: Request, principal: Principal) -> Any:
        data: dict[str, Any] = {"limit": STATEMENT_ROWS, "newest_first": True}
        for name in ("login", "from", "to", "limit", "after_seq", "as_of"):
            text = argument(request, name.encode("ascii")).strip()
            if text:
                # What is no number is refused in the command's own words.
                data[name] = int(text) if isCount(text) else text
        if type(data["limit"]) is int:
            data["limit"] = min(data["limit"], STATEMENT_ROWS)
        visit = _Visit(self._timer, principal, request)
        request.notifyFinish().addBoth(visit.over)
        self._dispatcher.dispatch(visit, Question("GetStatement", None, Json("null"), data, None))
        return NOT_DONE_YET


class _Visit:
    """A question of the page's: to dispatch, a session that asks once."""

    def __init__(self, timer: IReactorTime, principal: Principal, request: Request) -> None:
        self.principal: Principal | None = principal
        self.turns = Turns(timer)
        self.channels: Channels = NOTHING
        self._request = request
        self._open = True

    def authenticated(self, principal: Principal) -> None:
        """It shows no token: the guard has said who it is."""

    def subscribe(self, channels: Channels, after: int | None) -> None:
        """It is sent no events: it asks for a statement and nothing else."""

    def hold(self) -> None:
        """As L{subscribe}."""

    def goOn(self) -> None:
        """As L{subscribe}."""

    def isOpen(self) -> bool:
        return self._open

    def denied(self, why: str) -> None:
        """Its badge was good a moment ago; the answer says what is wrong."""

    def tokenRefused(self, why: str) -> None:
        """What it was given its badge for is not believed any more; so says the answer."""

    def answer(self, extIDText: Json, status: int, data: Json, *, replayed: bool = False) -> None:
        if self._open:
            self._request.setResponseCode(status)
            self._request.setHeader(b"content-type", b"application/json")
            self._request.setHeader(b"content-length", b"%d" % len(data))
            self._request.write(data.encode("ascii"))
            self._request.finish()

    def over(self, _: object) -> None:
        """It was answered, or the browser has gone."""
        self._open = False
        self.turns.close()
