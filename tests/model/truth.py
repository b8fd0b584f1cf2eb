"""What is true of money and accounts, as the log tells it to somebody who only reads the events.

It shares no code with what it is held against: amounts are cents of what the C{data} of an event says, and an
account has what the movements that count come to. It is also where the log itself is looked at: whether each
entry may follow those before it.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from scalemgr.finance.book import Book
from scalemgr.finance.records import ACCOUNTS_DELETED, BALANCE_EVENT, GROUP_EVENT, TRADE_EVENT, USER_EVENT, Entry
from scalemgr.wire.codes import EventRecordType

from ..helpers import onAccount

ADD, CHANGE, DELETE = (
    EventRecordType.EV_RECORD_ADD,
    EventRecordType.EV_RECORD_UPDATE,
    EventRecordType.EV_RECORD_DELETE,
)
#: States of a movement.
BOOKED, TAKEN_BACK, ASKED_FOR, DECLINED = 3, 6, 17, 18
#: The movements of a credit; the others are of a balance.
OF_CREDIT = frozenset({7, 9})

# What a movement can be next, and as which type of event.
_NEXT = {
    None: {(ADD, BOOKED), (ADD, ASKED_FOR)},
    ASKED_FOR: {(CHANGE, BOOKED), (CHANGE, DECLINED)},
    BOOKED: {(CHANGE, BOOKED), (DELETE, TAKEN_BACK)},
}


class Movement(NamedTuple):
    """A movement of money, as it was last told of."""

    login: int
    cmd: int
    cents: int
    state: int
    comment: str

    @property
    def ofCredit(self) -> bool:
        return self.cmd in OF_CREDIT


class Account:
    """An account; C{version} counts what moved money on it."""

    def __init__(self, group: str, enable: int) -> None:
        self.group = group
        self.enable = enable
        self.deleted = False
        self.balance = self.credit = self.version = self.pending = 0

    def funds(self) -> tuple[int, int]:
        """What is on it."""
        return self.balance, self.credit


class Group(NamedTuple):
    """A group; C{floor} in cents."""

    currency: str
    floor: int


class Truth:
    """
    @ivar accounts: by login; those that were deleted, too.
    @ivar movements: by order; who was told of last comes last.
    @ivar requests: the orders of those that were to be decided on.
    @ivar used: how many cents each principal has moved, of each currency, on each date.
    """

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.accounts: dict[int, Account] = {}
        self.movements: dict[int, Movement] = {}
        self.requests: set[int] = set()
        self.used: Counter[tuple[str, str, str]] = Counter()
        # What must follow at once, being a part of what was done by the entry before.
        self._due: deque[Callable[[Entry], None]] = deque()

    def account(self, login: int) -> Account | None:
        """The account that is open under this login."""
        account = self.accounts.get(login)
        return None if account is None or account.deleted else account

    def members(self, group: str) -> int:
        """How many accounts are in a group."""
        return sum(account.group == group and not account.deleted for account in self.accounts.values())

    def isFurther(self) -> bool:
        """Is the next entry a part of what the last one did?"""
        return bool(self._due)

    def learn(self, entry: Entry) -> None:
        """The next entry of the log."""
        if self._due:
            self._due.popleft()(entry)
        else:
            assert entry.event != BALANCE_EVENT, f"{entry} follows nothing that moved money"
        data = json.loads(entry.data)
        if entry.event == TRADE_EVENT:
            self._learnMovement(entry, data)
            return
        assert (entry.balance, entry.credit) == (0, 0), f"{entry} moves money, and is no movement"
        if entry.event == USER_EVENT:
            self._learnAccount(entry, data)
        elif entry.event == GROUP_EVENT:
            self._learnGroup(entry, data)
        elif entry.event == ACCOUNTS_DELETED:
            self._due.extend(_deletes(entry, row["login"]) for row in data["rows"] if row["deleted"])

    def checkWhole(self) -> None:
        """What belongs together is in one commit."""
        assert not self._due, "the log ends in the middle of what was done at once"

    # -- money ------------------------------------------------------------------------------------------

    def _learnMovement(self, entry: Entry, data: dict[str, Any]) -> None:
        before = self.movements.pop(entry.order, None)
        after = Movement(data["login"], data["cmd"], cents(data["profit"]), data["state"], data["comment"])
        account = self.account(after.login)
        assert (data["order"], after.login) == (entry.order, entry.login), f"{entry} is not what it tells of"
        assert account is not None, f"{entry} is of an account that is not there"
        state = None if before is None else before.state
        assert (entry.type, after.state) in _NEXT.get(state, ()), f"{entry} follows {before}"
        if before is not None:
            assert (before.login, before.cmd) == (after.login, after.cmd), f"{entry} was another movement: {before}"
            assert before.cents == after.cents or after.state == state, f"{entry} was another amount: {before}"
        was = account.funds()
        for movement, sign in (before, -1), (after, 1):
            if movement is not None and movement.state == BOOKED:
                if movement.ofCredit:
                    account.credit += sign * movement.cents
                else:
                    account.balance += sign * movement.cents
            if movement is not None and movement.state == ASKED_FOR:
                account.pending += sign
        self.movements[entry.order] = after
        if after.state == ASKED_FOR:
            self.requests.add(entry.order)
        moved = account.balance - was[0], account.credit - was[1]
        assert (entry.balance, entry.credit) == moved, f"{entry} follows {before}, and moves {moved}"
        account.version += moved != (0, 0)
        self.used[entry.principal, self.groups[account.group].currency, dateOf(entry)] += sum(map(abs, moved))
        assert data["balance_version"] <= account.version, f"{entry} is change {account.version}"
        if moved != (0, 0):
            assert data["balance_version"] == account.version, f"{entry} is change {account.version}"
            self._checkFunds(entry, account)
            self._due.append(self._tells(entry, account))

    def _checkFunds(self, entry: Entry, account: Account) -> None:
        """Nothing goes out that is not there."""
        floor = self.groups[account.group].floor
        assert entry.balance >= 0 or account.balance >= floor, f"{entry} leaves {account.balance}, below {floor}"
        assert account.credit >= 0, f"{entry} leaves a credit of {account.credit}"

    def _tells(self, cause: Entry, account: Account) -> Callable[[Entry], None]:
        """After an entry that moved money comes what is on the account now, exactly."""
        said = onAccount(cause.login, account.version, *account.funds())

        def check(entry: Entry) -> None:
            assert (entry.event, entry.type) == (BALANCE_EVENT, CHANGE), f"{cause} moved money, but then came {entry}"
            assert json.loads(entry.data) == said, f"{entry} follows {cause}, and should say {said}"
            _checkFurther(entry, cause, account.group, cause.login)

        return check

    # -- accounts and groups ----------------------------------------------------------------------------

    def _learnAccount(self, entry: Entry, data: dict[str, Any]) -> None:
        account = self.accounts.get(entry.login)
        assert (data["login"], data["group"]) == (entry.login, entry.group), f"{entry} is not what it tells of"
        if entry.type == ADD:
            assert account is None, f"{entry} opens an account that there is, or was"
            assert entry.group in self.groups, f"{entry} is in a group that there is not"
            self.accounts[entry.login] = Account(data["group"], data["enable"])
            return
        assert account is not None, f"{entry} is of an account that is not there"
        assert not account.deleted, f"{entry} is of an account that is not there"
        if entry.type == DELETE:
            assert (account.funds(), account.pending) == ((0, 0), 0), f"{entry} closes one that has {account.funds()}"
            account.deleted = True
        else:
            account.group, account.enable = data["group"], data["enable"]

    def _learnGroup(self, entry: Entry, data: dict[str, Any]) -> None:
        assert data["group"] == entry.group, f"{entry} is not what it tells of"
        before = self.groups.get(entry.group)
        assert (before is None) == (entry.type == ADD), f"{entry} follows {before}"
        if entry.type == DELETE:
            assert not self.members(entry.group), f"{entry} removes a group of accounts"
            del self.groups[entry.group]
        else:
            after = Group(data["currency"], cents(data["floor"]))
            assert before is None or before.currency == after.currency or not self.members(entry.group), f"{entry}"
            self.groups[entry.group] = after

    # -- what others believe ----------------------------------------------------------------------------

    def checkBook(self, book: Book) -> None:
        """The ledger's book says the same."""
        assert book.accounts.keys() == self.accounts.keys()
        for login, account in self.accounts.items():
            held = book.accounts[login]
            believed = held.balance, held.credit, held.balance_version, held.pending
            assert believed == (*account.funds(), account.version, account.pending), f"the book has {held}"
            assert held.deleted == account.deleted, f"the book has {held}"
            assert account.deleted or (held.group, held.enable) == (account.group, account.enable), f"{held}"
        believedOf = {name: (g.currency, g.floor, g.accounts) for name, g in book.groups.items()}
        assert believedOf == {name: (*group, self.members(name)) for name, group in self.groups.items()}


def cents(amount: float) -> int:
    """All currencies here have two digits."""
    return round(amount * 100)


def dateOf(entry: Entry) -> str:
    """The date of an entry, in UTC."""
    return datetime.fromtimestamp(entry.time_ms / 1000, UTC).date().isoformat()


def _deletes(cause: Entry, login: int) -> Callable[[Entry], None]:
    """After what became of a list of accounts come those that were closed."""

    def check(entry: Entry) -> None:
        assert (entry.event, entry.type, entry.login) == (USER_EVENT, DELETE, login), f"{entry} follows {cause}"
        _checkFurther(entry, cause, entry.group, login)

    return check


def _checkFurther(entry: Entry, cause: Entry, group: str, login: int) -> None:
    """It is a part of what the cause did."""
    found = entry.time_ms, entry.principal, entry.key, entry.group, entry.login, entry.order
    assert found == (cause.time_ms, cause.principal, None, group, login, 0), f"{entry} is not of {cause}"
