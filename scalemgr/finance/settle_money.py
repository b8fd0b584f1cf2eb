"""The rules of money: what may be booked, changed, taken back, asked for and approved.

No balance falls below the floor of its group, no credit below zero. Balance and credit are apart. Amounts are
signed: what goes out is negative, and so is its C{profit}.

Who has caps moves no more than they say: each movement counts by its absolute amount, a change of one by its
difference, an approval for who approves. What is only asked for moves nothing, but nobody is to be asked to approve
what is too large, so it is held against the cap on a single amount. A refusal by a cap is for good, as any other: who
tries again another day takes another idempotency key. Caps are looked at before what is on the account, so that who
has them cannot find that out by asking for much.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ..wire.codes import RetCode, TradeCommand, TradeState
from ..wire.errors import InvalidData, ManagerError, Refused
from ..wire.messages import Json, encode
from .desk import Desk, Rule
from .money import MINOR_UNITS_MAX, Amount, fromMinor, toMinor
from .records import ADDED, BALANCE_EVENT, DELETED, TRADE_EVENT, UPDATED, Account, Entry, FinanceTrade, Group
from .requests import CREDIT, DEFAULT_COMMENT, AskForMoney, Cause, Decide, MoveMoney, Request, TakeBack
from .settle_caps import checkAmount, checkMovement

__all__ = ["RULES"]

_INCOMING = frozenset({TradeCommand.OP_BALANCE_IN, TradeCommand.OP_CREDIT_IN})
_OUTGOING = frozenset({TradeCommand.OP_BALANCE_OUT, TradeCommand.OP_CREDIT_OUT})
# What the fold makes of the count of pending requests.
_COMES, _GOES = encode({"pending": 1}), encode({"pending": -1})


def _moveMoney(desk: Desk, request: MoveMoney) -> list[Entry]:
    account, group = desk.account(request, request.login)
    amount = _amount(request.amount, request.cmd, account, group)
    if request.update:
        before = _toChange(desk, request, group)
        change = amount - before.profit
        _checkMoving(desk, request, account, group, request.cmd, change)
        after = _changed(before, request, amount, account.balance_version + (change != 0), desk.now)
        return _booked(desk, request, account, group, after, UPDATED, change)
    if request.strict and request.named:
        raise Refused(f"order {request.named} does not exist", RetCode.RET_NOT_FOUND)
    _checkMoving(desk, request, account, group, request.cmd, amount)
    trade = _made(request, group, amount, account.balance_version + 1, desk.now)
    return _booked(desk, request, account, group, trade, ADDED, amount)


def _takeBack(desk: Desk, request: TakeBack) -> list[Entry]:
    trade, account, group = _existing(desk, request, request.order)
    if trade.cmd not in request.kinds:
        what = "credit" if request.kinds is CREDIT else "balance"
        raise Refused(f"order {trade.order} is no movement of a {what}", RetCode.RET_TRADE_INCORRECT_ORDER)
    if trade.state != TradeState.TS_CLOSED_NORMAL:
        raise _incorrectState(trade, "is not booked, so it cannot be taken back")
    change = -trade.profit
    _checkMoving(desk, request, account, group, trade.cmd, change)
    after = replace(
        trade,
        state=TradeState.TS_DELETED,
        update_time=desk.now,
        balance_version=account.balance_version + 1,
    )
    return _booked(desk, request, account, group, after, DELETED, change)


def _askForMoney(desk: Desk, request: AskForMoney) -> list[Entry]:
    account, group = desk.account(request, request.login)
    amount = _amount(request.amount, request.cmd, account, group)
    if request.cause.caps is not None:
        checkAmount(request.cause.caps, group, amount)
    openTime = request.open_time or desk.now
    trade = FinanceTrade(
        order=request.order,
        login=account.login,
        cmd=request.cmd,
        profit=amount,
        digits=group.digits,
        comment=request.comment,
        open_time=openTime,
        close_time=openTime,
        update_time=desk.now,
        balance_version=account.balance_version,
        state=TradeState.TS_FINANCE_OPEN_PENDING,
        reason=request.reason,
        gw_order=request.gw_order,
        gw_source=request.gw_source,
        gw_uuid=request.gw_uuid,
        api_data=request.api_data,
    )
    return _booked(desk, request, account, group, trade, ADDED, record=_COMES)


def _decide(desk: Desk, request: Decide) -> list[Entry]:
    trade, account, group = _existing(desk, request, request.order)
    if trade.state != TradeState.TS_FINANCE_OPEN_PENDING:
        raise _incorrectState(trade, "does not await approval")
    told: dict[str, Any] = {"update_time": desk.now, "close_time": max(trade.open_time, desk.now)}
    if not request.approve:
        told |= {"comment": request.comment} if request.comment is not None else {}
        told |= {"api_data": request.api_data} if request.api_data is not None else {}
        declined = replace(trade, state=TradeState.TS_FINANCE_OPEN_DECLINE, **told)
        return _booked(desk, request, account, group, declined, UPDATED, record=_GOES)
    _checkEnabled(account)
    _checkMoving(desk, request, account, group, trade.cmd, trade.profit)
    version = account.balance_version + 1
    approved = replace(trade, state=TradeState.TS_CLOSED_NORMAL, balance_version=version, **told)
    return _booked(desk, request, account, group, approved, UPDATED, trade.profit, record=_GOES)


#: How to settle each kind of request.
RULES: dict[type[Request], Rule] = {
    MoveMoney: _moveMoney,
    TakeBack: _takeBack,
    AskForMoney: _askForMoney,
    Decide: _decide,
}


def _booked(
    desk: Desk,
    request: Request,
    account: Account,
    group: Group,
    trade: FinanceTrade,
    type: int,
    change: int = 0,
    record: Json | None = None,
) -> list[Entry]:
    """The entry of a trade as it is now; and if its account changed by that, that of what is on the account then."""
    balance, credit = (0, change) if trade.cmd in CREDIT else (change, 0)
    booking = desk.entry(
        request,
        TRADE_EVENT,
        type,
        account.group,
        trade.text(),
        login=account.login,
        order=trade.order,
        balance=balance,
        credit=credit,
        record=record,
    )
    if not change:
        return [booking]
    told = account.moved(balance, credit).text(group.digits)
    return [booking, desk.further(booking, 1, BALANCE_EVENT, UPDATED, account.group, told, login=account.login)]


def _amount(amount: Amount, cmd: TradeCommand, account: Account, group: Group) -> int:
    """What is to be booked, in minor units."""
    try:
        minor = toMinor(amount, group.digits)
    except ValueError as e:
        raise InvalidData(f"{e} ({group.currency})", field="amount") from None
    _checkEnabled(account)
    if cmd in _INCOMING:
        if minor <= 0:
            raise InvalidData("expected a number greater than 0", field="amount")
    elif cmd in _OUTGOING:
        if minor >= 0:
            raise InvalidData("expected a number less than 0: what goes out is negative", field="amount")
    else:
        raise Refused(f"cmd {cmd} is not supported", RetCode.RET_TRADE_INCORRECT_CMD)
    return minor


def _checkEnabled(account: Account) -> None:
    if not account.enable:
        raise Refused(f"account {account.login} is disabled", RetCode.RET_ACCOUNT_DISABLED)


def _existing(desk: Desk, request: Request, order: int) -> tuple[FinanceTrade, Account, Group]:
    """A trade that the caller may touch, with its account and group."""
    trade = desk.trade(order)
    account = None if trade is None else desk.book.account(trade.login)
    if trade is None or account is None or not request.cause.mask.covers(account.group):
        raise Refused(f"order {order} does not exist, or not for you", RetCode.RET_NOT_FOUND, error="TRADE_NOT_FOUND")
    return trade, account, desk.groupOf(account)


def _toChange(desk: Desk, request: MoveMoney, group: Group) -> FinanceTrade:
    """The trade to change, if it may be."""
    trade = desk.trade(request.order)
    if trade is None:
        raise Refused(f"order {request.order} does not exist", RetCode.RET_NOT_FOUND)
    if trade.login != request.login or trade.cmd != request.cmd or trade.digits != group.digits:
        raise Refused(
            f"order {request.order} is not a transaction of this kind on login {request.login}",
            RetCode.RET_TRADE_INCORRECT_ORDER,
        )
    if trade.state != TradeState.TS_CLOSED_NORMAL:
        raise _incorrectState(trade, "cannot be changed any more")
    return trade


def _incorrectState(trade: FinanceTrade, why: str) -> Refused:
    state = TradeState(trade.state).name
    return Refused(f"order {trade.order} {why} (it is {state})", RetCode.RET_TRADE_INCORRECT_STATE)


def _checkMoving(desk: Desk, request: Request, account: Account, group: Group, cmd: int, change: int) -> None:
    """May the caller change the balance, or the credit, by so much, and can it be done?"""
    cause = request.cause
    if cause.caps is not None and change:
        moved = desk.book.turnover.of(cause.principal, desk.nowMs, group.currency)
        checkMovement(cause.caps, group, change, moved)
    _checkFunds(account, group, cmd, change, cause)


def _checkFunds(account: Account, group: Group, cmd: int, change: int, cause: Cause) -> None:
    """Can the balance, or the credit, change by so much?"""
    if cmd in CREDIT:
        name, before, least = "credit", account.credit, 0
    else:
        name, before, least = "balance", account.balance, group.floor
    after = before + change
    if change < 0 and after < least:
        told: dict[str, Any] = {}
        if cause.seesBalance:
            told["available"] = fromMinor(max(0, before - least), group.digits)
        # Raised as it is made: a frame that keeps what it raised, and so the batch, is left for the collector.
        raise Refused(
            f"not enough {'money' if name == 'balance' else name} on login {account.login}",
            RetCode.RET_TRADE_NO_MONEY,
            **told,
        )
    # Their sum is on the wire, too, and nothing there has more than 15 digits.
    if abs(after) >= MINOR_UNITS_MAX or abs(account.balance + account.credit + change) >= MINOR_UNITS_MAX:
        raise Refused(
            f"the {name} of login {account.login}, or balance and credit together, would reach "
            f"{fromMinor(MINOR_UNITS_MAX, group.digits):.0f}",
            RetCode.RET_TRADE_LIMIT_REACHED,
        )


def _made(request: MoveMoney, group: Group, amount: int, version: int, now: int) -> FinanceTrade:
    """A new trade: what the request does not say is as published by default."""
    closeTime = request.close_time
    openTime = request.open_time or (min(now, closeTime) if closeTime else now)
    return FinanceTrade(
        order=request.order,
        login=request.login,
        cmd=request.cmd,
        profit=amount,
        digits=group.digits,
        comment=DEFAULT_COMMENT if request.comment is None else request.comment,
        open_time=openTime,
        close_time=_notBefore(openTime, closeTime or openTime),
        update_time=now,
        balance_version=version,
    )


def _changed(before: FinanceTrade, request: MoveMoney, amount: int, version: int, now: int) -> FinanceTrade:
    """A trade as it will be: what the request does not say is as it was."""
    openTime = request.open_time or before.open_time
    # One that nobody gives now follows, as the default does.
    closeTime = request.close_time or max(before.close_time, openTime)
    return replace(
        before,
        profit=amount,
        comment=before.comment if request.comment is None else request.comment,
        open_time=openTime,
        close_time=_notBefore(openTime, closeTime),
        update_time=now,
        balance_version=version,
    )


def _notBefore(openTime: int, closeTime: int) -> int:
    """A close time that must not be before the open time."""
    if closeTime < openTime:
        # Malformed, not refused: the same key may be used again with better times.
        raise ManagerError("close_time is before open_time", RetCode.RET_TRADE_BAD_CLOSE_TIME)
    return closeTime
