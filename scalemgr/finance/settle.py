"""A book and a request in, an entry or a refusal out: the only place that decides.

L{settleBatch} works a batch off in order, on a draft of the book, so each request sees what those before
it did. Nothing here does I/O, reads a clock or draws a random number: the caller says what time it is and
which trades and keys the batch names. What comes out is not true until the ledger has committed it.

A request whose key was used before is not decided again. If it is the same request, what became of the first
is what becomes of it; if it is another one, it is refused. A refusal by a business rule is an entry of the
log, as a booking is: so it repeats, and a late repeat cannot turn a no into a yes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import ujson
from msgspec import Struct
from msgspec.structs import replace

from ..wire.codes import EventRecordType, RetCode, TradeCommand, TradeState
from ..wire.errors import DuplicateRequest, InvalidData, ManagerError, NotPermitted, Refused
from ..wire.messages import Json, encode
from .book import Book, Draft
from .money import MINOR_UNITS_MAX, fromMinor, toMinor
from .records import (
    GROUP_EVENT,
    KEYS_FORGOTTEN,
    REFUSAL,
    TRADE_EVENT,
    USER_EVENT,
    Account,
    Entry,
    FinanceTrade,
    Group,
)
from .requests import (
    DEFAULT_COMMENT,
    AddAccount,
    AddGroup,
    ForgetKeys,
    KeyName,
    MoveMoney,
    Request,
    fingerprint,
)

__all__ = ["Outcome", "Replay", "alike", "refusalOf", "settleBatch"]


class Replay(Struct, frozen=True):
    """A repeat: what became of the first is what becomes of it."""

    entry: Entry


#: What became of a request: an entry of the log (a booking, or a refusal), that of an earlier request, or the
#: reason why there is none. Anything but a L{ManagerError} is a bug of ours; it hurts the one request only.
Outcome = Union[Entry, Replay, Exception]


def settleBatch(
    book: Book,
    trades: Mapping[int, FinanceTrade],
    known: Mapping[KeyName, Entry],
    requests: Sequence[Request],
    nowMs: int,
) -> tuple[list[Outcome], Draft]:
    """
    Decide a batch.

    @param book: what is true before it. It is not changed.
    @param trades: every existing trade that a request of the batch wants to update, by order.
    @param known: the entry of every key that a request of the batch has and an earlier one used.
    @param nowMs: the time of the batch, in milliseconds since 1970.
    @return: one outcome a request, and the book as it will be once the entries among them are committed.
    """
    draft = Draft(book)
    outcomes: list[Outcome] = []
    booked: dict[int, Entry] = {}
    keyed: dict[KeyName, Entry] = {}
    for request in requests:
        try:
            name = request.cause.name
            first = None if name is None else keyed.get(name) or known.get(name)
            if first is not None and first.seq > draft.forgotten:
                outcomes.append(alike(first, request))
                continue
            entry = _decide(draft, trades, booked, request, nowMs)
            draft.apply(entry)
        except Exception as e:
            outcomes.append(e)
            continue
        outcomes.append(entry)
        if entry.event == TRADE_EVENT:
            booked[entry.order] = entry
        if name is not None:
            keyed[name] = entry
    return outcomes, draft


def alike(first: Entry, request: Request) -> Replay:
    """
    The outcome of a request whose key has an entry.

    @raise DuplicateRequest: if it is another request than the first.
    """
    if first.fingerprint != fingerprint(request):
        raise DuplicateRequest("this key was used for another request; nothing was done", order=first.order)
    return Replay(first)


def refusalOf(entry: Entry) -> ManagerError | None:
    """The refusal that an entry is, as it was raised; C{None} if it is none."""
    return ManagerError.fromData(ujson.loads(entry.data)) if entry.event == REFUSAL else None


def _decide(
    draft: Draft, trades: Mapping[int, FinanceTrade], booked: Mapping[int, Entry], request: Request, nowMs: int
) -> Entry:
    try:
        if type(request) is not MoveMoney:
            return _SETTLE[type(request)](draft, request, nowMs)
        trade = None
        if request.update:
            inBatch = booked.get(request.order)
            trade = trades.get(request.order) if inBatch is None else inBatch.trade()
        return _moveMoney(draft, trade, request, nowMs)
    except Refused as e:
        # So that the caller knows that this answer is for good.
        e.details["outcome"] = "refused"
        login = getattr(request, "login", 0)
        order = request.order if type(request) is MoveMoney and request.update else 0
        # Of no group: it is nobody's event.
        return _entry(draft, request, nowMs, REFUSAL, e.code, "", encode(e.data()), login=login, order=order)


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
    if request.strict and request.named and not request.update:
        raise Refused(f"order {request.named} does not exist", RetCode.RET_NOT_FOUND)
    before = _existing(trade, request, group) if request.update else None
    change = amount - (before.profit if before is not None else 0)
    _checkBalance(account, group, change)
    after = _trade(before, request, group, amount, account.balance_version + (change != 0), nowMs // 1000)
    return _entry(
        book,
        request,
        nowMs,
        TRADE_EVENT,
        EventRecordType.EV_RECORD_UPDATE if request.update else EventRecordType.EV_RECORD_ADD,
        account.group,
        encode(after.data()),
        login=account.login,
        order=request.order,
        balance=change,
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
        # Malformed, not refused: the same key may be used again with better times.
        raise ManagerError("close_time is before open_time", RetCode.RET_TRADE_BAD_CLOSE_TIME)
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
        request,
        nowMs,
        GROUP_EVENT,
        EventRecordType.EV_RECORD_ADD,
        request.group,
        data,
        record=encode(record),
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
        request,
        nowMs,
        USER_EVENT,
        EventRecordType.EV_RECORD_ADD,
        group.group,
        encode(data),
        login=login,
        record=encode({**record, "password_hash": request.passwordHash}),
    )


def _forgetKeys(book: Book, request: ForgetKeys, nowMs: int) -> Entry:
    if not book.forgotten < request.upTo <= book.seq:
        raise ValueError(f"keys up to entry {request.upTo} cannot be forgotten")
    data = encode({"up_to": request.upTo})
    return _entry(book, request, nowMs, KEYS_FORGOTTEN, EventRecordType.EV_RECORD_DELETE, "", data)


_SETTLE: dict[type, Callable[[Book, Any, int], Entry]] = {
    AddGroup: _addGroup,
    AddAccount: _addAccount,
    ForgetKeys: _forgetKeys,
}


def _entry(
    book: Book,
    request: Request,
    nowMs: int,
    event: str,
    type: int,
    group: str,
    data: Json,
    *,
    login: int = 0,
    order: int = 0,
    balance: int = 0,
    record: Json | None = None,
) -> Entry:
    cause = request.cause
    if not (0 <= order < 2**63 and 0 <= login < 2**63 and (cause.key is None or isinstance(cause.key, str))):
        # It could not be kept, and that would fail the whole batch.
        raise ValueError(f"login {login!r}, order {order!r}, key {cause.key!r}")
    return Entry(
        seq=book.seq + 1,
        time_ms=nowMs,
        event=event,
        type=int(type),
        group=group,
        login=login,
        order=order,
        balance=balance,
        credit=0,
        principal=cause.principal,
        key=cause.key,
        fingerprint=fingerprint(request),
        data=data,
        record=record,
    )
