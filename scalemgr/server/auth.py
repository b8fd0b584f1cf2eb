"""From a token to a principal.

A token is a JWT. Which algorithm and which keys are believed comes from the configuration, never from the
token. Its claims:

- C{id} or C{sub}: who, a string or a number;
- C{role}: a C{SESSION_*}, by number or name (C{3}, C{"admin"}, C{"SESSION_ADMIN"});
- C{groups}, optional: a group mask (L{scalemgr.finance.masks}); everything if absent;
- C{exp} and C{nbf}, optional, in unix seconds;
- C{key}, optional: C{"explicit"}, only an C{idempotency_key} names a request of this caller, or C{"extid"}, so does
  the C{extID}; as configured if absent;
- C{login}: the account of a C{SESSION_USER}, who may see that and nothing else; its C{id} if absent;
- the published manager flags (L{scalemgr.commands.base.FLAGS}), optional, 0 or 1: absent, what the role may do; 0
  takes it away.

No token, and nothing of why one was refused beyond the sentence in the answer, ever reaches a log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import jwt
from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from ..commands.base import FLAGS, STAFF
from ..finance.masks import EVERYTHING, Mask
from ..finance.records import BALANCE_EVENT, BROADCAST, GROUP_EVENT, TRADE_EVENT, USER_EVENT
from ..interfaces import IPrincipal
from ..wire.codes import SessionType
from ..wire.errors import PermissionDenied

__all__ = ["ALGORITHMS", "Authenticator", "Keys", "Principal", "roleFrom"]

#: What may be configured.
ALGORITHMS = ("HS256", "RS256", "EdDSA")

_TOKEN_BYTES_MAX = 8192
_ID_CHARACTERS_MAX = 200
_CACHED_TOKENS_MAX = 10_000
_SECONDS_MAX = 10**15
_LOGIN_DIGITS_MAX = 15


@implementer(IPrincipal)
class Principal(Struct, frozen=True):
    """
    Who a session speaks for.

    @ivar expires: unix seconds, until when.
    @ivar explicit: does only an C{idempotency_key} name a request? C{None}: as configured.
    @ivar login: the only account that it may see, or 0: every one that the mask covers.
    @ivar withheld: the flags that were taken away.
    """

    id: str
    role: int
    mask: Mask = EVERYTHING
    expires: float = inf
    explicit: bool | None = None
    login: int = 0
    withheld: frozenset[str] = frozenset()

    def may(self, flag: str) -> bool:
        return flag not in self.withheld

    @property
    def events(self) -> frozenset[str]:
        """The names of the events that it may be sent, whatever is chosen: none, unless it is one of the staff."""
        if self.role not in STAFF:
            return frozenset()
        return BROADCAST.difference(*(events for flag, events in _EVENTS_OF.items() if flag in self.withheld))


# What somebody may not see is not told either. Who adds up trades has the balance.
_EVENTS_OF = {
    "see_accounts": {USER_EVENT, GROUP_EVENT},
    "see_accounts_balance": {BALANCE_EVENT, TRADE_EVENT},
    "see_trades": {TRADE_EVENT},
}


class Keys(Struct, frozen=True):
    """
    What is believed.

    @ivar algorithm: one of L{ALGORITHMS}.
    @ivar keys: the secret (HS256), or public keys in PEM; any one of them will do.
    @ivar audience: the C{aud} that a token must have; empty: it must have none.
    """

    algorithm: str
    keys: Sequence[bytes]
    audience: str = ""


class Authenticator:
    """
    Tells who a token speaks for.

    @param keys: C{None}: no token is accepted.
    @param anonymous: who a session without a token is, or C{None}: nobody.
    @ivar refused: how many tokens were shown and not believed.
    """

    def __init__(self, clock: IReactorTime, keys: Keys | None, anonymous: Principal | None = None) -> None:
        self._clock = clock
        self._keys = keys
        self.anonymous = anonymous
        self.refused = 0
        # Verifying costs far more than everything else about a request.
        self._known: OrderedDict[str, Principal] = OrderedDict()

    def principal(self, token: str) -> Principal:
        """
        Who a token speaks for.

        @raise PermissionDenied: if it is not accepted.
        """
        try:
            return self._principal(token)
        except PermissionDenied:
            self.refused += 1
            raise

    def _principal(self, token: str) -> Principal:
        if self._keys is None and self.anonymous is not None:
            # Whoever needs no token may bring any: the published clients always do.
            return self.anonymous
        known = self._known.get(token)
        if known is None:
            claims = self._verify(token)
            known = _principal(claims)
            if self._clock.seconds() < _seconds(claims, "nbf", -inf):
                raise PermissionDenied("the token is not valid yet")
            self.current(known)
            self._known[token] = known
            if len(self._known) > _CACHED_TOKENS_MAX:
                self._known.popitem(last=False)
        return self.current(known)

    def current(self, principal: Principal) -> Principal:
        """
        The same principal, if its time is not up.

        @raise PermissionDenied: if it is.
        """
        if self._clock.seconds() >= principal.expires:
            raise PermissionDenied("the token has expired")
        return principal

    def _verify(self, token: str) -> Mapping[str, Any]:
        if self._keys is None:
            raise PermissionDenied("this server takes no tokens")
        if len(token) > _TOKEN_BYTES_MAX:
            raise PermissionDenied("the token is too long")
        for key in self._keys.keys:
            try:
                return jwt.decode(
                    token,
                    key,
                    algorithms=[self._keys.algorithm],
                    audience=self._keys.audience or None,
                    # The times are ours to check, by our clock; an id may be a number.
                    options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_sub": False},
                )
            except Exception:  # noqa: S112
                # Whatever a stranger's text makes the library raise, it is no valid token.
                continue
        raise PermissionDenied("the token is not valid")


def _principal(claims: Mapping[str, Any]) -> Principal:
    id, role = _id(claims), roleFrom(claims.get("role"))
    return Principal(
        id,
        role,
        _mask(claims["groups"]) if "groups" in claims else EVERYTHING,
        _seconds(claims, "exp", inf),
        _explicit(claims),
        _login(claims, id) if role == SessionType.SESSION_USER else 0,
        frozenset(flag for flag in FLAGS if _isWithheld(claims, flag)),
    )


def _id(claims: Mapping[str, Any]) -> str:
    id = claims.get("id", claims.get("sub"))
    if type(id) is int:
        id = str(id)
    # It is kept with every entry, so it must be text that can be kept: no half surrogate pairs, no control characters.
    if type(id) is str and 0 < len(id) <= _ID_CHARACTERS_MAX and id.isprintable():
        return id
    raise PermissionDenied("the token has no usable id")


def _login(claims: Mapping[str, Any], id: str) -> int:
    """The account of a user. There must be one: without it the user would see everybody's."""
    login = claims.get("login", id)
    if type(login) is str and login.isascii() and login.isdigit() and len(login) <= _LOGIN_DIGITS_MAX:
        login = int(login)
    if type(login) is int and 0 < login < 10**_LOGIN_DIGITS_MAX:
        return login
    raise PermissionDenied("the token of a user names no login")


