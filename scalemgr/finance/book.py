"""The log folded: what is true now, as far as deciding needs it.

L{Book.apply} is the fold: the same entries give the same book, wherever and whenever. A L{Draft} is a book
in which a batch is tried out: what it changes stays in it until L{Book.absorb} takes it over, so a batch
that cannot be committed leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable

import ujson
from msgspec.structs import replace

from ..wire.codes import EventRecordType
from .records import GROUP_EVENT, KEYS_FORGOTTEN, REFUSAL, TRADE_EVENT, USER_EVENT, Account, Entry, Group

__all__ = ["FIRST_LOGIN", "Book", "Draft"]

#: Logins that the server assigns start here.
FIRST_LOGIN = 1001


class Book:
    """
    Groups and accounts as of one entry of the log.

    @ivar seq: that entry; 0 before the first.
    @ivar nextLogin: the lowest login from L{FIRST_LOGIN} up that no account has or had.
    @ivar forgotten: the idempotency keys of the entries up to this one no longer count.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.forgotten = 0
        self.nextLogin = FIRST_LOGIN
        self.groups: dict[str, Group] = {}
        self.accounts: dict[int, Account] = {}

    def group(self, name: str) -> Group | None:
        """The group of this name."""
        return self.groups.get(name)

    def account(self, login: int) -> Account | None:
        """The account with this login."""
        return self.accounts.get(login)

    def apply(self, entry: Entry) -> None:
        """Fold the next entry in."""
        if entry.seq != self.seq + 1:
            raise ValueError(f"entry {entry.seq} does not follow entry {self.seq}")
        if entry.event != REFUSAL:
            _FOLD[entry.event, entry.type](self, entry)
        self.seq = entry.seq

    def absorb(self, draft: Draft) -> None:
        """Take over what a draft of this book, as it is, changed."""
        assert draft.based == (self, self.seq), "the book has moved on since the draft was made"
        self.groups.update(draft.groups)
        self.accounts.update(draft.accounts)
        self.nextLogin = draft.nextLogin
        self.forgotten = draft.forgotten
        self.seq = draft.seq


class Draft(Book):
    """A book on top of another, which it reads and does not change."""

    def __init__(self, base: Book) -> None:
        super().__init__()
        self._base = base
        self.based = (base, base.seq)
        self.seq = base.seq
        self.forgotten = base.forgotten
        self.nextLogin = base.nextLogin

    def group(self, name: str) -> Group | None:
        return self.groups.get(name) or self._base.group(name)

    def account(self, login: int) -> Account | None:
        return self.accounts.get(login) or self._base.account(login)


def _foldTrade(book: Book, entry: Entry) -> None:
    if entry.balance or entry.credit:
        account = book.account(entry.login)
        assert account is not None, f"entry {entry.seq} moves money of an account that the log never opened"
        book.accounts[entry.login] = Account(
            account.login,
            account.group,
            account.enable,
            account.balance + entry.balance,
            account.credit + entry.credit,
            account.balance_version + 1,
        )


def _foldGroup(book: Book, entry: Entry) -> None:
    record = ujson.loads(entry.record or entry.data)
    book.groups[entry.group] = Group(entry.group, record["currency"], record["digits"])


def _foldAccount(book: Book, entry: Entry) -> None:
    record = ujson.loads(entry.record or entry.data)
    group = book.group(entry.group)
    assert group is not None, f"entry {entry.seq} opens an account in a group that the log never made"
    before = book.account(entry.login) or Account(entry.login, group.group)
    # The group's own string, so that a million accounts share it.
    book.accounts[entry.login] = replace(before, group=group.group, enable=record["enable"])
    while book.account(book.nextLogin) is not None:
        book.nextLogin += 1


def _foldForgotten(book: Book, entry: Entry) -> None:
    book.forgotten = ujson.loads(entry.data)["up_to"]


_FOLD: dict[tuple[str, int], Callable[[Book, Entry], None]] = {
    (TRADE_EVENT, EventRecordType.EV_RECORD_ADD): _foldTrade,
    (TRADE_EVENT, EventRecordType.EV_RECORD_UPDATE): _foldTrade,
    (GROUP_EVENT, EventRecordType.EV_RECORD_ADD): _foldGroup,
    (USER_EVENT, EventRecordType.EV_RECORD_ADD): _foldAccount,
    (KEYS_FORGOTTEN, EventRecordType.EV_RECORD_DELETE): _foldForgotten,
}
