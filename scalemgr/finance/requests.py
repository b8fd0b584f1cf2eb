"""What the book can be asked, and by whom.

A request carries its L{Cause}: the principal and, unless it came without, its idempotency key. Two requests
are the same if they condense to the same L{fingerprint}: that is decided on what was asked (exact amount,
login, order, comment, times, kind), not on how it was written, and not on what the server added to it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Union

from msgspec import Struct

from ..wire.codes import TradeCommand
from ..wire.messages import encode
from .masks import Mask
from .money import Amount

__all__ = [
    "DEFAULT_COMMENT",
    "AddAccount",
    "AddGroup",
    "Cause",
    "ForgetKeys",
    "KeyName",
    "MoveMoney",
    "Request",
    "fingerprint",
]

#: The comment of a transaction that was made without one, as published.
DEFAULT_COMMENT = "Finance"

#: An idempotency key in full: whose, and which.
KeyName = tuple[str, str]


class Cause(Struct, frozen=True):
    """
    Who asks.

    @ivar principal: the caller's id.
    @ivar mask: the groups that the caller may touch.
    @ivar key: the idempotency key, or C{None}.
    """

    principal: str
    mask: Mask
    key: str | None = None

    @property
    def name(self) -> KeyName | None:
        """The key in full."""
        return None if self.key is None else (self.principal, self.key)


class MoveMoney(Struct, frozen=True):
    """
    Book a movement of money, or change one.

    @ivar cmd: an C{OP_*}.
    @ivar named: the order that the caller named, or 0.
    @ivar order: the same, if that trade exists: then it is changed. Else the number reserved for a new one.
    @ivar comment: for a new trade; C{None} leaves an existing one as it is.
    @ivar open_time: unix seconds; 0: not given, as for C{close_time}.
    @ivar strict: refuse an order that was named and does not exist, instead of making a new transaction.
    """

    cause: Cause
    cmd: TradeCommand
    login: int
    amount: Amount
    order: int
    named: int = 0
    comment: str | None = None
    open_time: int = 0
    close_time: int = 0
    strict: bool = False

    @property
    def update(self) -> bool:
        """Is it an existing trade that is to be changed?"""
        return self.named == self.order


class AddGroup(Struct, frozen=True):
    """
    Make a group.

    @ivar digits: the decimals of its currency.
    @ivar fields: what else was said of it, kept and given back.
    """

    cause: Cause
    group: str
    currency: str
    digits: int
    fields: dict[str, Any]


class AddAccount(Struct, frozen=True):
    """
    Open an account.

    @ivar login: 0: the server assigns one.
    @ivar fields: the profile, spelled as on the wire, without the password.
    @ivar passwordHash: the password, salted and hashed; empty: nobody can sign in.
    """

    cause: Cause
    login: int
    group: str
    enable: int
    fields: dict[str, Any]
    passwordHash: str


class ForgetKeys(Struct, frozen=True):
    """
    Forget the idempotency keys of old entries: a repeat of one is a new request then.

    @ivar upTo: the last entry whose key is forgotten.
    """

    cause: Cause
    upTo: int


Request = Union[MoveMoney, AddGroup, AddAccount, ForgetKeys]


def fingerprint(request: Request) -> bytes:
    """
    What was asked, condensed: equal for equal requests.

    A reserved order or a salted hash, which differ with every attempt, are no part of it.
    """
    return blake2b(encode(_asked(request)).encode("ascii"), digest_size=16).digest()


def _asked(request: Request) -> list[Any]:
    if type(request) is MoveMoney:
        amount, comment = request.amount, request.comment
        if comment is None and not request.named:
            comment = DEFAULT_COMMENT
        # An amount has no more decimals than it needs, so equal amounts have equal parts.
        exact = [str(amount.coefficient), amount.decimals]
        times = [request.open_time, request.close_time]
        return ["money", request.cmd, request.login, exact, request.named, comment, *times]
    if type(request) is AddGroup:
        return ["group", request.group, request.currency, request.digits, sorted(request.fields.items())]
    if type(request) is AddAccount:
        return ["account", request.login, request.group, request.enable, sorted(request.fields.items())]
    assert type(request) is ForgetKeys
    return ["forget", request.upTo]
