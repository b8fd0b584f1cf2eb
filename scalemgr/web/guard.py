"""Who looks, and whether he is at the right house.

On an address of this machine's own nobody shows a token: who can connect is the operator, who sees everything and
changes nothing. Two things must then not be mistaken for him: a page of somebody else's in his browser, whose name was
made to lead here (such a request's C{Host} is that name: it is refused with 421), and whoever comes through a proxy
that runs here (such a request says so, in C{Forwarded} or what proxies say instead: it needs a token, like everybody on
other addresses).

On other addresses C{/livez} and C{/readyz} are open to all. The rest needs a token, the same as on the wire, as
C{Authorization: Bearer ...}; or the cookie that the console gives to who has shown one. What is about the house as a
whole (C{/metrics}, C{/status}) is for one of the staff whose group mask covers everything; who asked for what, and what
was refused, for one of those from whom no event is withheld either.

Whoever shows a token that is not believed is told that and no more; why it was not is for the log, sparingly. No token
is ever said again, there or here.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Protocol

from twisted.logger import Logger
from twisted.web.iweb import IRequest

from ..commands.base import FLAGS, STAFF
from ..finance.masks import EVERYTHING
from ..finance.records import BROADCAST
from ..server.auth import Authenticator, Principal
from ..server.gate import hostOf
from ..server.sparing import Sparing
from ..wire.codes import SessionType
from ..wire.errors import PermissionDenied, TokenRefused

__all__ = ["COOKIE", "OPERATOR", "Guard", "ICookies"]

#: The name of the console's cookie.
COOKIE = b"scalemgr"

#: Who looks on this machine: sees everything, and may change nothing.
OPERATOR = Principal(
    "operator",
    SessionType.SESSION_ADMIN,
    withheld=frozenset(flag for flag in FLAGS if not flag.startswith("see_")),
)

_BEARER = b"bearer "
# What proxies say of whom they speak for, or of themselves; and how more of that begins.
_FORWARDED = frozenset({b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"})
_FORWARDED_BEGINS = b"x-forwarded"


class ICookies(Protocol):
    """Who has shown a token before. (Not zope's: it stays inside this folder.)"""

    def principal(self, cookie: str) -> Principal | None:
        """Whose it is; C{None}: nobody's, or not any more."""


class Guard:
    """
    Tells who a request is from.

    @param sparing: for what strangers do.
    @param cookies: C{None}: there are none.
    @ivar isLocal: can only this machine get here?
    """

    _log = Logger()

    def __init__(self, auth: Authenticator, sparing: Sparing, cookies: ICookies | None = None) -> None:
        self._auth = auth
        self._sparing = sparing
        self._cookies = cookies
        self.isLocal = False

    def principalOf(self, request: IRequest) -> Principal | None:
        """
        Who asks: by a token, else by a cookie, else because he is here; C{None}: nobody that is known.

        A token that is not believed is nobody's, wherever it comes from.
        """
        shown = request.requestHeaders.getRawHeaders(b"authorization")
        if shown:
            return self._bearer(shown[0], request)
        cookie = request.getCookie(COOKIE)
        if cookie is not None and self._cookies is not None:
            principal = self._cookies.principal(cookie.decode("ascii", "replace"))
            # Who was believed when he got it may not be any more.
            if principal is not None and self._auth.isBelieved(principal):
                return principal
        return OPERATOR if self.isLocal and not _isForwarded(request) else None

    def isGood(self, principal: Principal) -> bool:
        """Is what somebody was taken for him by still believed, and his time not up?"""
        try:
            return self._auth.isBelieved(self._auth.current(principal))
        except PermissionDenied:
            return False

    def mayOversee(self, principal: Principal | None) -> bool:
        """May he see what is about the house as a whole, of whatever group?"""
        return principal is not None and principal.role in STAFF and principal.mask == EVERYTHING

    def mayAudit(self, principal: Principal) -> bool:
        """May he see who asked for what, by which key, and what was refused? Who oversees it all, less nothing."""
        return self.mayOversee(principal) and principal.events == BROADCAST

    def isMeant(self, request: IRequest) -> bool:
        """Is the house that the request names one that this can be?"""
        hosts = request.requestHeaders.getRawHeaders(b"host")
        # Every browser names one.
        return not self.isLocal or not hosts or _isOurs(hosts[0].decode("latin-1"))

    def _bearer(self, shown: bytes, request: IRequest) -> Principal | None:
        if not shown.lower().startswith(_BEARER):
            return None
        try:
            return self._auth.principal(shown[len(_BEARER) :].strip().decode("latin-1"))
        except TokenRefused as e:
            more = self._sparing.more()
            if more is not None:
                peer = hostOf(request.getClientAddress())
                self._log.info("the site refused a token from {peer}: {why}{more}", peer=peer, why=e.why, more=more)
            return None


def _isForwarded(request: IRequest) -> bool:
    names = (name.lower() for name, _ in request.requestHeaders.getAllRawHeaders())
    return any(name in _FORWARDED or name.startswith(_FORWARDED_BEGINS) for name in names)


def _isOurs(host: str) -> bool:
    """Is this C{localhost} or a loopback address, with or without a port?"""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") <= 1:
        name = name.partition(":")[0]
    if name.rstrip(".") == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
