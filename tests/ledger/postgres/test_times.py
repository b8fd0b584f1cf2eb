"""The times of entries of two gateways: one waits for the other, and their clocks differ."""

from __future__ import annotations

import pytest

from scalemgr.ledger.postgres.ledger import PostgresLedger

from ..helpers import NOW_MS, deposit, populate
from .gateways import gateway


def _book(ledger: PostgresLedger, order: int, nowMs: int) -> int:
    """The time that a deposit has."""
    (outcome,) = ledger.commit([deposit(order)], nowMs)
    assert not isinstance(outcome, Exception)
    return ledger.takeCommitted()[-1].time_ms


@pytest.mark.parametrize("isNew", [False, True])
def test_neverEarlier(postgresUrl: str, isNew: bool) -> None:
    """What is booked after another gateway's entry is not earlier: else adjacent statements have some of it twice."""
    with gateway(postgresUrl) as one:
        populate(one)
        first = _book(one, 1, NOW_MS + 3000)
        with gateway(postgresUrl) as other:
            if not isNew:
                assert _book(other, 2, NOW_MS + 3000) == first
            assert _book(other, 3, NOW_MS) == first == NOW_MS + 3000
            assert _book(one, 4, NOW_MS + 1000) == first
            assert _book(other, 5, NOW_MS + 3500) == NOW_MS + 3500


def test_wrongClock(postgresUrl: str) -> None:
    """A clock that is far ahead makes its own entries late, and no others."""
    with gateway(postgresUrl) as one, gateway(postgresUrl) as other:
        populate(one)
        assert _book(one, 1, NOW_MS + 3_600_000) == NOW_MS + 3_600_000
        assert _book(other, 2, NOW_MS) == NOW_MS
