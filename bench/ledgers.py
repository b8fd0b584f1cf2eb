"""
Ledgers to measure with, made without a daemon: a group, accounts, and a past. C{python -m bench.ledgers} measures
the ledger alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.money import Amount
from scalemgr.finance.requests import AddAccount, AddGroup, Cause, MoveMoney, Request
from scalemgr.interfaces import ILedger
from scalemgr.ledger.following import viewsReach
from scalemgr.ledger.log import SqliteLog
from scalemgr.ledger.settings import LedgerSettings
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.ledger.url import isPostgres, ledgerAt
from scalemgr.wire.codes import TradeCommand

__all__ = ["FIRST_LOGIN", "deposits", "lag", "lagAt", "measure", "prepare"]

#: The login of the first account.
FIRST_LOGIN = 1001

_GROUP = "real-usd"
_BATCH = 1000


def prepare(folder: Path | str, accounts: int, trades: int = 0) -> None:
    """
    Make a ledger.

    @param folder: where; or a connection string of PostgreSQL.
    @param trades: so many deposits, spread over its accounts.
    """
    ledger = _ledger(folder)
    ledger.open(_nowMs())
    try:
        cause = Cause("bench", EVERYTHING)
        _commit(ledger, [AddGroup(cause, _GROUP, "USD", 2, {})])
        for first in range(0, accounts, _BATCH):
            numbers = range(first, min(first + _BATCH, accounts))
            _commit(ledger, [_account(cause, FIRST_LOGIN + n) for n in numbers])
        for batch in deposits(ledger, accounts, trades, _BATCH, "past"):
            _commit(ledger, batch)
    finally:
        ledger.close(None)
    # Opening makes the views whole, so that the daemon need not.
    ledger = _ledger(folder)
    ledger.open(_nowMs())
    ledger.close(None)


def _ledger(where: Path | str) -> ILedger:
    return SqliteLedger(where) if isinstance(where, Path) else ledgerAt(LedgerSettings(url=where), Path())


def _account(cause: Cause, login: int) -> Request:
    profile = {"name": f"Bench {login}", "leverage": 100, "email": f"{login}@example.com"}
    return AddAccount(cause, login, _GROUP, 1, profile, "")


def deposits(ledger: ILedger, accounts: int, count: int, batch: int, prefix: str) -> Iterator[list[Request]]:
    """Deposits with keys of their own, in batches."""
    for first in range(0, count, batch):
        order = ledger.reserveOrders(batch)
        yield [
            MoveMoney(
                Cause("bench", EVERYTHING, f"{prefix}-{n}"),
                TradeCommand.OP_BALANCE_IN,
                FIRST_LOGIN + n * 7919 % accounts,
                Amount(12_345 + n % 50_000 * 10 + 1, 2),
                order + n - first,
                comment="Payment gateway deposit",
            )
            for n in range(first, min(first + batch, count))
        ]


def _commit(ledger: ILedger, requests: list[Request]) -> None:
    for outcome in ledger.commit(requests, _nowMs()):
        if isinstance(outcome, Exception):
            raise outcome
    # Nobody listens; what is not taken stays in memory.
    ledger.takeCommitted()


def _nowMs() -> int:
    return int(time.time() * 1000)


def lag(folder: Path) -> tuple[int, int]:
    """How far a log is, and how many of its entries the views lack. May be asked while the daemon runs."""
    log = SqliteLog(folder / "log.db", readOnly=True)
    try:
        # The views first: the log grows meanwhile, and they must not look ahead of it.
        reached = viewsReach(folder / "views.db", log.epoch)
        head = log.head()
    finally:
        log.close()
    return head, head - reached


def lagAt(url: str) -> tuple[int, int]:
    """The same of a ledger on PostgreSQL."""
    with psycopg.connect(url) as connection:
        # As of one moment.
        row = connection.execute("SELECT (SELECT max(last) FROM page), (SELECT seq FROM view)").fetchone()
    head, reached = row or (0, 0)
    return head, head - reached


def measure(folder: Path, count: int, batch: int, accounts: int = 10_000) -> dict[str, float]:
    """
    Deposits straight into the ledger.

    @return: C{rate}, deposits a second; C{bytes}, what one takes in the log; C{entries}, the entries that it makes.
    """
    prepare(folder, accounts)
    before = (folder / "log.db").stat().st_size
    ledger = SqliteLedger(folder)
    ledger.open(_nowMs())
    try:
        made = list(deposits(ledger, accounts, count, batch, "alone"))
        head = ledger.book.seq
        start = time.perf_counter()
        for requests in made:
            _commit(ledger, requests)
        seconds = time.perf_counter() - start
        entries = (ledger.book.seq - head) / count
    finally:
        ledger.close(None)
    grown = (folder / "log.db").stat().st_size - before
    return {"rate": count / seconds, "bytes": grown / count, "entries": entries}


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure the ledger alone, or make one.")
    parser.add_argument("folder", help="where; or, to make one, a connection string of PostgreSQL")
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=800)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--prepare", action="store_true", help="make it, with so many deposits, and measure nothing")
    options = parser.parse_args()
    if options.prepare:
        where = options.folder if isPostgres(options.folder) else Path(options.folder)
        prepare(where, options.accounts, options.count)
    else:
        print(json.dumps(measure(Path(options.folder), options.count, options.batch, options.accounts)))


if __name__ == "__main__":
    _main()
