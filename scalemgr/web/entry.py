"""Who may look at the console: a token, shown once, becomes a cookie.

Where only this machine can connect nobody is asked (L{scalemgr.web.guard}). Elsewhere the page is a form for a token.
If it is accepted, and its role is one of the staff, the browser is given a badge: a random name, in a cookie that no
script and no other site can use. What the badge stands for stays here, for as long as the token is good, at most
twelve hours, until it is given back, or until the daemon stops.

A token is never in an address, in a page, or in a log; nor is a badge. An address that shows too many bad ones is
not listened to for a while.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..commands.base import STAFF
from ..server.auth import Authenticator, Principal
from ..server.factory import ManagerFactory
from ..server.gate import neighboursOf
from ..wire.errors import PermissionDenied, TokenRefused

__all__ = ["BADGE_S_MAX", "Badges", "Entry", "NotNow"]

#: How long a badge is good, in seconds, if its token is.
BADGE_S_MAX = 12 * 3600.0
#: How many there may be; of more, the oldest is worth nothing.
BADGES_MAX = 1000
#: How many addresses are remembered for their bad tokens.
ADDRESSES_MAX = 10_000
#: For how long, in seconds: so long is one not listened to.
FORGIVEN_AFTER_S = 60.0


class NotNow(Exception):
    """
    Too many bad tokens have come from this address.

    @ivar seconds: until when it is of no use to try again.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many bad tokens from this address; try again in {seconds:.0f} seconds")
        self.seconds = seconds


class Badges:
    """
    The badges that were given, and for whom.

    @param random: makes the name of one.
    """

    def __init__(
        self,
        clock: IReactorTime,
        auth: Authenticator,
        random: Callable[[], str] = secrets.token_urlsafe,
        badgesMax: int = BADGES_MAX,
    ) -> None:
        self._clock = clock
        self._auth = auth
        self._random = random
        self._badgesMax = badgesMax
        self._given: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._given)

    def give(self, principal: Principal) -> str:
        """A new one."""
        badge = self._random()
        self._given[badge] = principal, self._clock.seconds() + BADGE_S_MAX
        while len(self._given) > self._badgesMax:
            self._given.popitem(last=False)
        return badge

    def principal(self, badge: str) -> Principal | None:
        """Whose it is, if it is good still."""
        principal, until = self._given.get(badge, (None, 0.0))
        if principal is None:
            return None
        try:
            if self._clock.seconds() < until:
                return self._auth.current(principal)
        except PermissionDenied:
            pass
        self.takeBack(badge)
        return None

    def takeBack(self, badge: str) -> None:
        """It is worth nothing from now on."""
        self._given.pop(badge, None)


class Entry:
    """
    Where tokens are shown.

    @param timer: a clock that is never set.
    @param factory: knows after how many bad tokens one has to wait, and how much may be said of strangers.
    """

    _log = Logger()

    def __init__(
        self,
        timer: IReactorTime,
        auth: Authenticator,
        badges: Badges,
        factory: ManagerFactory,
        addressesMax: int = ADDRESSES_MAX,
    ) -> None:
        self._timer = timer
        self._auth = auth
        self._badges = badges
        self._factory = factory
        self._addressesMax = addressesMax
        # How many bad ones, and when the last one came; who has shown none for longest comes first.
        self._bad: OrderedDict[object, tuple[int, float]] = OrderedDict()

    def enter(self, token: str, address: str) -> str:
        """
        Show a token.

        @param address: of the peer.
        @return: a badge.
        @raise PermissionDenied: if the token is not accepted, or not for this. Why is for the log.
        @raise NotNow: if too many were not; this one was not looked at.
        """
        source = neighboursOf(address)
        count = self._countOf(source)
        try:
            principal = self._auth.principal(token)
        except TokenRefused as e:
            self._bad[source] = count + 1, self._timer.seconds()
            self._bad.move_to_end(source)
            if len(self._bad) > self._addressesMax:
                self._bad.popitem(last=False)
            more = self._factory.sparing.more()
            if more is not None:
                self._log.info(
                    "the console refused a token from {address}: {why}{more}", address=address, why=e.why, more=more
                )
            raise
        if principal.role not in STAFF:
            raise PermissionDenied("the console is for managers, dealers and admins, and this token is for none")
        self._bad.pop(source, None)
        self._log.info("{id} looks at the console from {address}", id=principal.id, address=address)
        return self._badges.give(principal)

    def _countOf(self, source: object) -> int:
        count, last = self._bad.get(source, (0, 0.0))
        left = last + FORGIVEN_AFTER_S - self._timer.seconds()
        if not count or left <= 0:
            return 0
        if count >= self._factory.limits.badTokensMax:
            raise NotNow(left)
        return count
