"""A process that makes deposits until somebody kills it: C{python -m tests.ledger.depositor FOLDER}."""

from __future__ import annotations

import sys
from pathlib import Path

from scalemgr.ledger.sqlite import SqliteLedger

from .helpers import NOW_MS, commit, deposit, populate

#: How many orders it reserves.
BLOCK = 10_000


def main() -> None:
    """Say which orders are reserved, then, after each commit of two deposits, what is in it."""
    ledger = SqliteLedger(Path(sys.argv[1]))
    ledger.open(NOW_MS)
    if ledger.book.seq == 0:
        populate(ledger)
    first = ledger.reserveOrders(BLOCK)
    say(f"reserved {first}")
    for order in range(first, first + BLOCK, 2):
        entries = commit(ledger, deposit(order, order % 97 + 1), deposit(order + 1, order % 89 + 1, 1002))
        say(f"committed {' '.join(f'{e.seq}:{e.order}:{e.balance}' for e in entries)}")
    say("done")


def say(line: str) -> None:
    """Print it now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
