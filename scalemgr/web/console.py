"""The console: one page for people, and what it asks for.

- C{/}: the page; or, for somebody who has to say who they are, a form for a token.
- C{/pages/...}: its style and its scripts. Nothing comes from anywhere else.
- C{/stream?login=&order=&after=}: L{scalemgr.web.stream}.
- C{/statement?login=&from=&to=&limit=&after_seq=&as_of=}: what C{GetStatement} answers, with its status.
- C{/login}, C{/logout}: forms, from this page only (L{scalemgr.web.entry}).

Those two change who looks; nothing else changes anything. What is asked of the ledger goes the way that requests
go, so who may see what is decided where it always is.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from html import escape
from importlib.resources import files
from math import ceil
from typing import Any

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import CACHED
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from ..commands.base import STAFF
from ..finance.channels import NOTHING, Channels
from ..server.auth import Principal
from ..server.dispatch import Dispatcher
from ..server.gate import hostOf
from ..server.limits import Turns
from ..wire.errors import PermissionDenied
from ..wire.messages import Json
from ..wire.messages import Request as Question
from .entry import BADGE_S_MAX, Badges, Entry, NotNow, isOurs, tokenIn
from .guard import COOKIE, Guard
from .resources import Page, said, saidAsJson
from .stream import Listeners, Wanted

__all__ = ["Console"]

#: Rows of a statement at a time, unless the page asks for less.
STATEMENT_ROWS = 100

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"frame-ancestors 'none'; form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'; "
    b"trusted-types 'none'"
)
_HEADERS = {
    b"content-security-policy": _POLICY,
    b"x-content-type-options": b"nosniff",
    # A form that says nothing of where it comes from would not be taken for ours.
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}
# What browsers say of requests that another site has made.
_ELSEWHERE = (b"cross-site", b"same-site")


class Console(Struct, frozen=True):
    """
    What all its resources share.

    @ivar timer: a clock that is never set.
    """

    timer: IReactorTime
    dispatcher: Dispatcher
    guard: Guard
    listeners: Listeners
    badges: Badges
    entry: Entry

    def putInto(self, front: Resource) -> None:
        """Serve it from here on."""
        for path, room in (
            (b"", _Front),
            (b"pages", _Pages),
            (b"stream", _Stream),
            (b"statement", _Statement),
            (b"login", _Login),
            (b"logout", _Logout),
        ):
            front.putChild(path, room(self))


class _Room(Page):
    """One path of the console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def render(self, request: Request) -> Any:
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        # A page of somebody else's may link to this one, and no more.
        if request.getHeader(b"sec-fetch-site") in _ELSEWHERE and not isinstance(self, _Front):
            return said(request, 403, "This is for pages of the console only.")
        return super().render(request)


class _Front(_Room):
    """The page itself."""

    def answer(self, request: Request) -> bytes:
        if self._console.guard.principalOf(request) is None:
            return _shown(request, 401, _form(""))
        return _shown(request, 200, _file("console.html"))


