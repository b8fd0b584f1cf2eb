"""What is kept: frozen records, money in whole minor units.

A field that is also on the wire is spelled as there (C{open_time}, C{balance_version}). Times are unix
seconds unless the name says otherwise.

The log is made of L{Entry}s, and everything else follows from them: C{Entry.data} is what was broadcast,
byte for byte (of a refusal: what was answered); C{Entry.record} what is kept beside it and never sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ujson
from msgspec import Struct
from msgspec.structs import asdict

from ..wire.codes import EventRecordType, TradeReason, TradeState
from ..wire.messages import Json, encode
from .money import fromMinor, readAmount, toMinor
from .texts import recordText

__all__ = [
    "ACCOUNTS_DELETED",
    "ADDED",
    "BALANCE_EVENT",
    "BROADCAST",
    "DELETED",
    "GROUP_EVENT",
    "KEYS_FORGOTTEN",
    "REFUSAL",
    "TRADE_EVENT",
    "UPDATED",
    "USER_EVENT",
    "Account",
    "Entry",
    "FinanceTrade",
    "Group",
    "StoredAccount",
]

TRADE_EVENT = "trade:event"
USER_EVENT = "user:event"
GROUP_EVENT = "group:event"
#: What an account has, after each entry that moved money on it.
BALANCE_EVENT = "balance:event"
#: The events that are sent to those who listen.
BROADCAST = frozenset({TRADE_EVENT, BALANCE_EVENT, USER_EVENT, GROUP_EVENT})

#: Entries that nobody is sent: a request was refused by a business rule;
REFUSAL = "request:refused"
#: several accounts were to be deleted at once: what became of each;
ACCOUNTS_DELETED = "accounts:deleted"
#: the idempotency keys of old entries were forgotten.
KEYS_FORGOTTEN = "keys:forgotten"

#: What became of the record that an entry is about. Plain numbers: an enum's member is not looked up as quickly.
ADDED = int(EventRecordType.EV_RECORD_ADD)
UPDATED = int(EventRecordType.EV_RECORD_UPDATE)
DELETED = int(EventRecordType.EV_RECORD_DELETE)


class Group(Struct, frozen=True, gc=False):
    """
    What deciding needs of a group.

    @ivar group: its name.
    @ivar currency: the code of the currency of all its accounts.
    @ivar digits: the decimals of that currency, fixed while it has accounts.
    @ivar floor: no balance may be taken below this, in minor units.
    @ivar accounts: how many accounts are in it.
    @ivar record: all that is known of it, a JSON object, as the log has it.
    """

    group: str
    currency: str
    digits: int
    floor: int = 0
    accounts: int = 0
    record: str = "{}"


class Account(Struct, frozen=True, gc=False):
    """
    What deciding needs of an account.

    @ivar balance: in minor units, as is C{credit}, which is apart from it.
    @ivar balance_version: grows by one with each change of balance or credit.
    @ivar enable: 0 refuses money in either direction.
    @ivar pending: how many requests for money await approval.
    @ivar deleted: it is closed for good. Nobody gets its login again.
    """

    login: int
    group: str
    enable: int = 1
    balance: int = 0
    credit: int = 0
    balance_version: int = 0
    pending: int = 0
    deleted: bool = False

    def moved(self, balance: int, credit: int) -> Account:
        """The account once its balance and its credit, or one of them, have changed by so much."""
        return Account(
            self.login,
            self.group,
            self.enable,
            self.balance + balance,
            self.credit + credit,
            self.balance_version + 1,
            self.pending,
            self.deleted,
        )

    def figures(self, digits: int) -> dict[str, Any]:
        """What is on it, as it is on the wire, in a currency with so many decimals."""
        return asdict(self._wire(digits))

    def text(self, digits: int) -> Json:
        """The same, encoded."""
        return recordText(self._wire(digits), digits)

    def _wire(self, digits: int) -> _Figures:
        equity = fromMinor(self.balance + self.credit, digits)
        return _Figures(
            login=self.login,
            balance=fromMinor(self.balance, digits),
            credit=fromMinor(self.credit, digits),
            equity=equity,
            margin_free=equity,
            balance_version=self.balance_version,
        )


class _Figures(Struct, frozen=True, gc=False, kw_only=True):
    """What is on an account, as it is on the wire. There are no open positions here to hold margin or make profit."""

    login: int
    balance: float
    credit: float
    equity: float
    margin: float = 0.0
    margin_free: float
    margin_level: float = 0.0
    balance_version: int


class StoredAccount(Struct, frozen=True):
    """
    An account with all that is known of it.

    @ivar group: its group, but for the number of accounts in it, which only the book counts.
    @ivar profile: the fields that the wire has besides, spelled as there; never the password.
    """

    account: Account
    group: Group
    profile: dict[str, Any]


class FinanceTrade(Struct, frozen=True, gc=False):
    """
    One movement of money (``wire.md`` 5.6; what a price or a volume would be has no meaning here).

    @ivar order: its number, the server's.
    @ivar cmd: an C{OP_*}.
    @ivar profit: the signed amount, in minor units.
    @ivar digits: the decimals of the account's currency.
    @ivar update_time: when the record last changed.
    @ivar balance_version: the account's, right after that change.
    @ivar gw_order: with C{gw_source}, C{gw_uuid} and C{api_data}: what a payment gateway said of it, kept and given
        back. They are on the wire only if one of them says something.
    """

    order: int
    login: int
    cmd: int
    profit: int
    digits: int
    comment: str
    open_time: int
    close_time: int
    update_time: int
    balance_version: int
    state: int = TradeState.TS_CLOSED_NORMAL
    reason: int = TradeReason.TR_REASON_API
    gw_order: int = 0
    gw_source: str = ""
    gw_uuid: str = ""
    api_data: str = ""

    def data(self) -> dict[str, Any]:
        """The record as it is on the wire."""
        data = asdict(self._wire())
        if self._ofGateway:
            data |= {name: getattr(self, name) for name in _GATEWAY}
        return data

    def text(self) -> Json:
        """The same, encoded."""
        return encode(self.data()) if self._ofGateway else recordText(self._wire(), self.digits, self.comment)

    @property
    def _ofGateway(self) -> bool:
        """Did a payment gateway say something of it?"""
        return bool(self.gw_order or self.gw_source or self.gw_uuid or self.api_data)

    def _wire(self) -> _Trade:
        return _Trade(
            order=self.order,
            login=self.login,
            cmd=self.cmd,
            state=self.state,
            digits=self.digits,
            reason=self.reason,
            open_time=self.open_time,
            close_time=self.close_time,
            profit=fromMinor(self.profit, self.digits),
            comment=self.comment,
            update_time=self.update_time,
            balance_version=self.balance_version,
        )

    @classmethod
    def fromData(cls, data: Mapping[str, Any]) -> FinanceTrade:
        """The record that L{data} gave: exact, for nothing of more than 15 digits is ever written."""
        return cls(
            order=data["order"],
            login=data["login"],
            cmd=data["cmd"],
            profit=toMinor(readAmount(data["profit"]), data["digits"]),
            digits=data["digits"],
            comment=data["comment"],
            open_time=data["open_time"],
            close_time=data["close_time"],
            update_time=data["update_time"],
            balance_version=data["balance_version"],
            state=data["state"],
            reason=data["reason"],
            **{name: data[name] for name in _GATEWAY if name in data},
        )


class _Trade(Struct, frozen=True, gc=False, kw_only=True):
    """A trade as it is on the wire, less what a payment gateway said of it."""

    order: int
    login: int
    cmd: int
    state: int
    symbol: str = ""
    digits: int
    reason: int
    open_time: int
    close_time: int
    profit: float
    comment: str
    update_time: int
    balance_version: int


_GATEWAY = ("gw_order", "gw_source", "gw_uuid", "api_data")


class Entry(Struct, frozen=True, gc=False):
    """
    One entry of the log: a cause and its effect.

    @ivar seq: its number; the log counts from 1 without a gap.
    @ivar time_ms: when it was booked, in milliseconds since 1970.
    @ivar event: the name of the event it is broadcast as; or one that is not in L{BROADCAST}.
    @ivar type: the C{EV_RECORD_*} of that event; of a refusal, its C{RET_*}.
    @ivar group: the group it belongs to: who may see it.
    @ivar login: the account, or 0.
    @ivar order: the trade, or 0.
    @ivar balance: by how much it changed the account's balance, in minor units.
    @ivar credit: the same of its credit.
    @ivar principal: who asked.
    @ivar key: the idempotency key, unless it came without.
    @ivar fingerprint: what was asked, condensed: equal for equal requests.
    @ivar data: the event's C{data}, as it is sent.
    @ivar record: what else is kept, a JSON object, never sent.
    """

    seq: int
    time_ms: int
    event: str
    type: int
    group: str
    login: int
    order: int
    balance: int
    credit: int
    principal: str
    key: str | None
    fingerprint: bytes | None
    data: Json
    record: Json | None = None

    def trade(self) -> FinanceTrade:
        """The trade that a C{trade:event} carries."""
        return FinanceTrade.fromData(ujson.loads(self.data))
