"""The rules of money: what may be booked, changed, taken back, asked for and approved.

No balance falls below the floor of its group, no credit below zero. Balance and credit are apart. Amounts are
signed: what goes out is negative, and so is its C{profit}.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ..wire.codes import EventRecordType, RetCode, TradeCommand, TradeState
from ..wire.errors import InvalidData, ManagerError, Refused
from ..wire.messages import Json, encode
from .desk import Desk, Rule
from .money import MINOR_UNITS_MAX, Amount, fromMinor, toMinor
from .records import BALANCE_EVENT, TRADE_EVENT, Account, Entry, FinanceTrade, Group
from .requests import CREDIT, DEFAULT_COMMENT, AskForMoney, Cause, Decide, MoveMoney, Request, TakeBack

__all__ = ["RULES", "balanceEvent"]

_INCOMING = frozenset({TradeCommand.OP_BALANCE_IN, TradeCommand.OP_CREDIT_IN})
_OUTGOING = frozenset({TradeCommand.OP_BALANCE_OUT, TradeCommand.OP_CREDIT_OUT})
# What the fold makes of the count of pending requests.
_COMES, _GOES = encode({"pending": 1}), encode({"pending": -1})


def _moveMoney(desk: Desk, request: MoveMoney) -> Entry:
    account, group = desk.account(request, request.login)
    amount = _amount(request.amount, request.cmd, account, group)
    if request.strict and request.named and not request.update:
        raise Refused(f"order {request.named} does not exist", RetCode.RET_NOT_FOUND)
    before = _toChange(desk, request, group) if request.update else None
    change = amount - (before.profit if before is not None else 0)
    _checkFunds(account, group, request.cmd, change, request.cause)
    after = _trade(before, request, group, amount, account.balance_version + (change != 0), desk.now)
    type = EventRecordType.EV_RECORD_ADD if before is None else EventRecordType.EV_RECORD_UPDATE
    return _booked(desk, request, account, after, type, change)


def _takeBack(desk: Desk, request: TakeBack) -> Entry:
    trade, account, group = _existing(desk, request, request.order)
    if trade.cmd not in request.kinds:
        what = "credit" if request.kinds is CREDIT else "balance"
        raise Refused(f"order {trade.order} is no movement of a {what}", RetCode.RET_TRADE_INCORRECT_ORDER)
    if trade.state != TradeState.TS_CLOSED_NORMAL:
        raise _incorrectState(trade, "is not booked, so it cannot be taken back")
    change = -trade.profit
    _checkFunds(account, group, trade.cmd, change, request.cause)
    after = replace(
        trade,
        state=TradeState.TS_DELETED,
        update_time=desk.now,
        balance_version=account.balance_version + 1,
    )
    return _booked(desk, request, account, after, EventRecordType.EV_RECORD_DELETE, change)


def _askForMoney(desk: Desk, request: AskForMoney) -> Entry:
    account, group = desk.account(request, request.login)
    amount = _amount(request.amount, request.cmd, account, group)
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
    return _booked(desk, request, account, trade, EventRecordType.EV_RECORD_ADD, record=_COMES)


def _decide(desk: Desk, request: Decide) -> Entry:
    trade, account, group = _existing(desk, request, request.order)
    if trade.state != TradeState.TS_FINANCE_OPEN_PENDING:
        raise _incorrectState(trade, "does not await approval")
    told: dict[str, Any] = {"update_time": desk.now, "close_time": max(trade.open_time, desk.now)}
    if not request.approve:
        told |= {"comment": request.comment} if request.comment is not None else {}
        told |= {"api_data": request.api_data} if request.api_data is not None else {}
        declined = replace(trade, state=TradeState.TS_FINANCE_OPEN_DECLINE, **told)
        return _booked(desk, request, account, declined, EventRecordType.EV_RECORD_UPDATE, record=_GOES)
    _checkEnabled(account)
    _checkFunds(account, group, trade.cmd, trade.profit, request.cause)
    version = account.balance_version + 1
    approved = replace(trade, state=TradeState.TS_CLOSED_NORMAL, balance_version=version, **told)
    return _booked(desk, request, account, approved, EventRecordType.EV_RECORD_UPDATE, trade.profit, record=_GOES)


#: How to settle each kind of request.
RULES: dict[type[Request], Rule] = {
    MoveMoney: _moveMoney,
    TakeBack: _takeBack,
    AskForMoney: _askForMoney,
    Decide: _decide,
}


def balanceEvent(desk: Desk, cause: Entry) -> Entry:
    """What the account has once this entry, which moves money on it, is folded in."""
    account = desk.book.account(cause.login)
    assert account is not None
    after = replace(
        account,
        balance=account.balance + cause.balance,
        credit=account.credit + cause.credit,
        balance_version=account.balance_version + 1,
    )
    data = {"login": account.login, **after.figures(desk.groupOf(account).digits)}
    type = EventRecordType.EV_RECORD_UPDATE
    return desk.further(cause, 1, BALANCE_EVENT, type, account.group, encode(data), login=account.login)


def _booked(
    desk: Desk,
    request: Request,
    account: Account,
    trade: FinanceTrade,
    type: EventRecordType,
    change: int = 0,
    record: Json | None = None,
) -> Entry:
    """The entry of a trade as it is now, by which the account's balance or credit changed."""
    ofCredit = trade.cmd in CREDIT
    return desk.entry(
        request,
        TRADE_EVENT,
        type,
        account.group,
        encode(trade.data()),
        login=account.login,
        order=trade.order,
        balance=0 if ofCredit else change,
        credit=change if ofCredit else 0,
        record=record,
    )


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


def _checkFunds(account: Account, group: Group, cmd: int, change: int, cause: Cause) -> None:
    """Can the balance, or the credit, change by so much?"""
    if cmd in CREDIT:
        name, before, least = "credit", account.credit, 0
    else:
        name, before, least = "balance", account.balance, group.floor
    after = before + change
    if change < 0 and after < least:
        error = Refused(
            f"not enough {'money' if name == 'balance' else name} on login {account.login}", RetCode.RET_TRADE_NO_MONEY
        )
        if cause.seesBalance:
            error.details["available"] = fromMinor(max(0, before - least), group.digits)
        raise error
    # Their sum is on the wire, too, and nothing there has more than 15 digits.
    if abs(after) >= MINOR_UNITS_MAX or abs(account.balance + account.credit + change) >= MINOR_UNITS_MAX:
        raise Refused(
            f"the {name} of login {account.login}, or balance and credit together, would reach "
            f"{fromMinor(MINOR_UNITS_MAX, group.digits):.0f}",
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
