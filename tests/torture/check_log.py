"""What the log as a whole must look like, beside what the clients were told and what the accounts say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import ujson
from msgspec.structs import replace

from .answers import Kind
from .history import Attempt, Entry, Key

__all__ = ["checkBalances", "checkLog", "checkStrangers", "checkVoids", "followUp"]


def checkLog(log: Sequence[Entry]) -> list[str]:
    """The log counts from 1 without a gap, no order is used twice, each trade moves what it says and is followed up."""
    wrong = [f"the log has entry {e.seq} where {n} should be" for n, e in enumerate(log, 1) if e.seq != n][:1]
    orders = Counter(entry.order for entry in log if entry.isTrade)
    wrong += [f"order {order} is in the log {count} times" for order, count in orders.items() if count > 1]
    for entry in log:
        if entry.isTrade and round(ujson.loads(entry.data)["profit"] * 100) != entry.balance:
            wrong.append(f"entry {entry.seq} moves {entry.balance}, and says {entry.data}")
        if not entry.isTrade and entry.balance:
            wrong.append(f"entry {entry.seq} moves {entry.balance} and is no trade")
    return wrong + _checkFollowUps(log)


def _checkFollowUps(log: Sequence[Entry]) -> list[str]:
    """Right after each entry that moves money, and nowhere else, the log says what the account has then."""
    wrong = []
    sums: dict[int, tuple[int, int]] = {}
    due: Entry | None = None
    for entry in log:
        if due is not None and entry != replace(due, data=entry.data):
            wrong.append(f"entry {due.seq - 1} moves money, and is followed by {entry}")
        elif due is not None and ujson.loads(entry.data) != ujson.loads(due.data):
            wrong.append(f"entry {entry.seq} says {entry.data}, the log comes to {due.data}")
        elif due is None and entry.isBalance:
            wrong.append(f"entry {entry.seq} says what an account has, and follows no entry that moves money")
        due = None
        if entry.balance:
            balance, version = sums.get(entry.login, (0, 0))
            sums[entry.login] = balance, version = balance + entry.balance, version + 1
            due = followUp(entry, balance, version)
    if due is not None:
        wrong.append(f"entry {due.seq - 1} moves money, and is the last one")
    return wrong


def followUp(entry: Entry, balance: int, version: int) -> Entry:
    """What comes after an entry that moves money, when the account has so much."""
    said = {
        "login": entry.login,
        "balance": balance / 100,
        "credit": 0.0,
        "equity": balance / 100,
        "margin": 0.0,
        "margin_free": balance / 100,
        "margin_level": 0.0,
        "balance_version": version,
    }
    event, update, data = "balance:event", 1, ujson.dumps(said)
    return Entry(entry.seq + 1, entry.time_ms, event, update, entry.login, 0, 0, entry.principal, None, data)


def checkVoids(made: Sequence[Attempt], log: Sequence[Entry]) -> list[str]:
    """What was said to be void is not in the log: neither booked nor refused."""
    bySeq = {entry.order: entry.seq for entry in log if entry.order}
    return [
        f"{attempt}: order {attempt.answer.order} is void, and the log has it as entry {bySeq[attempt.answer.order]}"
        for attempt in made
        if attempt.answer is not None and attempt.answer.kind is Kind.VOID and attempt.answer.order in bySeq
    ]


def checkStrangers(byKey: Mapping[tuple[str, str], Key], log: Sequence[Entry]) -> list[str]:
    """Every movement of money has a key, and somebody sent it."""
    wrong = [f"entry {entry.seq} has no key" for entry in log if entry.isTrade and entry.key is None]
    return wrong + [f"key {key.name}: in the log, and nobody sent it" for key in byKey.values() if not key.attempts]


def checkBalances(log: Sequence[Entry], told: Mapping[int, tuple[int, int]]) -> list[str]:
    """
    Each account has the sum of its entries.

    @param told: balance in minor units and C{balance_version} by login, as the daemon says.
    """
    sums = dict.fromkeys(told, (0, 0))
    for entry in log:
        if entry.balance:
            balance, version = sums.get(entry.login, (0, 0))
            sums[entry.login] = balance + entry.balance, version + 1
    return [
        f"login {login}: balance and version are {told.get(login)}, the log comes to {sums[login]}"
        for login in sorted(sums)
        if told.get(login) != sums[login]
    ]
