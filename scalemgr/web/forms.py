"""What a page of the console is answered with, and the forms by which somebody comes in and leaves.

A form is only taken from a page of ours, and only what is in it, never what is in the address. Whatever is answered,
the browser is told to load nothing from elsewhere, to run no script but ours, and to keep nothing.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from math import ceil
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.web.server import Request

from ..server.gate import hostOf
from ..wire.errors import PermissionDenied
from .entry import BADGE_S_MAX, Badges, Entry, NotNow
from .guard import COOKIE
from .resources import Page, said

__all__ = ["PAGES", "Form", "Login", "Logout", "Room", "shown"]

#: Where the pages are, as they are served.
PAGES = files(__package__).joinpath("pages")

_HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self' data:; frame-ancestors 'none'; form-action 'self'; base-uri 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'",
    b"x-content-type-options": b"nosniff",
    # A form that says nothing of where it comes from would not be taken for ours.
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
# What browsers say of requests that another site has made.
_ELSEWHERE = (b"cross-site", b"same-site")
# The longest form that is read; a token is shorter.
_FORM_BYTES_MAX = 16 * 1024


class Room(Page):
    """
    One path of the console.

    @cvar isLinked: may another site lead a browser here?
    """

    isLinked = False

    def respond(self, request: Request) -> Any:
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        if request.getHeader(b"sec-fetch-site") in _ELSEWHERE and not self.isLinked:
            return said(request, 403, "This is for pages of the console only.")
        return super().respond(request)


class Form(Room):
    """What a form is sent to, and the page that it is on."""

    methods = (b"GET", b"POST")
    _page = PAGES.joinpath("login.html").read_bytes()

    @classmethod
    def page(cls, request: Request, status: int, why: str = "") -> bytes:
        """
        The page for somebody who has to say who he is.

        @param why: what was wrong with what was sent before.
        """
        return shown(request, status, cls._page.replace(b"<!-- why -->", escape(why).encode("utf-8")))

    def answer(self, request: Request) -> bytes:
        if request.method != b"POST":
            # Somebody has typed the address, or loads the page again: the form is at /.
            return _onward(request)
        if not _isOurs(request):
            return said(request, 403, "This form was not sent by a page of the console.")
        return self.take(request)

    def take(self, request: Request) -> bytes:
        """Do what the form says."""
        raise NotImplementedError


class Login(Form):
    """A token comes in, a badge goes out."""

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self._entry = entry

    def take(self, request: Request) -> bytes:
        token = _tokenIn(request)
        if token is None:
            return self.page(request, 400, "Paste a token: what `scalemgr token` prints, and nothing else.")
        try:
            badge = self._entry.enter(token, hostOf(request.getClientAddress()))
        except PermissionDenied as e:
            return self.page(request, 401, f"Not accepted: {e.message}.")
        except NotNow as e:
            request.setHeader(b"retry-after", b"%d" % ceil(e.seconds))
            return self.page(request, 429, f"Not looked at: {e}.")
        return _changed(request, badge, int(BADGE_S_MAX))


class Logout(Form):
    """The badge goes back."""

    def __init__(self, badges: Badges) -> None:
        super().__init__()
        self._badges = badges

    def take(self, request: Request) -> bytes:
        badge = request.getCookie(COOKIE)
        if badge is not None:
            self._badges.takeBack(badge.decode("latin-1"))
        return _changed(request, "", 0)


def shown(request: Request, status: int, page: bytes) -> bytes:
    """An answer that is a page."""
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"text/html; charset=utf-8")
    return page


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


def _isOurs(request: Request) -> bool:
    """Does a form come from a page of ours? Every browser says where one comes from."""
    origin, host = request.getHeader(b"origin"), request.getHeader(b"host")
    try:
        return host is not None and urlsplit(origin or b"").netloc.lower() == host.lower() != b""
    except ValueError:
        return False


def _tokenIn(request: Request) -> str | None:
    """The token in a form; of what is in the address, nothing is. C{None} if there is none to be used."""
    assert request.content is not None
    request.content.seek(0)
    form = request.content.read(_FORM_BYTES_MAX + 1)
    if len(form) > _FORM_BYTES_MAX:
        return None
    try:
        fields = parse_qs(form.decode("ascii"), strict_parsing=True, max_num_fields=4)
    except ValueError:
        return None
    return fields.get("token", [""])[0].strip() or None
