"""What the tests of the ledgers share: a small brokerage, a ledger to open and close, and ways to break things."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from scalemgr.finance.book import Book
from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.money import Amount
from scalemgr.finance.records import BALANCE_EVENT, TRADE_EVENT, Entry
from scalemgr.finance.requests import AddAccount, AddGroup, Cause, MoveMoney, Request
from scalemgr.interfaces import ILedger
from scalemgr.ledger.audit import verify
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.codes import TradeCommand
from scalemgr.wire.errors import LedgerFailed

#: The time of every batch: milliseconds that are no whole second.
NOW_MS = 1_763_836_800_250
CAUSE = Cause("crm", EVERYTHING)

Answer = TypeVar("Answer")


def group(name: str = "demo", currency: str = "USD", digits: int = 2) -> AddGroup:
    """A request for a group."""
    return AddGroup(CAUSE, name, currency, digits, {})


def account(login: int, group: str = "demo") -> AddAccount:
    """A request for an account."""
    return AddAccount(CAUSE, login, group, 1, {"name": f"Client {login}"}, "secret")


def deposit(order: int, cents: int = 100, login: int = 1001, **more: Any) -> MoveMoney:
    """A request for a deposit with an order that was reserved for it."""
    return MoveMoney(CAUSE, TradeCommand.OP_BALANCE_IN, login, Amount(cents, 2), order, **more)


def update(order: int, cents: int, login: int = 1001, **more: Any) -> MoveMoney:
    """A request that changes a deposit."""
    return deposit(order, cents, login, named=order, **more)


def poison(order: int) -> MoveMoney:
    """A request that nobody can settle: a bug of ours, as far as the ledger is concerned."""
    request = deposit(order)
    return MoveMoney(request.cause, request.cmd, request.login, "no amount", order)  # type: ignore[arg-type]


def commit(ledger: ILedger, *requests: Request) -> list[Entry]:
    """Commit a batch in which nothing is refused."""
    outcomes = ledger.commit(requests, NOW_MS)
    assert [o for o in outcomes if not isinstance(o, Entry)] == []
    return outcomes  # type: ignore[return-value]


def populate(ledger: ILedger) -> ILedger:
    """A group C{demo} with the accounts 1001 and 1002: four entries with its neighbour C{vip}."""
    commit(ledger, group("demo"), group("vip", "EUR"), account(1001), account(1002))
    return ledger


def depositEach(ledger: ILedger, *cents: int, login: int = 1001) -> list[int]:
    """Deposit these amounts in one batch; the orders."""
    first = ledger.reserveOrders(len(cents))
    commit(ledger, *(deposit(first + i, c, login) for i, c in enumerate(cents)))
    return list(range(first, first + len(cents)))


def trades(entries: Sequence[Entry]) -> list[Entry]:
    """The trades in a part of the log, in which each that moves money, and nothing else, has its balance:event next."""
    causes = [entry for entry in entries if entry.event != BALANCE_EVENT]
    expected = []
    for cause in causes:
        expected.append((cause.seq, cause.event, cause.login))
        if cause.balance or cause.credit:
            expected.append((cause.seq + 1, BALANCE_EVENT, cause.login))
    assert [(entry.seq, entry.event, entry.login) for entry in entries] == expected
    return [cause for cause in causes if cause.event == TRADE_EVENT]


def state(book: Book) -> tuple[Any, ...]:
    """A book as something to compare."""
    turnover = book.turnover
    return book.seq, book.nextLogin, dict(book.groups), dict(book.accounts), turnover.days, dict(turnover.sums)


def folded(entries: Sequence[Entry]) -> tuple[Any, ...]:
    """What a book is that these entries alone make."""
    book = Book()
    for entry in entries:
        book.apply(entry)
    return state(book)


@contextmanager
def opened(folder: Path, **more: Any) -> Iterator[SqliteLedger]:
    """The ledger in a folder, for a while."""
    ledger = SqliteLedger(folder, **more)
    ledger.open(NOW_MS)
    try:
        yield ledger
    finally:
        ledger.close(None)


def made(folder: Path, *cents: int) -> list[int]:
    """Make a ledger with these deposits on 1001, and close it; their orders."""
    with opened(folder) as ledger:
        populate(ledger)
        return depositEach(ledger, *cents) if cents else []


def sql(path: Path, *statements: str) -> list[Any]:
    """Do something to a file behind the ledger's back; the rows of the last statement."""
    rows: list[Any] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