class _Pages(_Room):
    """The folder of what the page is made of."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        for entry in files(__package__).joinpath("pages").iterdir():
            kind = _TYPES.get(entry.name[entry.name.rfind(".") :])
            if kind is not None:
                self.putChild(entry.name.encode("ascii"), _File(console, kind, entry.read_bytes()))

    def answer(self, request: Request) -> bytes:
        return said(request, 404, "There is no such page.")


class _File(_Room):
    def __init__(self, console: Console, kind: bytes, content: bytes) -> None:
        super().__init__(console)
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


class _Data(_Room):
    """What the page asks for: of staff who are known."""

    def answer(self, request: Request) -> Any:
        principal = self._console.guard.principalOf(request)
        if principal is None:
            return saidAsJson(request, 401, _denied("show a token first"))
        if principal.role not in STAFF:
            return saidAsJson(request, 403, _denied("the console is for managers, dealers and admins"))
        return self.told(request, principal)

    def told(self, request: Request, principal: Principal) -> Any:
        """What somebody is told who may know."""
        raise NotImplementedError


class _Stream(_Data):
    """What happens, as it happens."""

    def told(self, request: Request, principal: Principal) -> Any:
        try:
            wanted = Wanted(_number(request, b"login") or 0, _number(request, b"order") or 0)
            after = _number(request, b"after")
        except ValueError as e:
            return said(request, 400, str(e))
        # What a browser remembers of before it lost the connection is later than what the page knew when it began.
        seen = (request.getHeader(b"last-event-id") or b"").decode("latin-1")
        if _isCount(seen):
            after = int(seen)
        if self._console.listeners.isFull:
            request.setHeader(b"retry-after", b"10")
            return said(request, 503, "As many consoles are open as there may be: close one, or try again later.")
        request.setHeader(b"content-type", b"text/event-stream")
        # A proxy that gathers what is sent would make all of it late.
        request.setHeader(b"x-accel-buffering", b"no")
        if request.method == b"HEAD":
            return b""
        self._console.listeners.open(request, principal, wanted, after)
        return NOT_DONE_YET


class _Statement(_Data):
    """One account's statement."""

    def told(self, request: Request, principal: Principal) -> Any:
        data: dict[str, Any] = {"limit": STATEMENT_ROWS}
        for name in ("login", "from", "to", "limit", "after_seq", "as_of"):
            text = _argument(request, name.encode("ascii"))
            if text:
                # What is no number is refused in the command's own words.
                data[name] = int(text) if _isCount(text) else text
        if type(data["limit"]) is int:
            data["limit"] = min(data["limit"], STATEMENT_ROWS)
        visit = _Visit(self._console.timer, principal, request)
        request.notifyFinish().addBoth(visit.over)
        self._console.dispatcher.dispatch(visit, Question("GetStatement", None, Json("null"), data, None))
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


class _Form(_Room):
    """What a form is sent to."""

    methods = (b"GET", b"POST")

    def answer(self, request: Request) -> bytes:
        if request.method != b"POST":
            # Somebody has typed the address, or loads the page again: the form is at /.
            return _onward(request)
        if not isOurs(request):
            return said(request, 403, "This form was not sent by a page of the console.")
        return self.take(request)

    def take(self, request: Request) -> bytes:
        """Do what the form says."""
        raise NotImplementedError


class _Login(_Form):
    """A token comes in, a badge goes out."""

    def take(self, request: Request) -> bytes:
        token = tokenIn(request)
        if token is None:
            return _shown(request, 400, _form("Paste a token: what `scalemgr token` prints, and nothing else."))
        try:
            badge = self._console.entry.enter(token, hostOf(request.getClientAddress()))
        except PermissionDenied as e:
            return _shown(request, 401, _form(f"Not accepted: {e.message}."))
        except NotNow as e:
            request.setHeader(b"retry-after", b"%d" % ceil(e.seconds))
            return _shown(request, 429, _form(f"Not looked at: {e}."))
        return _changed(request, badge, int(BADGE_S_MAX))


class _Logout(_Form):
    """The badge goes back."""

    def take(self, request: Request) -> bytes:
        badge = request.getCookie(COOKIE)
        if badge is not None:
            self._console.badges.takeBack(badge.decode("latin-1"))
        return _changed(request, "", 0)


def _denied(why: str) -> dict[str, Any]:
    return PermissionDenied(why).data()


def _changed(request: Request, badge: str, seconds: int) -> bytes:
    """From now on the browser has this badge; on to the page."""
    request.addCookie(
        COOKIE,
        badge,
        path=b"/",
        max_age=b"%d" % seconds,
        secure=bool(request.isSecure()),
        httpOnly=True,
        sameSite=b"strict",
    )
    return _onward(request)


def _onward(request: Request) -> bytes:
    request.setHeader(b"location", b"/")
    return said(request, 303, "Go on at /.")


def _file(name: str) -> bytes:
    return files(__package__).joinpath("pages", name).read_bytes()


def _form(why: str) -> bytes:
    """The page with the form, and what was wrong with what was sent before."""
    return _file("login.html").replace(b"<!-- why -->", escape(why).encode("utf-8"))


def _shown(request: Request, status: int, page: bytes) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"text/html; charset=utf-8")
    return page


def _argument(request: Request, name: bytes) -> str:
    args: Mapping[bytes, list[bytes]] = request.args or {}
    return args.get(name, [b""])[-1].decode("utf-8", "replace").strip()


def _isCount(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


def _number(request: Request, name: bytes) -> int | None:
    text = _argument(request, name)
    if text and not _isCount(text):
        raise ValueError(f"{name.decode()}: expected a number of at most 15 digits")
    return int(text) if text else None
