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

from collections.abc import Callable, Mapping
from html import escape
from importlib.resources import files
from math import ceil
from typing import Any, Protocol

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import CACHED, Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from ..finance.channels import NOTHING, Channels
from ..server.auth import Principal
from ..server.dispatch import Dispatcher
from ..server.limits import Turns
from ..wire.errors import PermissionDenied
from ..wire.messages import Json
from ..wire.messages import Request as Question
from .entry import BADGE_S_MAX, Badges, Entry, NotNow, isOurs, tokenIn
from .stream import Listeners, Wanted

__all__ = ["COOKIE", "Console", "IGuard"]

#: What the cookie with the badge is called.
COOKIE = b"scalemgr"
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
_HTML, _TEXT, _JSON = b"text/html; charset=utf-8", b"text/plain; charset=utf-8", b"application/json"
_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}
_SIGN_IN = Json('{"error":"PERMISSION_DENIED","message":"show a token first"}')
_BUSY = b"as many pages are open as there may be; close one, or try again later\n"


class IGuard(Protocol):
    """What the console needs of the site's guard. (Not zope's: it stays inside this folder.)"""

    def principalOf(self, request: Request) -> Principal | None:
        """Who asks; C{None}: nobody whom we know."""


class Console(Struct, frozen=True):
    """
    What all its resources share.

    @ivar timer: a clock that is never set.
    @ivar entry: where tokens are shown; C{None}: nobody has to.
    """

    timer: IReactorTime
    dispatcher: Dispatcher
    guard: IGuard
    listeners: Listeners
    badges: Badges
    entry: Entry | None = None

    def putInto(self, root: Resource) -> None:
        """Serve it from here on."""
        pages = _Pages(self)
        for path, resource in (
            (b"", _Page(self)),
            (b"pages", pages),
            (b"stream", _Stream(self)),
            (b"statement", _Statement(self)),
            (b"login", _Login(self)),
            (b"logout", _Logout(self)),
        ):
            root.putChild(path, resource)


class _Room(Resource):
    """One path of the console."""

    isLeaf = True

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def render(self, request: Request) -> Any:
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        request.setHeader(b"cache-control", b"no-store")
        # A page of somebody else's may link to this one, and no more.
        if request.getHeader(b"sec-fetch-site") in (b"cross-site", b"same-site") and not isinstance(self, _Page):
            return _say(request, 403, _TEXT, b"this is for pages of the console only\n")
        return super().render(request)


class _Page(_Room):
    """The page itself."""

    def render_GET(self, request: Request) -> bytes:
        if self._console.guard.principalOf(request) is None:
            return _say(request, 401, _HTML, _form(""))
        return _say(request, 200, _HTML, _file("console.html"))


class _Pages(_Room):
    """What the page is made of."""

    isLeaf = False

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        for entry in files(__package__).joinpath("pages").iterdir():
            kind = _TYPES.get(entry.name[entry.name.rfind(".") :])
            if kind is not None:
                self.putChild(entry.name.encode("ascii"), _File(console, kind, entry.read_bytes()))

    def render_GET(self, request: Request) -> bytes:
        return _say(request, 404, _TEXT, b"there is nothing here\n")


class _File(_Room):
    def __init__(self, console: Console, kind: bytes, content: bytes) -> None:
        super().__init__(console)
        self._kind = kind
        self._content = content
        self._tag = b'"%x"' % (hash(content) & 0xFFFFFFFFFFFFFFFF)

    def render_GET(self, request: Request) -> bytes:
        # The same for everybody; and after another version was started, another one.
        request.setHeader(b"cache-control", b"no-cache")
        if request.setETag(self._tag) is CACHED:
            return b""
        return _say(request, 200, self._kind, self._content)


