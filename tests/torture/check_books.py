"""What each entry must look like after those before it: it moves what it says, and only what it may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ujson

from .asked import APPROVE, DECLINE
from .books import BOOKED, DECLINED, DELETED, PENDING, Account, Books, Trade, tradeOf
from .effects import isEffectOf
from .history import Entry, Key
from .office import checkClosings
from .rules import reasonAgainst

__all__ = ["checkBooks", "checkOnce", "onAccount"]

_ADD, _UPDATE, _DELETE = 0, 1, 2
# What an entry may do to a trade: its type, the state before, the state after; None: there was none.
_STEPS = {
    (_ADD, None, BOOKED),
    (_ADD, None, PENDING),
    (_UPDATE, BOOKED, BOOKED),
    (_UPDATE, PENDING, BOOKED),
    (_UPDATE, PENDING, DECLINED),
    (_DELETE, BOOKED, DELETED),
}


def checkBooks(log: Sequence[Entry], byKey: Mapping[tuple[str, str], Key]) -> list[str]:
    """All that is wrong with entries as they follow each other."""
    books = Books()
    wrong: list[str] = []
    due: Entry | None = None
    closing: list[int] = []
    for entry in log:
        wrong += _checkBalanceEvent(entry, due, books)
        wrong += _checkClosed(entry, closing, books)
        key = byKey.get((entry.principal, entry.key)) if entry.key is not None else None
        if entry.isTrade:
            wrong += _checkTrade(entry, books)
        elif entry.moves:
            wrong.append(f"entry {entry.seq} moves {entry.balance} and {entry.credit}, and is no trade")
        if key is not None:
            wrong += _checkRule(entry, key, books)
        books.apply(entry)
        if entry.event == "accounts:deleted":
            wrong += checkClosings(entry, books)
            closing = [row["login"] for row in ujson.loads(entry.data)["rows"] if row["deleted"]]
        if entry.moves:
            wrong += _checkAccount(entry, books.accounts[entry.login])
        due = entry if entry.moves else None
    wrong += [f"the log ends where login {login} should be closed" for login in closing[:1]]
    if due is not None:
        wrong.append(f"entry {due.seq} moved money, and the log ends without its balance event")
    return wrong


def checkOnce(log: Sequence[Entry], byKey: Mapping[tuple[str, str], Key]) -> list[str]:
    """A request is decided at most once, and a movement taken back at most once."""
    deleted: dict[int, list[int]] = {}
    decided: dict[int, list[int]] = {}
    for entry in log:
        if entry.isTrade and entry.type == _DELETE:
            deleted.setdefault(entry.order, []).append(entry.seq)
    for key in byKey.values():
        for entry in key.effects:
            if any(a.sent.kind in (APPROVE, DECLINE) and isEffectOf(entry, a.sent) for a in key.attempts):
                decided.setdefault(entry.order, []).append(entry.seq)
    said = [("taken back", order, seqs) for order, seqs in deleted.items()]
    said += [("decided", order, seqs) for order, seqs in decided.items()]
    return [f"order {n} was {what} {len(seqs)} times, as entries {sorted(seqs)}" for what, n, seqs in said if seqs[1:]]


def onAccount(login: int, account: Account) -> dict[str, Any]:
    """What a balance event says of an account, in the order in which it says it."""
    equity = (account.balance + account.credit) / 100
    return {
        "login": login,
        "balance": account.balance / 100,
        "credit": account.credit / 100,
        "equity": equity,
        "margin": 0.0,
        "margin_free": equity,
        "margin_level": 0.0,
        "balance_version": account.version,
    }


def _checkBalanceEvent(entry: Entry, due: Entry | None, books: Books) -> Iterator[str]:
    """Right after each entry that moved money, and nowhere else, an entry says what is there now."""
    if entry.event != "balance:event":
        if due is not None:
            yield f"entry {due.seq} moved money, and entry {entry.seq} after it is no balance event"
        return
    if due is None:
        yield f"entry {entry.seq} is a balance event, and entry {entry.seq - 1} moved nothing"
        return
    expected = onAccount(due.login, books.accounts[due.login])
    # As items, for their order counts.
    if list(ujson.loads(entry.data).items()) != list(expected.items()):
        yield f"entry {entry.seq} says {entry.data}, the log comes to {ujson.dumps(expected)}"
    is_ = entry.type, entry.login, entry.order, entry.principal, entry.key, entry.time_ms, entry.group
    wanted = _UPDATE, due.login, 0, due.principal, None, due.time_ms, due.group
    if is_ != wanted:
        yield f"entry {entry.seq} is {is_}, and the balance event of entry {due.seq} is {wanted}"


def _checkClosed(entry: Entry, closing: list[int], books: Books) -> Iterator[str]:
    """
    Nobody gets a login again, and the accounts of a list are closed right after it.

    @param closing: those that are still to be closed; this one is taken from it.
    """
    closes = entry.event == "user:event" and entry.type == _DELETE
    if entry.event == "user:event" and entry.type == _ADD and entry.login in books.accounts:
        yield f"entry {entry.seq} opens login {entry.login} again"
    if closing and not (closes and entry.key is None and entry.login == closing[0]):
        yield f"entry {entry.seq} comes where login {closing[0]} should be closed"
        closing.clear()
    elif closing:
        closing.pop(0)
    elif closes and entry.key is None:
        yield f"entry {entry.seq} closes login {entry.login}, which nobody asked for"


def _checkTrade(entry: Entry, books: Books) -> Iterator[str]:
    """It goes one of the ways there are, and moves what comes of that."""
    before, after = books.trades.get(entry.order), tradeOf(entry)
    step = entry.type, None if before is None else before.state, after.state
    if step not in _STEPS:
        yield f"entry {entry.seq} of type {step[0]} takes order {entry.order} from state {step[1]} to {step[2]}"
    if before is not None and _identity(before) != _identity(after):
        yield f"entry {entry.seq} makes another trade of order {entry.order}: {entry.data}"
    elif before is not None and step[1:] != (BOOKED, BOOKED) and before.cents != after.cents:
        yield f"entry {entry.seq} changes the amount of order {entry.order} from {before.cents} to {after.cents}"
    if entry.group != books.groupOf.get(entry.login):
        yield f"entry {entry.seq} is of group {entry.group!r}, and its account is of {books.groupOf.get(entry.login)!r}"
    change = _booked(after) - (0 if before is None else _booked(before))
    moves = (0, change) if after.isCredit else (change, 0)
    if (entry.balance, entry.credit) != moves:
        yield f"entry {entry.seq} moves {entry.balance} and {entry.credit}, and {moves[0]} and {moves[1]} is right"
    version = books.accounts.get(entry.login, Account()).version
    if entry.moves and ujson.loads(entry.data)["balance_version"] != version + 1:
        yield f"entry {entry.seq} does not have version {version + 1}: {entry.data}"


def _identity(trade: Trade) -> tuple[int, int, int]:
    """What never changes."""
    return trade.login, trade.cmd, trade.opened


def _booked(trade: Trade) -> int:
    """What it adds to the account as it is."""
    return trade.cents if trade.state == BOOKED else 0


def _checkAccount(entry: Entry, account: Account) -> Iterator[str]:
    if account.balance < 0 or account.credit < 0:
        yield f"entry {entry.seq} leaves {account.balance} and credit {account.credit} on login {entry.login}"


def _checkRule(entry: Entry, key: Key, books: Books) -> Iterator[str]:
    """What was booked was not to be refused, and what was refused was."""
    if entry.isOutcome:
        before = books.trades.get(entry.order)
        # Of what is not what anybody asked for, the check of keys tells.
        for sent in [a.sent for a in key.attempts if isEffectOf(entry, a.sent)][:1]:
            if reason := reasonAgainst(sent, books):
                yield f"entry {entry.seq} was to be refused with {reason}: {entry.data}"
            if (
                before is not None
                and entry.isTrade
                and sent.comment is None
                and tradeOf(entry).comment != before.comment
            ):
                yield f"entry {entry.seq} has another comment than {before.comment!r}: {entry.data}"
    elif entry.isRefusal:
        refusal = ujson.loads(entry.data)
        reasons = sorted({reasonAgainst(attempt.sent, books) for attempt in key.attempts})
        if refusal["reason"] not in reasons:
            yield f"entry {entry.seq} refuses with {refusal['reason']}, and {reasons} is right"
        elif "available" in refusal and not _isThere(refusal["available"], key, books):
            yield f"entry {entry.seq} says that {refusal['available']} is available"


def _isThere(available: float, key: Key, books: Books) -> bool:
    """Is this on an account that somebody asked for?"""
    there: set[float] = set()
    for attempt in key.attempts:
        trade = books.trades.get(attempt.sent.order)
        login = attempt.sent.login if trade is None else trade.login
        if account := books.accounts.get(login):
            there.update((account.balance / 100, account.credit / 100))
    return available in there
