"""What may be booked, told a second time: why an attempt had to be refused, if it had to be."""

from __future__ import annotations

from .asked import APPROVE, CREATE, MOVES, OFFICE, TAKES_BACK
from .books import BOOKED, PENDING, Books, Trade
from .journal import Sent
from .office import officeReason

__all__ = ["reasonAgainst"]


def reasonAgainst(sent: Sent, books: Books) -> str:
    """The C{reason} of its refusal as things stand; nothing, if it is to be done."""
    if sent.kind in MOVES or sent.kind == CREATE:
        return _againstMovement(sent, books)
    if sent.kind in OFFICE:
        return officeReason(sent, books)
    trade = books.trades.get(sent.order)
    if trade is None or trade.login not in books.groupOf:
        return "RET_NOT_FOUND"
    if sent.kind in TAKES_BACK:
        if trade.cmd not in TAKES_BACK[sent.kind]:
            return "RET_TRADE_INCORRECT_ORDER"
        return _againstState(trade, BOOKED) or _againstFunds(books, trade.login, trade.isCredit, -trade.cents)
    wrong = _againstState(trade, PENDING)
    if wrong or sent.kind != APPROVE:
        return wrong
    return _againstFunds(books, trade.login, trade.isCredit, trade.cents)


def _againstMovement(sent: Sent, books: Books) -> str:
    if sent.login not in books.groupOf:
        return "RET_USER_NOT_FOUND"
    if sent.kind == CREATE:
        return ""
    movement = Trade(sent.login, MOVES[sent.kind], sent.cents, BOOKED)
    if sent.makes:
        return _againstFunds(books, sent.login, movement.isCredit, sent.cents)
    before = books.trades.get(sent.order)
    if before is None:
        return "RET_NOT_FOUND"
    if (before.login, before.cmd) != (movement.login, movement.cmd):
        return "RET_TRADE_INCORRECT_ORDER"
    wrong = _againstState(before, BOOKED)
    return wrong or _againstFunds(books, sent.login, movement.isCredit, sent.cents - before.cents)


def _againstState(trade: Trade, state: int) -> str:
    return "" if trade.state == state else "RET_TRADE_INCORRECT_STATE"


def _againstFunds(books: Books, login: int, ofCredit: bool, change: int) -> str:
    account = books.accounts[login]
    before = account.credit if ofCredit else account.balance
    return "RET_TRADE_NO_MONEY" if change < 0 and before + change < 0 else ""