class _Stream(_Room):
    """What happens, as it happens."""

    def render_HEAD(self, request: Request) -> bytes:
        return _say(request, 200, b"text/event-stream", b"")

    def render_GET(self, request: Request) -> Any:
        principal = self._console.guard.principalOf(request)
        if principal is None:
            return _say(request, 401, _JSON, _SIGN_IN.encode())
        try:
            wanted = Wanted(_number(request, b"login") or 0, _number(request, b"order") or 0)
            after = _number(request, b"after")
            seen = request.getHeader(b"last-event-id")
            if seen is not None:
                after = _count(seen)
        except ValueError as e:
            return _say(request, 400, _TEXT, b"%b\n" % str(e).encode())
        if self._console.listeners.isFull:
            request.setHeader(b"retry-after", b"10")
            return _say(request, 503, _TEXT, _BUSY)
        request.setHeader(b"content-type", b"text/event-stream")
        # A proxy that gathers what is sent would make all of it late.
        request.setHeader(b"x-accel-buffering", b"no")
        self._console.listeners.open(request, principal, wanted, after)
        return NOT_DONE_YET


class _Statement(_Room):
    """One account's statement."""

    def render_GET(self, request: Request) -> Any:
        principal = self._console.guard.principalOf(request)
        if principal is None:
            return _say(request, 401, _JSON, _SIGN_IN.encode())
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

    def answer(self, extIDText: Json, status: int, data: Json, *, replayed: bool = False) -> None:
        if self._open:
            self._request.write(_say(self._request, status, _JSON, data.encode("ascii")))
            self._request.finish()

    def over(self, _: object) -> None:
        """It was answered, or the browser has gone."""
        self._open = False
        self.turns.close()


class _Login(_Room):
    """A token comes in, a badge goes out."""

    def render_GET(self, request: Request) -> bytes:
        return _goTo(request, b"/")

    def render_POST(self, request: Request) -> bytes:
        entry = self._console.entry
        if entry is None:
            return _goTo(request, b"/")
        if not isOurs(request):
            return _say(request, 403, _TEXT, b"this form was not sent by a page of the console\n")
        token = tokenIn(request)
        if token is None:
            return _say(request, 400, _HTML, _form("Paste a token: what `scalemgr token` prints, and nothing else."))
        try:
            badge, principal = entry.enter(token, _peer(request))
        except PermissionDenied as e:
            return _say(request, 401, _HTML, _form(f"Not accepted: {e.message}."))
        except NotNow as e:
            request.setHeader(b"retry-after", b"%d" % ceil(e.seconds))
            return _say(request, 429, _HTML, _form(f"Not looked at: {e}."))
        self._give(request, badge, int(BADGE_S_MAX))
        return _goTo(request, b"/")

    def _give(self, request: Request, badge: str, seconds: int) -> None:
        request.addCookie(
            COOKIE,
            badge,
            path=b"/",
            max_age=b"%d" % seconds,
            secure=bool(request.isSecure()),
            httpOnly=True,
            sameSite=b"strict",
        )


class _Logout(_Login):
    """The badge goes back."""

    def render_POST(self, request: Request) -> bytes:
        if not isOurs(request):
            return _say(request, 403, _TEXT, b"this form was not sent by a page of the console\n")
        badge = request.getCookie(COOKIE)
        if badge is not None:
            self._console.badges.takeBack(badge.decode("latin-1"))
        self._give(request, "", 0)
        return _goTo(request, b"/")


def _file(name: str) -> bytes:
    return files(__package__).joinpath("pages", name).read_bytes()


def _form(why: str) -> bytes:
    """The page with the form, and what was wrong with what was sent before."""
    return _file("login.html").replace(b"<!-- why -->", escape(why).encode("utf-8"))


def _say(request: Request, status: int, kind: bytes, body: bytes) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", kind)
    return body


def _goTo(request: Request, path: bytes) -> bytes:
    request.setHeader(b"location", path)
    return _say(request, 303, _TEXT, b"")


def _peer(request: Request) -> str:
    """The address that a request comes from, as text."""
    address = request.getClientAddress()
    return str(getattr(address, "host", address))


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


def _count(seen: bytes) -> int | None:
    """A C{Last-Event-ID}; what is none of ours tells nothing."""
    text = seen.decode("latin-1")
    return int(text) if _isCount(text) else None
