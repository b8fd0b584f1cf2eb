"""The ledger in memory: its entries and its views are never apart."""

from __future__ import annotations

import threading
from typing import Any

from scalemgr.finance.records import Entry
from scalemgr.ledger.memory import MemoryLedger

from .helpers import depositEach, populate


def test_views_know_what_the_book_says() -> None:
    """Whoever asks from another thread, as soon as the book has a deposit, finds it in the log and in the views."""
    ledger = MemoryLedger()
    populate(ledger)
    seen: list[Any] = []

    def ask() -> None:
        stored, booked = ledger.account(1001), ledger.book.account(1001)
        assert stored is not None
        assert booked is not None
        seen.append((booked.balance, stored.account.balance, ledger.trade(1) is not None, len(ledger.entries(0, 9))))

    appended = ledger._appended

    def between(entries: list[Entry]) -> None:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(30)
        appended(entries)

    setattr(ledger, "_appended", between)
    assert depositEach(ledger, 5) == [1]
    assert seen == [(5, 5, True, 6)]
    ledger.close(None)