def _isWithheld(claims: Mapping[str, Any], flag: str) -> bool:
    value = claims.get(flag)
    # A flag that is neither 0 nor 1 must not be taken for either.
    if value is None or value in (0, 1):
        return value is not None and not value
    raise PermissionDenied(f"the token's claim {flag} is neither 0 nor 1")


def roleFrom(role: object) -> SessionType:
    """
    A role by number or name.

    @raise PermissionDenied: if it is none.
    """
    try:
        if type(role) is int:
            return SessionType(role)
        if type(role) is str:
            name = role.upper()
            return SessionType[name if name.startswith("SESSION_") else f"SESSION_{name}"]
    except (ValueError, KeyError):
        pass
    raise PermissionDenied("the token has no known role")


def _mask(text: object) -> Mask:
    try:
        if type(text) is str:
            return Mask(text)
    except ValueError:
        pass
    raise PermissionDenied("the token has no usable group mask")


def _explicit(claims: Mapping[str, Any]) -> bool | None:
    kind = claims.get("key")
    if kind is None:
        return None
    if kind in ("explicit", "extid"):
        return bool(kind == "explicit")
    raise PermissionDenied("the token's claim key is neither explicit nor extid")


def _seconds(claims: Mapping[str, Any], name: str, absent: float) -> float:
    value = claims.get(name)
    if value is None:
        return absent
    # NaN would never be reached, and what is beyond any calendar is surely a mistake.
    if (type(value) is int or type(value) is float) and -_SECONDS_MAX < value < _SECONDS_MAX:
        return float(value)
    raise PermissionDenied(f"the token has no usable {name}")