def spoilPages(path: Path) -> None:
    """Damage a database inside: all pages but the first four and the last, so that it opens."""
    (size,) = sql(path, "PRAGMA page_size")[0]
    length = path.stat().st_size - 5 * size
    assert length > 0
    with open(path, "r+b") as file:
        file.seek(4 * size)
        file.write(b"\xff" * length)


def eventually(ask: Callable[[], Answer]) -> Answer:
    """Ask until the ledger can answer, as a client would."""
    until = time.monotonic() + 30
    while True:
        try:
            return ask()
        except LedgerFailed:
            assert time.monotonic() < until
            time.sleep(0.01)


def profits(ledger: SqliteLedger, *orders: int) -> list[int]:
    """What these trades say, once the ledger can say it."""
    found = [eventually(lambda order=order: ledger.trade(order)) for order in orders]  # type: ignore[misc]
    return [trade.profit for trade, _ in filter(None, found)]


def rightViews(folder: Path, orders: list[int], cents: list[int]) -> None:
    """Open the ledger, and hold its views against what is known."""
    with opened(folder) as ledger:
        assert [(found := ledger.trade(order)) and found[0].profit for order in orders] == cents
        stored = ledger.account(1001)
        assert stored is not None
        assert stored.account == ledger.book.account(1001)
        assert stored.account.balance == sum(cents)
    audit = verify(folder)
    assert audit.differences == []
    assert sql(folder / "views.db", "SELECT seq FROM view") == [(audit.seq,)]


def dump(path: Path) -> list[Any]:
    """All that is in a database, to compare."""
    with closing(sqlite3.connect(path)) as connection:
        pragmas = [connection.execute(f"PRAGMA {p}").fetchone()[0] for p in ("user_version", "application_id")]
        return [*pragmas, *connection.iterdump()]


def diskError(name: str = "SQLITE_IOERR_FSYNC") -> sqlite3.OperationalError:
    """What SQLite raises when the disk fails."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    return error


class BadDisk:
    """
    Stands between a log and its connection, and fails when it is told to.

    @ivar dead: every statement fails.
    @ivar readable: even then, SELECT does not.
    """

    def __init__(self, ledger: SqliteLedger) -> None:
        self._connection = ledger._file._connection
        self._verb = ""
        self._happen: Callable[[], object] = lambda: None
        self._dies = self.dead = self.readable = False
        setattr(ledger._file, "_connection", self)

    def failAt(self, verb: str, *, happens: str | Callable[[], object] | None = None, dies: bool = False) -> None:
        """
        The next statement that begins with C{verb} fails, once.

        @param happens: what is done to the database in place of the statement, or something to call.
        @param dies: from then on every statement fails, until it is healed.
        """
        self._verb, self._dies = verb, dies
        self._happen = happens if callable(happens) else lambda: happens and self._connection.execute(happens)

    def heal(self) -> None:
        """From now on, no more failures."""
        self._verb, self.dead = "", False

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:
        self._check(statement)
        return self._connection.execute(statement, *args)

    def executemany(self, statement: str, *args: Any) -> sqlite3.Cursor:
        self._check(statement)
        return self._connection.executemany(statement, *args)

    def close(self) -> None:
        self._connection.close()

    def _check(self, statement: str) -> None:
        if self.dead and not (self.readable and statement.startswith("SELECT")):
            raise diskError()
        if self._verb and statement.lstrip().startswith(self._verb):
            self._verb, self.dead = "", self._dies
            self._happen()
            raise diskError()
