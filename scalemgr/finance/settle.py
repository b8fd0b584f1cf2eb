"""A book and a request in, an entry or a refusal out: the only place that decides.

L{settleBatch} works a batch off in order, on a draft of the book, so each request sees what those before
it did. Nothing here does I/O, reads a clock or draws a random number: the caller says what time it is and
which trades the batch names. What comes out is not true until the ledger has committed it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Union

from msgspec import Struct
from msgspec.structs import replace

from ..wire.codes import EventRecordType, RetCode, TradeCommand, TradeState
from ..wire.errors import InvalidData, NotPermitted, Refused
from ..wire.messages import Json, encode
from .book import Book, Draft
from .masks import Mask
from .money import MINOR_UNITS_MAX, Amount, fromMinor, toMinor
from .records import GROUP_EVENT, TRADE_EVENT, USER_EVENT, Account, Entry, FinanceTrade, Group

__all__ = ["AddAccount", "AddGroup", "Cause", "MoveMoney", "Outcome", "Request", "settleBatch"]

#: The comment of a transaction that was made without one, as published.
DEFAULT_COMMENT = "Finance"


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


class MoveMoney(Struct, frozen=True):
    """
    Book a movement of money, or change one.

    @ivar cmd: an C{OP_*}.
    @ivar named: the order that the caller named, or 0.
    @ivar order: the same, if that trade exists: then it is changed. Else the number reserved for a new one.
    @ivar comment: for a new trade; C{None} leaves an existing one as it is.
    @ivar open_time: unix seconds; 0: not given, as for C{close_time}.
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


Request = Union[MoveMoney, AddGroup, AddAccount]
#: What became of a request: an entry of the log, or the reason why there is none. Anything but a
#: L{ManagerError} is a bug of ours; it hurts the one request only.
Outcome = Union[Entry, Exception]


def settleBatch(
    book: Book, trades: Mapping[int, FinanceTrade], requests: Sequence[Request], nowMs: int
) -> tuple[list[Outcome], Draft]:
    """
    Decide a batch.

    @param book: what is true before it. It is not changed.
    @param trades: every existing trade that a request of the batch wants to update, by order.
    @param nowMs: the time of the batch, in milliseconds since 1970.
    @return: one outcome a request, and the book as it will be once the entries among them are committed.
    """
    draft = Draft(book)
    outcomes: list[Outcome] = []
    booked: dict[int, Entry] = {}
    for request in requests:
        try:
            if type(request) is MoveMoney:
                trade = None
                if request.update:
                    inBatch = booked.get(request.order)
                    trade = trades.get(request.order) if inBatch is None else inBatch.trade()
                entry = _moveMoney(draft, trade, request, nowMs)
                booked[entry.order] = entry
            else:
                entry = _SETTLE[type(request)](draft, request, nowMs)
            draft.apply(entry)
        except Exception as e:
            outcomes.append(e)
        else:
            outcomes.append(entry)
    return outcomes, draft


