"""Which entry is the effect of which attempt, and which answer tells of it."""

from __future__ import annotations

from typing import Any

import ujson

from .asked import APPROVE, CREATE, DECLINE, MOVES, OFFICE, TAKES_BACK
from .books import BOOKED, DECLINED, DELETED, PENDING, cents
from .history import Attempt, Entry
from .journal import Sent
from .office import isOfficeEffect, officeTells

__all__ = ["isEffectOf", "tells"]

_ADD, _UPDATE, _DELETE = 0, 1, 2
_DEFAULT_COMMENT = "Finance"
# The states that the plain form answers with: of what is new, and of what was there.
_ACCEPTED_NEW, _ACCEPTED_CHANGE, _ACCEPTED_DELETE = 10, 11, 12


def isEffectOf(entry: Entry, sent: Sent) -> bool:
    """Is this entry what was asked for? It says so by its type, its state, and what was asked."""
    if sent.kind in OFFICE:
        return isOfficeEffect(entry, sent)
    if not entry.isTrade:
        return False
    trade = ujson.loads(entry.data)
    if (trade["order"], trade["login"]) != (entry.order, entry.login):
        return False
    is_ = entry.type, trade["state"]
    if sent.kind in MOVES or sent.kind == CREATE:
        return _isMovement(entry, is_, trade, sent)
    if entry.order != sent.order:
        return False
    if sent.kind == DECLINE and sent.comment is not None and trade["comment"] != sent.comment:
        return False
    if sent.kind in TAKES_BACK:
        return is_ == (_DELETE, DELETED) and trade["cmd"] in TAKES_BACK[sent.kind]
    return is_ == (_UPDATE, {APPROVE: BOOKED, DECLINE: DECLINED}[sent.kind])


def _isMovement(entry: Entry, is_: tuple[int, int], trade: dict[str, Any], sent: Sent) -> bool:
    cmd = sent.cmd if sent.kind == CREATE else MOVES[sent.kind]
    if (trade["login"], trade["cmd"], cents(trade["profit"])) != (sent.login, cmd, sent.cents):
        return False
    if not sent.makes:
        return is_ == (_UPDATE, BOOKED) and entry.order == sent.order and sent.comment in (None, trade["comment"])
    comment = _DEFAULT_COMMENT if sent.comment is None else sent.comment
    state = PENDING if sent.kind == CREATE else BOOKED
    return is_ == (_ADD, state) and trade["comment"] == comment and entry.order != sent.order


def tells(attempt: Attempt, entry: Entry) -> bool:
    """Is this the answer about this entry? The sync form is the trade itself, the plain form what was accepted."""
    assert attempt.answer is not None
    sent = attempt.sent
    if sent.kind in OFFICE:
        return officeTells(attempt, entry)
    if sent.isSync:
        return attempt.answer.data == entry.data
    trade = ujson.loads(entry.data)
    return bool(
        ujson.loads(attempt.answer.data)
        == {
            "accepted": True,
            "order": entry.order,
            "state": _accepted(sent),
            "login": entry.login,
            "cmd": trade["cmd"],
            "amount": trade["profit"],
            "balance_version": trade["balance_version"],
        }
    )


def _accepted(sent: Sent) -> int:
    if sent.kind in TAKES_BACK:
        return _ACCEPTED_DELETE
    if sent.kind in (CREATE, DECLINE):
        return PENDING if sent.kind == CREATE else DECLINED
    return _ACCEPTED_CHANGE if sent.kind in MOVES and not sent.makes else _ACCEPTED_NEW
