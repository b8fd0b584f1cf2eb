"""The shapes of answers: what C{data} is when the status is 200.

They are what is documented, and what a test holds every recorded answer against. Money is a number in the account's
currency, times are unix seconds.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

__all__ = [
    "Accepted",
    "Account",
    "AccountSaid",
    "Accounts",
    "Chosen",
    "Deleted",
    "Done",
    "GroupSaid",
    "Pong",
    "RequestState",
    "Rows",
    "StatementSaid",
    "Table",
    "Trade",
    "TradeFields",
    "Trades",
]

_Order = Annotated[int, Meta(description="number of the trade")]
_State = Annotated[int, Meta(description="a TS_*")]
_Cmd = Annotated[int, Meta(description="6 deposit, 7 credit in, 8 withdrawal, 9 credit out")]
_Time = Annotated[int, Meta(description="unix seconds")]
_Version = Annotated[int, Meta(description="of the account's balance, right after it; ours")]


class Accepted(Struct):
    """What was accepted; it is booked, and durable."""

    accepted: Annotated[bool, Meta(description="always true")]
    order: _Order
    state: Annotated[int, Meta(description="10 new, 11 changed, 12 deleted, 17 pending, 18 declined (TS_*)")]
    login: int
    cmd: _Cmd
    amount: Annotated[float, Meta(description="signed, in the account's currency")]
    balance_version: _Version


class Trade(Struct):
    """A finance trade: the C{data} of its C{trade:event}."""

    order: _Order
    login: int
    cmd: _Cmd
    state: Annotated[int, Meta(description="3 booked, 6 deleted, 17 awaits approval, 18 declined (TS_*)")]
    symbol: Annotated[str, Meta(description="empty")]
    digits: Annotated[int, Meta(description="decimals of the account's currency")]
    reason: Annotated[int, Meta(description="a TR_REASON_*")]
    open_time: _Time
    close_time: _Time
    profit: Annotated[float, Meta(description="the signed amount, in the account's currency")]
    comment: str
    update_time: Annotated[int, Meta(description="when it last changed, unix seconds")]
    balance_version: _Version
    gw_order: Annotated[int | UnsetType, Meta(description="this and the next three: if one is set")] = UNSET
    gw_source: str | UnsetType = UNSET
    gw_uuid: str | UnsetType = UNSET
    api_data: str | UnsetType = UNSET


class TradeFields(Trade):
    """A finance trade; what a price or a volume would be is 0."""

    volume: int = 0
    open_price: float = 0.0
    close_price: float = 0.0
    sl: float = 0.0
    tp: float = 0.0
    commission: float = 0.0
    storage: float = 0.0
    expiration: int = 0


class Table(Struct):
    """A table: each row is a list, in the order of C{structure}."""

    structure: Annotated[list[str], Meta(description="the names of the columns")]
    rows: list[list[Any]]
    count: Annotated[int, Meta(description="how many match, of which the rows may be a part")]
    seq: Annotated[int, Meta(description="the entry of the log that all of it is as of; ours")]


class Trades(Table):
    """A table of trades, and the sums of all that match."""

    total_profit: Annotated[
        float,
        Meta(description="of all that match, whatever their state, cmd and currency; tradeType 2: what is booked"),
    ]
    total_net_profit: float
    total_storage: float
    total_commission: float
    total_volume: int


class Accounts(Table):
    """A table of accounts, and the sums of all that match."""

    total_balance: Annotated[float | UnsetType, Meta(description="of all that match, whatever their currency")] = UNSET
    total_credit: float | UnsetType = UNSET
    total_profit: float | UnsetType = UNSET
    total_net_profit: float | UnsetType = UNSET


class Rows(Struct):
    """Rows that are objects."""

    rows: list[dict[str, Any]]
    count: int
    seq: Annotated[int, Meta(description="the entry of the log that all of it is as of; ours")]


class Account(Struct):
    """An account: its profile, without the password, and what is on it."""

    login: int
    group: str
    enable: int
    name: str
    email: str
    leverage: int
    currency: str
    regdate: _Time
    update_time: _Time
    comment: str = ""
    country: str = ""
    city: str = ""
    state: str = ""
    zipcode: str = ""
    address: str = ""
    phone: str = ""
    id: str = ""
    lead_source: str = ""
    user_color: str = ""
    enable_read_only: int = 0
    enable_change_password: int = 0
    send_reports: int = 0
    magic: int = 0
    customer_id: int = 0
    balance: Annotated[float | UnsetType, Meta(description="this and the rest: to those who may see it")] = UNSET
    credit: float | UnsetType = UNSET
    margin: float | UnsetType = UNSET
    margin_free: float | UnsetType = UNSET
    margin_level: float | UnsetType = UNSET
    equity: Annotated[float | UnsetType, Meta(description="balance and credit")] = UNSET
    balance_version: Annotated[int | UnsetType, Meta(description="grows with each change of them; ours")] = UNSET


class StatementSaid(Struct):
    """
    What moved on an account, in the order of the log. Opening, closing and count are of all movements from the first
    that was booked at C{from} or later to the last at C{to} or earlier; the rows are a page of them.
    """

    login: int
    group: str
    currency: str
    from_: Annotated[int, Meta(description="unix seconds; 0: from the first")] = field(name="from")
    to: Annotated[int, Meta(description="unix seconds; 0: to the last")]
    seq: Annotated[int, Meta(description="the entry of the log that all of it is as of")]
    opening_balance: float
    opening_credit: float
    closing_balance: Annotated[float, Meta(description="opening_balance and all amounts")]
    closing_credit: Annotated[float, Meta(description="opening_credit and all credit_amounts")]
    structure: Annotated[list[str], Meta(description="the names of the columns of rows")]
    rows: Annotated[list[list[Any]], Meta(description="type: the EV_RECORD_* of the trade; balance, credit: after it")]
    count: int


class AccountSaid(Struct):
    """What is said of an account that was opened or changed."""

    login: int
    group: str
    leverage: int
    currency: str
    update_time: _Time


class Done(Struct):
    """It is done."""

    data: Annotated[str, Meta(description="always OK")]


class Deleted(Struct):
    """What became of each account of a list; status 207 if some failed, 409 (with an error) if all did."""

    rows: Annotated[list[dict[str, Any]], Meta(description="{login, deleted} of each")]
    matched: Annotated[int, Meta(description="how many of them there are")]
    deleted: int
    failed: int
    failures: Annotated[list[dict[str, Any]], Meta(description="{login, error, message, code, reason} of each")]


class GroupSaid(Struct):
    """A group as it is now: with these, every other field that was set, but for lists."""

    group: str
    currency: str
    digits: Annotated[int, Meta(description="decimals of the currency; ours")]
    floor: Annotated[float, Meta(description="no balance may be taken below this; ours")]


class RequestState(Struct):
    """How far a request is."""

    state: Annotated[str, Meta(description="unknown, queued, pending, done or refused")]
    order: Annotated[int, Meta(description="its trade, or 0")]
    data: Annotated[
        dict[str, Any] | UnsetType, Meta(description="of what is done, the event's data; of a refusal, the refusal's")
    ] = UNSET


class Chosen(Struct):
    """What a session is sent from now on, and where the log is."""

    chanels: Annotated[list[str], Meta(description="the events, sorted, then the symbols")]
    epoch: Annotated[str, Meta(description="the name of the log")]
    seq: Annotated[int, Meta(description="its last entry that was told")]


class Pong(Struct):
    """Where the log is."""

    time: Annotated[float, Meta(description="the server's, unix seconds")]
    epoch: Annotated[str, Meta(description="the name of the log")]
    seq: Annotated[int, Meta(description="its last entry that was told")]
