"""From a token to a principal.

A token is a JWT whose signature is good (L{scalemgr.server.tokens}). Its claims:

- C{id} or C{sub}: who, a string or a number;
- C{role}: a C{SESSION_*}, by number or name (C{3}, C{"admin"}, C{"SESSION_ADMIN"});
- C{groups}, optional: a group mask (L{scalemgr.finance.masks}); everything if absent;
- C{exp} and C{nbf}, optional, in unix seconds;
- C{key}, optional: C{"explicit"}, only an C{idempotency_key} names a request of this caller, or C{"extid"}, so does
  the C{extID}; as configured if absent;
- C{login}: the account of a C{SESSION_USER}, who may see that and nothing else; its C{id} if absent;
- C{max_amount} and C{max_per_day}, optional: the most that the caller may move at once, and in a day, of each
  currency that one of them names (C{{"USD": 10000}}); of others nothing, if either is there. They can narrow what
  the configuration says of the caller, and not widen it;
- the published manager flags (L{scalemgr.commands.base.FLAGS}), optional, 0 or 1: absent, what the role may do; 0
  takes it away;
- C{jti}, optional: the id of the token itself, by which it can be revoked.

Whoever shows a token that is refused is told that and no more (L{TokenRefused}); why it was is for the log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from math import inf
from typing import Any, TypeGuard

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from ..commands.base import FLAGS, STAFF
from ..finance.caps import CapsOf, readCaps
from ..finance.masks import EVERYTHING, Mask
from ..finance.records import BALANCE_EVENT, BROADCAST, GROUP_EVENT, TRADE_EVENT, USER_EVENT
from ..interfaces import IPrincipal
from ..wire.codes import SessionType
from ..wire.errors import PermissionDenied, TokenRefused
from .tokens import ALGORITHMS, Keys, Voucher, checkAudience, opened, tokenIdOf, told

__all__ = ["ALGORITHMS", "Authenticator", "Keys", "Principal", "isId", "roleFrom"]

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
    @ivar caps: how much it may move; C{None}: as much as is configured.
    @ivar voucher: the token that it is believed for; C{None}: it is believed for something else.
    """

    id: str
    role: int
    mask: Mask = EVERYTHING
    expires: float = inf
    explicit: bool | None = None
    login: int = 0
    withheld: frozenset[str] = frozenset()
    caps: CapsOf | None = None
    voucher: Voucher | None = None

    def may(self, flag: str) -> bool:
        return flag not in self.withheld

    @property
    def tokenId(self) -> str:
        """The C{jti} of the token that it is believed for, or empty."""
        return "" if self.voucher is None else self.voucher.tokenId

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

        @raise TokenRefused: if it is not accepted.
        """
        if self._keys is None and self.anonymous is not None:
            # Whoever needs no token may bring any: the published clients always do.
            return self.anonymous
        try:
            known = self._known.get(token)
            if known is None:
                known = self._known[token] = self._verified(token)
                if len(self._known) > _CACHED_TOKENS_MAX:
                    self._known.popitem(last=False)
            elif self._clock.seconds() >= known.expires:
                raise TokenRefused(f"it has expired{_whose(known)}")
        except TokenRefused:
            self.refused += 1
            raise
        return known

    def current(self, principal: Principal) -> Principal:
        """
        The same principal, if its time is not up.

        @raise PermissionDenied: if it is.
        """
        if self._clock.seconds() >= principal.expires:
            shown = "certificate" if principal.voucher is None else "token"
            raise PermissionDenied(f"the {shown} has expired")
        return principal

    def renew(self, keys: Keys) -> None:
        """From now on, believe these. Whoever was believed before and L{isBelieved} no more has to be told."""
        self._keys = keys
        for token, principal in list(self._known.items()):
            if not self.isBelieved(principal):
                del self._known[token]

    def isBelieved(self, principal: Principal) -> bool:
        """Is what this principal was once believed for still good, but for its times?"""
        voucher = principal.voucher
        return voucher is None or (self._keys is not None and self._keys.cover(voucher))

    def kidOf(self, principal: Principal) -> str:
        """The name of the key behind the token of this principal; empty: it has no name, or there is no token."""
        voucher, keys = principal.voucher, self._keys
        return "" if voucher is None or keys is None else keys.nameOf(voucher)

    def _verified(self, token: str) -> Principal:
        keys = self._keys
        if keys is None:
            raise TokenRefused("this server takes no tokens")
        claims, key, kid = opened(token, keys)
        # From here on it is known who wrote it, so that may be told: in the log.
        whose = _whoseClaims(claims)
        try:
            voucher = Voucher(key, kid, tokenIdOf(claims), keys.audience)
            if voucher.tokenId in keys.revoked:
                raise PermissionDenied("it is revoked")
            checkAudience(claims, keys.audience)
            principal = replace(_principal(claims), voucher=voucher)
            if self._clock.seconds() < _seconds(claims, "nbf", -inf):
                raise PermissionDenied("it is not valid yet")
            if self._clock.seconds() >= principal.expires:
                raise PermissionDenied("it has expired")
        except PermissionDenied as e:
            raise TokenRefused(e.message + whose) from None
        return principal


def _whose(principal: Principal) -> str:
    return f" (of {told(principal.id)}, jti {told(principal.tokenId)})"


def _whoseClaims(claims: Mapping[str, Any]) -> str:
    return f" (of {told(claims.get('id', claims.get('sub')))}, jti {told(claims.get('jti', ''))})"


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
        _caps(claims),
    )


def _id(claims: Mapping[str, Any]) -> str:
    id = claims.get("id", claims.get("sub"))
    if type(id) is int:
        id = str(id)
    if isId(id):
        return id
    raise PermissionDenied("it has no usable id")


def isId(id: object) -> TypeGuard[str]:
    """Can somebody be called that?"""
    # It is kept with every entry, so it must be text that can be kept: no half surrogate pairs, no control characters.
    return type(id) is str and 0 < len(id) <= _ID_CHARACTERS_MAX and id.isprintable()


def _login(claims: Mapping[str, Any], id: str) -> int:
    """The account of a user. There must be one: without it the user would see everybody's."""
    login = claims.get("login", id)
    if type(login) is str and login.isascii() and login.isdigit() and len(login) <= _LOGIN_DIGITS_MAX:
        login = int(login)
    if type(login) is int and 0 < login < 10**_LOGIN_DIGITS_MAX:
        return login
    raise PermissionDenied("it is a user's and names no login")


