"""What the book can be asked, and by whom.

A request carries its L{Cause}: the principal and, unless it came without, its idempotency key. Two requests
are the same if they condense to the same L{fingerprint}: that is decided on what was L{asked <Request.asked>}
(exact amount, login, order, comment, times, kind), not on how it was written, and not on what the server added
to it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from msgspec import Struct

from ..wire.codes import TradeCommand, TradeReason
from ..wire.messages import encode
from .caps import CapsOf
from .masks import Mask
from .money import Amount
from .texts import listBytes

__all__ = [
    "BALANCE",
    "CREDIT",
    "DEFAULT_COMMENT",
    "AddAccount",
    "AddGroup",
    "AskForMoney",
    "Cause",
    "Decide",
    "DeleteAccount",
    "DeleteAccounts",
    "DeleteGroup",
    "ForgetKeys",
    "KeyName",
    "MoveMoney",
    "Request",
    "TakeBack",
    "UpdateAccount",
    "UpdateGroup",
    "fingerprint",
]

#: The comment of a transaction that was made without one, as published.
DEFAULT_COMMENT = "Finance"

#: The movements of a balance, and those of a credit.
BALANCE = frozenset({TradeCommand.OP_BALANCE_IN, TradeCommand.OP_BALANCE_OUT})
CREDIT = frozenset({TradeCommand.OP_CREDIT_IN, TradeCommand.OP_CREDIT_OUT})

#: An idempotency key in full: whose, and which.
KeyName = tuple[str, str]


class Cause(Struct, frozen=True):
    """
    Who asks.

    @ivar principal: the caller's id.
    @ivar mask: the groups that the caller may touch.
    @ivar key: the idempotency key, or C{None}.
    @ivar seesBalance: may it be told what is on an account?
    @ivar caps: how much it may move; C{None}: as much as it likes.
    """

    principal: str
    mask: Mask
    key: str | None = None
    seesBalance: bool = True
    caps: CapsOf | None = None

    @property
    def name(self) -> KeyName | None:
        """The key in full."""
        return None if self.key is None else (self.principal, self.key)


class Request(Struct, frozen=True):
    """Something to be settled. This is what all kinds have in common."""

    cause: Cause

    @property
    def existing(self) -> int:
        """The order of the existing trade that it is about, or 0."""
        return 0

    @property
    def makes(self) -> int:
        """The order of the trade that it will make, or 0."""
        return 0

    @property
    def changes(self) -> int:
        """The login whose profile has to be known, or 0."""
        return 0

    def asked(self) -> list[Any]:
        """What was asked: equal for equal requests. A reserved order or a salted hash is no part of it."""
        raise NotImplementedError

    def askedBytes(self) -> bytes:
        """The same as JSON, which is what is condensed: the log holds it against what is asked in years to come."""
        return encode(self.asked()).encode("ascii")


def fingerprint(request: Request) -> bytes:
    """What was asked, condensed: equal for equal requests."""
    condensed = _CONDENSED.copy()
    condensed.update(request.askedBytes())
    return condensed.digest()


# Of nothing. To begin with a copy of it takes half the time.
_CONDENSED = blake2b(digest_size=16)


# -- money --------------------------------------------------------------------------------------------


class MoveMoney(Request, frozen=True):
    """
    Book a movement of money, or change one.

    @ivar cmd: an C{OP_*}, of L{BALANCE} or L{CREDIT}.
    @ivar amount: signed, as the C{cmd} wants it.
    @ivar named: the order that the caller named, or 0.
    @ivar order: the same, if that trade exists: then it is changed. Else the number reserved for a new one.
    @ivar comment: for a new trade; C{None} leaves an existing one as it is.
    @ivar open_time: unix seconds; 0: not given, as for C{close_time}.
    @ivar strict: refuse an order that was named and does not exist, instead of making a new transaction.
    """

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

    @property
    def existing(self) -> int:
        return self.order if self.named == self.order else 0

    @property
    def makes(self) -> int:
        return 0 if self.named == self.order else self.order

    def asked(self) -> list[Any]:
        comment = self.comment
        if comment is None and not self.named:
            comment = DEFAULT_COMMENT
        amount = _exact(self.amount)
        return ["money", self.cmd, self.login, amount, self.named, comment, self.open_time, self.close_time]

    def askedBytes(self) -> bytes:
        return listBytes(self.asked(), self.comment or "")


class TakeBack(Request, frozen=True):
    """
    Delete a movement of money: as if it had never been made, but for the record of it.

    @ivar kinds: it must be one of these: L{BALANCE} or L{CREDIT}.
    """

    order: int
    kinds: frozenset[TradeCommand]

    @property
    def existing(self) -> int:
        return self.order

    def asked(self) -> list[Any]:
        return ["take back", self.order, sorted(self.kinds)]


class AskForMoney(Request, frozen=True):
    """
    A movement of money that awaits approval.

    @ivar order: the number reserved for it.
    @ivar fields: C{reason}, and what a payment gateway says of it: C{gw_order}, C{gw_source}, C{gw_uuid}, C{api_data}.
    """

    cmd: TradeCommand
    login: int
    amount: Amount
    order: int
    comment: str = DEFAULT_COMMENT
    open_time: int = 0
    reason: int = TradeReason.TR_REASON_API
    gw_order: int = 0
    gw_source: str = ""
    gw_uuid: str = ""
    api_data: str = ""

    @property
    def makes(self) -> int:
        return self.order

    def asked(self) -> list[Any]:
        gateway = [self.gw_order, self.gw_source, self.gw_uuid, self.api_data]
        what = [self.cmd, self.login, _exact(self.amount), self.comment, self.open_time, self.reason]
        return ["ask for money", *what, *gateway]


class Decide(Request, frozen=True):
    """
    Approve a movement of money that awaits it, or decline.

    @ivar comment: of one that is declined; C{None} leaves it as it is, as for C{api_data}.
    """

    order: int
    approve: bool
    comment: str | None = None
    api_data: str | None = None

    @property
    def existing(self) -> int:
        return self.order

    def asked(self) -> list[Any]:
        return ["decide", self.order, self.approve, self.comment, self.api_data]


def _exact(amount: Amount) -> list[Any]:
    """An amount has no more decimals than it needs, so equal amounts have equal parts."""
    return [str(amount.coefficient), amount.decimals]


# -- accounts -----------------------------------------------------------------------------------------


class AddAccount(Request, frozen=True):
    """
    Open an account.

    @ivar login: 0: the server assigns one.
    @ivar fields: the profile, spelled as on the wire, without the password.
    @ivar passwordHash: the password, salted and hashed; empty: nobody can sign in.
    """

    login: int
    group: str
    enable: int
    fields: dict[str, Any]
    passwordHash: str

    def asked(self) -> list[Any]:
        return ["account", self.login, self.group, self.enable, sorted(self.fields.items())]


class UpdateAccount(Request, frozen=True):
    """
    Change an account: what it is, not what is on it.

    @ivar group: where it belongs from now on; of the same currency as before.
    @ivar fields: what else changes in its profile; the rest stays.
    """

    login: int
    group: str
    enable: int
    fields: dict[str, Any]

    @property
    def changes(self) -> int:
        return self.login

    def asked(self) -> list[Any]:
        return ["change account", self.login, self.group, self.enable, sorted(self.fields.items())]


class DeleteAccount(Request, frozen=True):
    """Close an account for good."""

    login: int

    def asked(self) -> list[Any]:
        return ["delete account", self.login]


class DeleteAccounts(Request, frozen=True):
    """Close several, each that can be."""

    logins: tuple[int, ...]

    def asked(self) -> list[Any]:
        return ["delete accounts", list(self.logins)]


# -- groups -------------------------------------------------------------------------------------------


class AddGroup(Request, frozen=True):
    """
    Make a group.

    @ivar digits: the decimals of its currency.
    @ivar fields: what else was said of it, kept and given back.
    @ivar floor: no balance may be taken below this; C{None}: it stays as it is, at first 0.
    """

    group: str
    currency: str
    digits: int
    fields: dict[str, Any]
    floor: Amount | None = None

    def asked(self) -> list[Any]:
        return ["group", *self._said()]

    def _said(self) -> list[Any]:
        floor = [] if self.floor is None else [_exact(self.floor)]
        return [self.group, self.currency, self.digits, sorted(self.fields.items()), *floor]


class UpdateGroup(AddGroup, frozen=True):
    """Change a group, or make it if there is none, as published. What is not said stays as it is."""

    def asked(self) -> list[Any]:
        return ["change group", *self._said()]


class DeleteGroup(Request, frozen=True):
    """Remove a group that has no accounts."""

    group: str

    def asked(self) -> list[Any]:
        return ["delete group", self.group]


# -- keys ---------------------------------------------------------------------------------------------


class ForgetKeys(Request, frozen=True):
    """
    Forget the idempotency keys of old entries: a repeat of one is a new request then.

    @ivar upTo: the last entry whose key is forgotten.
    """

    upTo: int

    def asked(self) -> list[Any]:
        return ["forget", self.upTo]
