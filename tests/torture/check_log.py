"""What the log as a whole must look like, beside what the clients were told and what the accounts say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import ujson

from .answers import Kind
from .history import Attempt, Entry, Key

__all__ = ["checkBalances", "checkLog", "checkStrangers", "checkVoids"]


def checkLog(log: Sequence[Entry]) -> list[str]:
    """The log counts from 1 without a gap, no order is used twice, and each trade moves what it says."""
    wrong = [f"the log has entry {e.seq} where {n} should be" for n, e in enumerate(log, 1) if e.seq != n][:1]
    orders = Counter(entry.order for entry in log if entry.isTrade)
    wrong += [f"order {order} is in the log {count} times" for order, count in orders.items() if count > 1]
    for entry in log:
        if entry.isTrade and round(ujson.loads(entry.data)["profit"] * 100) != entry.balance:
            wrong.append(f"entry {entry.seq} moves {entry.balance}, and says {entry.data}")
        if not entry.isTrade and entry.balance:
            wrong.append(f"entry {entry.seq} moves {entry.balance} and is no trade")
    return wrong


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