def _isWithheld(claims: Mapping[str, Any], flag: str) -> bool:
    value = claims.get(flag)
    # A flag that is neither 0 nor 1 must not be taken for either.
    if value is None or value in (0, 1):
        return value is not None and not value
    raise PermissionDenied(f"its claim {flag} is neither 0 nor 1")


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
    raise PermissionDenied("it has no known role")


def _mask(text: object) -> Mask:
    try:
        if type(text) is str:
            return Mask(text)
    except ValueError:
        pass
    raise PermissionDenied("it has no usable group mask")


def _explicit(claims: Mapping[str, Any]) -> bool | None:
    kind = claims.get("key")
    if kind is None:
        return None
    if kind in ("explicit", "extid"):
        return bool(kind == "explicit")
    raise PermissionDenied("its claim key is neither explicit nor extid")


def _caps(claims: Mapping[str, Any]) -> CapsOf | None:
    if not _CAPS.keys() & claims.keys():
        return None
    plain: dict[str, dict[str, object]] = {}
    for claim, kind in _CAPS.items():
        # One that is null was meant to be a cap.
        caps = claims.get(claim, {})
        if type(caps) is not dict:
            raise PermissionDenied(f"its claim {claim} is not a number by currency")
        for currency, cap in caps.items():
            plain.setdefault(currency, {})[kind] = cap
    try:
        return readCaps(plain)
    except ValueError as e:
        raise PermissionDenied(f"it has no usable {' or '.join(_CAPS)}: {told(str(e), 120)}") from None


_CAPS = {"max_amount": "amount", "max_per_day": "day"}


def _seconds(claims: Mapping[str, Any], name: str, absent: float) -> float:
    value = claims.get(name)
    if value is None:
        return absent
    # NaN would never be reached, and what is beyond any calendar is surely a mistake.
    if (type(value) is int or type(value) is float) and -_SECONDS_MAX < value < _SECONDS_MAX:
        return float(value)
    raise PermissionDenied(f"it has no usable {name}")
