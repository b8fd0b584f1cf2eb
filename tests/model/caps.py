"""Somebody whose caps are soon met, and what they make of what is asked."""

from __future__ import annotations

from scalemgr.finance.caps import readCaps
from scalemgr.finance.masks import Mask
from scalemgr.finance.records import Entry
from scalemgr.wire.codes import RetCode

from .contents import AskFor, Content, Decide, Effect, Move, Refusal, TakeBack
from .truth import Truth, cents, dateOf

#: Who has caps, and may move nothing but USD: at once, and in a day, in cents.
CAPPED, _CURRENCY, _AT_ONCE, _DAY = "till", "USD", 1000, 1500
CAPS = {CAPPED: readCaps({_CURRENCY: {"amount": _AT_ONCE / 100, "day": str(_DAY // 100)}})}


def fits(content: Content, entry: Entry, truth: Truth, mask: Mask) -> bool:
    """Is this entry what must become of it, given what is true before the entry, and the caps of who asked?"""
    due = content.due(truth, mask)
    if entry.principal == CAPPED and (not isinstance(due, dict) or due["code"] == RetCode.RET_TRADE_NO_MONEY):
        due = _capped(content, entry, truth, mask) or due
    return content.became(due, entry, truth, mask)


def _capped(content: Content, entry: Entry, truth: Truth, mask: Mask) -> Refusal | Effect | None:
    """The refusal by a cap of something that nothing else is in the way of, but that money may lack."""
    login, change = _moves(content, truth, mask)
    if not change:
        return None
    currency = truth.groups[truth.accounts[login].group].currency
    told: Refusal = {"code": RetCode.RET_TRADE_LIMIT_REACHED, "currency": currency}
    if currency != _CURRENCY:
        return {**told, "cap": "currency", "limit": 0, "left": 0}
    rest = _DAY if isinstance(content, AskFor) else max(0, _DAY - truth.used[CAPPED, currency, dateOf(entry)])
    if abs(change) > _AT_ONCE:
        return {**told, "cap": "amount", "limit": _AT_ONCE / 100, "left": min(_AT_ONCE, rest) / 100}
    if abs(change) > rest:
        return {**told, "cap": "day", "limit": _DAY / 100, "left": rest / 100}
    return None


def _moves(content: Content, truth: Truth, mask: Mask) -> tuple[int, int]:
    """On which account, and how many cents, in or out; 0 if nothing."""
    if isinstance(content, AskFor):
        return content.login, cents(content.amount)
    if isinstance(content, Move):
        before = content.changes(truth, mask)
        return content.login, cents(content.amount) - (0 if before is None else before.cents)
    if isinstance(content, TakeBack) or (isinstance(content, Decide) and content.command == "MngApproveFinanceRequest"):
        movement = truth.movements[content.order]
        return movement.login, movement.cents
    return 0, 0