def _moveMoney(book: Book, trade: FinanceTrade | None, request: MoveMoney, nowMs: int) -> Entry:
    account = book.account(request.login)
    # A login outside the caller's groups is answered like one that does not exist: to tell them
    # apart would tell which logins exist.
    if account is None or not request.cause.mask.covers(account.group):
        raise Refused(f"login {request.login} does not exist, or not for you", RetCode.RET_USER_NOT_FOUND)
    group = book.group(account.group)
    assert group is not None
    try:
        amount = toMinor(request.amount, group.digits)
    except ValueError as e:
        raise InvalidData(f"{e} ({group.currency})", field="amount") from None
    if not account.enable:
        raise Refused(f"account {account.login} is disabled", RetCode.RET_ACCOUNT_DISABLED)
    if request.cmd != TradeCommand.OP_BALANCE_IN:
        raise Refused(f"cmd {request.cmd} is not supported", RetCode.RET_TRADE_INCORRECT_CMD)
    if amount <= 0:
        raise InvalidData("expected a number greater than 0", field="amount")
    before = _existing(trade, request, group) if request.update else None
    change = amount - (before.profit if before is not None else 0)
    _checkBalance(account, group, change)
    after = _trade(before, request, group, amount, account.balance_version + (change != 0), nowMs // 1000)
    return _entry(
        book,
        request.cause,
        nowMs,
        TRADE_EVENT,
        EventRecordType.EV_RECORD_UPDATE if request.update else EventRecordType.EV_RECORD_ADD,
        account.group,
        encode(after.data()),
        login=account.login,
        order=request.order,
        balance=change,
        fingerprint=_fingerprint(request, amount),
    )


def _existing(trade: FinanceTrade | None, request: MoveMoney, group: Group) -> FinanceTrade:
    """The trade to change, if it may be."""
    if trade is None:
        raise Refused(f"order {request.order} does not exist", RetCode.RET_NOT_FOUND)
    if trade.login != request.login or trade.cmd != request.cmd or trade.digits != group.digits:
        raise Refused(
            f"order {request.order} is not a transaction of this kind on login {request.login}",
            RetCode.RET_TRADE_INCORRECT_ORDER,
        )
    if trade.state != TradeState.TS_CLOSED_NORMAL:
        raise Refused(f"order {request.order} cannot be changed any more", RetCode.RET_TRADE_INCORRECT_STATE)
    return trade


def _checkBalance(account: Account, group: Group, change: int) -> None:
    after = account.balance + change
    if change < 0 and after < group.floor:
        raise Refused(
            f"not enough money on login {account.login}",
            RetCode.RET_TRADE_NO_MONEY,
            available=fromMinor(max(0, account.balance - group.floor), group.digits),
        )
    if abs(after) >= MINOR_UNITS_MAX:
        raise Refused(
            f"the balance of login {account.login} would reach {fromMinor(MINOR_UNITS_MAX, group.digits):.0f}",
            RetCode.RET_TRADE_LIMIT_REACHED,
        )


def _trade(
    before: FinanceTrade | None, request: MoveMoney, group: Group, amount: int, version: int, now: int
) -> FinanceTrade:
    """The record as it will be: what the request does not say is as it was, or as published by default."""
    comment, openTime, closeTime = request.comment, request.open_time, request.close_time
    if before is None:
        openTime = openTime or min(now, closeTime or now)
        closeTime = closeTime or openTime
        comment = DEFAULT_COMMENT if comment is None else comment
    else:
        openTime = openTime or before.open_time
        # One that nobody gives now follows, as the default does.
        closeTime = closeTime or max(before.close_time, openTime)
        comment = before.comment if comment is None else comment
    if closeTime < openTime:
        raise Refused("close_time is before open_time", RetCode.RET_TRADE_BAD_CLOSE_TIME)
    told: dict[str, Any] = {
        "profit": amount,
        "comment": comment,
        "open_time": openTime,
        "close_time": closeTime,
        "update_time": now,
        "balance_version": version,
    }
    if before is not None:
        return replace(before, **told)
    return FinanceTrade(order=request.order, login=request.login, cmd=request.cmd, digits=group.digits, **told)


def _addGroup(book: Book, request: AddGroup, nowMs: int) -> Entry:
    if not request.cause.mask.covers(request.group):
        raise NotPermitted(f"the group {request.group!r} is outside your group mask")
    if book.group(request.group) is not None:
        raise Refused(f"the group {request.group!r} exists already", RetCode.RET_DUPLICATE_RECORD)
    record = {**request.fields, "group": request.group, "currency": request.currency, "digits": request.digits}
    data = encode({"group": request.group, "currency": request.currency})
    return _entry(
        book,
        request.cause,
        nowMs,
        GROUP_EVENT,
        EventRecordType.EV_RECORD_ADD,
        request.group,
        data,
        record=encode(record),
        fingerprint=_condense("group", sorted(record.items())),
    )


def _addAccount(book: Book, request: AddAccount, nowMs: int) -> Entry:
    group = book.group(request.group)
    if group is None or not request.cause.mask.covers(request.group):
        raise Refused(f"the group {request.group!r} does not exist, or not for you", RetCode.RET_GROUP_NOT_FOUND)
    login = request.login or book.nextLogin
    if book.account(login) is not None:
        raise Refused(f"login {login} exists already", RetCode.RET_USR_LOGIN_EXIST)
    now = nowMs // 1000
    record = {
        **request.fields,
        "login": login,
        "group": group.group,
        "enable": request.enable,
        "regdate": now,
        "update_time": now,
    }
    data = {
        "login": login,
        "name": record.get("name", ""),
        "group": group.group,
        "leverage": record.get("leverage", 0),
        "currency": group.currency,
        "enable": request.enable,
        "update_time": now,
    }
    return _entry(
        book,
        request.cause,
        nowMs,
        USER_EVENT,
        EventRecordType.EV_RECORD_ADD,
        group.group,
        encode(data),
        login=login,
        record=encode({**record, "password_hash": request.passwordHash}),
        fingerprint=_condense(
            "account", [request.login, request.group, request.enable, sorted(request.fields.items())]
        ),
    )


_SETTLE: dict[type, Callable[[Book, Any, int], Entry]] = {AddGroup: _addGroup, AddAccount: _addAccount}


def _entry(
    book: Book,
    cause: Cause,
    nowMs: int,
    event: str,
    type: EventRecordType,
    group: str,
    data: Json,
    *,
    login: int = 0,
    order: int = 0,
    balance: int = 0,
    fingerprint: bytes,
    record: Json | None = None,
) -> Entry:
    if not (0 <= order < 2**63 and (cause.key is None or isinstance(cause.key, str))):
        # It could not be kept, and that would fail the whole batch.
        raise ValueError(f"order {order!r} with key {cause.key!r}")
    return Entry(
        seq=book.seq + 1,
        time_ms=nowMs,
        event=event,
        type=type,
        group=group,
        login=login,
        order=order,
        balance=balance,
        credit=0,
        principal=cause.principal,
        key=cause.key,
        fingerprint=fingerprint,
        data=data,
        record=record,
    )


def _fingerprint(request: MoveMoney, amount: int) -> bytes:
    """Equal for equal requests, whatever their spelling; a reserved order differs with every attempt."""
    comment = request.comment
    if comment is None and not request.named:
        comment = DEFAULT_COMMENT
    return _condense(
        "money",
        [request.cmd, request.login, amount, request.named, comment, request.open_time, request.close_time],
    )


def _condense(kind: str, what: Any) -> bytes:
    return blake2b(encode([kind, what]).encode("ascii"), digest_size=16).digest()
