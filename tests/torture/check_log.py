"""What the log as a whole must look like, beside what the clients were told and what the accounts say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .answers import Kind
from .books import Account, booksOf
from .history import Attempt, Entry, Key

__all__ = ["checkBalances", "checkLog", "checkStrangers", "checkVoids"]


def checkLog(log: Sequence[Entry]) -> list[str]:
    """The log counts from 1 without a gap, and no key has two entries."""
    wrong = [f"the log has entry {e.seq} where {n} should be" for n, e in enumerate(log, 1) if e.seq != n][:1]
    keyed = Counter((entry.principal, entry.key) for entry in log if entry.key is not None)
    return wrong + [f"key {of}/{key} has {count} entries" for (of, key), count in keyed.items() if count > 1]


def checkVoids(made: Sequence[Attempt], log: Sequence[Entry]) -> list[str]:
    """
    What was said to be void is not in the log: neither booked nor refused.

    This is about attempts to make a trade, each of which has a number of its own. The number of one that exists
    already says nothing; what became of its key does.
    """
    bySeq = {entry.order: entry.seq for entry in log if entry.order}
    return [
        f"{attempt}: order {attempt.answer.order} is void, and the log has it as entry {bySeq[attempt.answer.order]}"
        for attempt in made
        if attempt.answer is not None
        and attempt.sent.makes
        and attempt.answer.kind is Kind.VOID
        and attempt.answer.order in bySeq
    ]


def checkStrangers(byKey: Mapping[tuple[str, str], Key], log: Sequence[Entry]) -> list[str]:
    """Every movement of money, and every request for one, has a key, and somebody sent it."""
    wrong = [f"entry {entry.seq} has no key" for entry in log if entry.isTrade and entry.key is None]
    return wrong + [f"key {key.name}: in the log, and nobody sent it" for key in byKey.values() if not key.attempts]


def checkBalances(log: Sequence[Entry], told: Mapping[int, Account]) -> list[str]:
    """
    Each account that is open has the sum of its entries.

    @param told: what is on it by login, as the daemon says.
    """
    books = booksOf(log)
    sums = {login: account for login, account in books.accounts.items() if login in books.groupOf}
    return [
        f"login {login}: the daemon says {told.get(login)}, the log comes to {sums.get(login)}"
        for login in sorted(sums.keys() | told.keys())
        if told.get(login) != sums.get(login)
    ]
