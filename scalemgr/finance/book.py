"""The log folded: what is true now, as far as deciding needs it.

L{Book.apply} is the fold: the same entries give the same book, wherever and whenever. A L{Draft} is a book
in which a batch is tried out: what it changes stays in it until L{Book.absorb} takes it over, so a batch
that cannot be committed leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable

import ujson
from msgspec.structs import replace

from .records import (
    ACCOUNTS_DELETED,
    ADDED,
    BALANCE_EVENT,
    DELETED,
    GROUP_EVENT,
    KEYS_FORGOTTEN,
    REFUSAL,
    TRADE_EVENT,
    UPDATED,
    USER_EVENT,
    Account,
    Entry,
    Group,
)
from .turnover import Turnover, trillionths

__all__ = ["FIRST_LOGIN", "Book", "Draft"]

#: Logins that the server assigns start here.
FIRST_LOGIN = 1001


class Book:
    """
    Groups and accounts as of one entry of the log.

    @ivar seq: that entry; 0 before the first.
    @ivar nextLogin: the lowest login from L{FIRST_LOGIN} up that no account has or had.
    @ivar accounts: all accounts there ever were, by login; the deleted ones say so.
    @ivar forgotten: the idempotency keys of the entries up to this one no longer count.
    @ivar turnover: how much each principal has moved, by day.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.forgotten = 0
        self.nextLogin = FIRST_LOGIN
        self.groups: dict[str, Group] = {}
        self.accounts: dict[int, Account] = {}
        self.turnover = Turnover()

    def group(self, name: str) -> Group | None:
        """The group of this name."""
        return self.groups.get(name)

    def countGroups(self) -> int:
        """How many groups there are."""
        return len(self.groups)

    def put(self, group: Group) -> None:
        """A group, as it is now."""
        self.groups[group.group] = group

    def drop(self, name: str) -> None:
        """There is no such group any more."""
        self.groups.pop(name, None)

    def account(self, login: int) -> Account | None:
        """The account with this login, unless it is deleted."""
        account = self.ever(login)
        return None if account is None or account.deleted else account

    def ever(self, login: int) -> Account | None:
        """The account with this login, deleted or not."""
        return self.accounts.get(login)

    def apply(self, entry: Entry) -> None:
        """Fold the next entry in."""
        if entry.seq != self.seq + 1:
            raise ValueError(f"entry {entry.seq} does not follow entry {self.seq}")
        if entry.event not in _OF_NO_EFFECT:
            _FOLD[entry.event, entry.type](self, entry)
        self.seq = entry.seq

    def absorb(self, draft: Draft) -> None:
        """Take over what a draft of this book, as it is, changed."""
        assert draft.based == (self, self.seq), "the book has moved on since the draft was made"
        self.groups = dict(draft.groups)
        self.accounts.update(draft.accounts)
        self.nextLogin = draft.nextLogin
        self.forgotten = draft.forgotten
        self.turnover.absorb(draft.turnover)
        self.seq = draft.seq


class Draft(Book):
    """
    A book on top of another, which it reads and does not change.

    @ivar entries: what was folded in, in order.
    """

    def __init__(self, base: Book) -> None:
        super().__init__()
        self.entries: list[Entry] = []
        # They are few; accounts are not.
        self.groups = dict(base.groups)
        self.turnover = Turnover(base.turnover)
        self._base = base
        self.based = (base, base.seq)
        self.seq = base.seq
        self.forgotten = base.forgotten
        self.nextLogin = base.nextLogin

    def ever(self, login: int) -> Account | None:
        return self.accounts.get(login) or self._base.ever(login)

    def apply(self, entry: Entry) -> None:
        Book.apply(self, entry)
        self.entries.append(entry)


def _foldTrade(book: Book, entry: Entry) -> None:
    moved = entry.balance or entry.credit
    if not moved and entry.record is None:
        return
    account = book.account(entry.login)
    assert account is not None, f"entry {entry.seq} moves money of an account that is not there"
    if moved:
        account = account.moved(entry.balance, entry.credit)
        group = book.groups[account.group]
        amount = trillionths(abs(entry.balance) + abs(entry.credit), group.digits)
        book.turnover.add(entry.principal, entry.time_ms, group.currency, amount)
    if entry.record is not None:
        # A request for money came, or was decided upon.
        account = replace(account, pending=account.pending + ujson.loads(entry.record)["pending"])
    book.accounts[entry.login] = account


def _foldGroup(book: Book, entry: Entry) -> None:
    text = entry.record or entry.data
    record = ujson.loads(text)
    before = book.group(entry.group)
    accounts = 0 if before is None else before.accounts
    book.put(Group(entry.group, record["currency"], record["digits"], record.get("floor", 0), accounts, str(text)))


def _foldNoGroup(book: Book, entry: Entry) -> None:
    book.drop(entry.group)


def _foldAccount(book: Book, entry: Entry) -> None:
    record = ujson.loads(entry.record or entry.data)
    group = book.group(entry.group)
    assert group is not None, f"entry {entry.seq} opens an account in a group that the log never made"
    before = book.account(entry.login)
    if before is not None and before.group != group.group:
        _count(book, before.group, -1)
    if before is None or before.group != group.group:
        _count(book, group.group, 1)
    # The group's own string, so that a million accounts share it.
    book.accounts[entry.login] = replace(
        before or Account(entry.login, group.group), group=group.group, enable=record["enable"]
    )
    while book.ever(book.nextLogin) is not None:
        book.nextLogin += 1


def _foldNoAccount(book: Book, entry: Entry) -> None:
    account = book.account(entry.login)
    assert account is not None, f"entry {entry.seq} deletes an account that is not there"
    book.accounts[entry.login] = replace(account, deleted=True)
    _count(book, account.group, -1)


def _count(book: Book, name: str, change: int) -> None:
    group = book.group(name)
    assert group is not None
    book.put(replace(group, accounts=group.accounts + change))


def _foldForgotten(book: Book, entry: Entry) -> None:
    book.forgotten = ujson.loads(entry.data)["up_to"]


# What is only said: a balance, after the entry that moved it; what was refused; what became of a list.
_OF_NO_EFFECT = frozenset({REFUSAL, BALANCE_EVENT, ACCOUNTS_DELETED})

_FOLD: dict[tuple[str, int], Callable[[Book, Entry], None]] = {
    (TRADE_EVENT, ADDED): _foldTrade,
    (TRADE_EVENT, UPDATED): _foldTrade,
    (TRADE_EVENT, DELETED): _foldTrade,
    (GROUP_EVENT, ADDED): _foldGroup,
    (GROUP_EVENT, UPDATED): _foldGroup,
    (GROUP_EVENT, DELETED): _foldNoGroup,
    (USER_EVENT, ADDED): _foldAccount,
    (USER_EVENT, UPDATED): _foldAccount,
    (USER_EVENT, DELETED): _foldNoAccount,
    (KEYS_FORGOTTEN, DELETED): _foldForgotten,
}
