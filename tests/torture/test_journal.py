"""Journals and answers: what the campaign stands on."""

from __future__ import annotations

from pathlib import Path

import pytest

from .answers import Kind, understand
from .journal import Began, Heard, Journal, Lost, Record, Sent, read

RECORDS: list[Record] = [
    Began("crm"),
    Sent(1, "BalanceIn", "k-1", "extID", 1001, 250, None, 100),
    Heard(1, '{"extID":"k-1","status":200,"data":{}}'),
    Sent(2, "BalanceInSync", "k-2", "idempotency_key", 1001, 1, "M\u00fcller"),
    Sent(3, "MngApproveFinanceRequest", "k-3", "extID", order=12),
    Lost([2, 3], "hung up"),
]


def test_readsWhatWasNoted(tmp_path: Path) -> None:
    """A journal gives back every record, also over several runs."""
    path = tmp_path / "journal"
    assert read(path) == []
    for record in RECORDS:
        with Journal(path) as journal:
            journal.note(record)
    assert read(path) == RECORDS


@pytest.mark.parametrize("cut", [1, 20, 10_000])
def test_tornRecordIsForgotten(tmp_path: Path, cut: int) -> None:
    """Half a record at the end is no record, and does not spoil the next one."""
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.note(*RECORDS)
    path.write_bytes(path.read_bytes()[:-cut])
    kept = read(path)
    assert kept == RECORDS[: len(kept)]
    assert len(kept) < len(RECORDS)
    with Journal(path) as journal:
        journal.note(RECORDS[-1])
    assert read(path) == [*kept, RECORDS[-1]]


@pytest.mark.parametrize(
    ("command", "status", "data", "kind"),
    [
        ("BalanceInSync", 200, '{"order":5}', Kind.DONE),
        ("BalanceIn", 200, '{"accepted":true,"order":5,"state":10}', Kind.DONE),
        ("BalanceIn", 401, '{"error":"ADD_BALANCE_ERROR","outcome":"refused"}', Kind.REFUSED),
        ("BalanceIn", 401, '{"error":"ADD_BALANCE_ERROR"}', Kind.ODD),
        ("BalanceOut", 409, '{"error":"RET_TRADE_NO_MONEY","outcome":"refused"}', Kind.REFUSED),
        ("BalanceOut", 409, '{"error":"RET_TRADE_NO_MONEY"}', Kind.ODD),
        ("DeleteBalance", 404, '{"error":"TRADE_NOT_FOUND","outcome":"refused"}', Kind.REFUSED),
        ("DeleteCredit", 400, '{"error":"RET_TRADE_INCORRECT_ORDER","outcome":"refused"}', Kind.REFUSED),
        ("MngApproveFinanceRequest", 400, '{"error":"RET_TRADE_INCORRECT_STATE","outcome":"refused"}', Kind.REFUSED),
        ("BalanceIn", 401, '{"error":"PERMISSION_DENIED"}', Kind.ODD),
        ("BalanceIn", 409, '{"error":"RET_ERR_DUPLICATE","order":5}', Kind.DUPLICATE),
        ("BalanceIn", 504, '{"error":"SYNC_TIMEOUT","order":5,"outcome":"void"}', Kind.VOID),
        ("BalanceIn", 504, '{"error":"SYNC_TIMEOUT","order":5,"outcome":"pending"}', Kind.PENDING),
        ("BalanceIn", 500, '{"error":"RET_ERR_DISK","order":5,"outcome":"void"}', Kind.VOID),
        ("BalanceIn", 500, '{"error":"RET_ERROR"}', Kind.ODD),
        ("BalanceIn", 500, '{"error":"RET_ERR_DISK"}', Kind.ODD),
        ("BalanceIn", 429, '{"error":"RET_TRADE_TOO_MANY_REQ"}', Kind.BUSY),
        ("BalanceIn", 503, '{"error":"RET_ERR_SHUTDOWN"}', Kind.BUSY),
        ("GetRequest", 200, '{"state":"done","order":5,"data":{"order": 5}}', Kind.STATE),
        ("GetRequest", 500, '{"error":"RET_ERR_DISK","outcome":"void"}', Kind.BUSY),
        ("GetRequest", 500, '{"error":"RET_ERROR","reference":"E1-1"}', Kind.ODD),
        ("GetRequest", 404, '{"error":"RET_INVALID_METHOD"}', Kind.ODD),
    ],
)
def test_answersAreUnderstood(command: str, status: int, data: str, kind: Kind) -> None:
    """Every answer of the protocol says what it is, and its data is kept byte for byte."""
    answer = understand(command, f'{{"extID":"x","status":{status},"replayed":true,"data":{data}}}')
    assert (answer.kind, answer.status, answer.data, answer.replayed) == (kind, status, data, True)
    assert answer.order == (5 if '"order"' in data else 0)
    if kind is Kind.STATE:
        assert (answer.state, answer.trade) == ("done", '{"order": 5}')


@pytest.mark.parametrize("error", ["RET_ERR_DISK", "RET_ERR_TIMEOUT"])
def test_changeThatCannotBeLookedUp(error: str) -> None:
    """Whoever names an order is told nothing, if nobody can find out now whether there is such a trade."""
    line = f'{{"extID":"x","status":500,"data":{{"error":"{error}"}}}}'
    assert understand("BalanceIn", line, looksUp=True).kind is Kind.BUSY
    assert understand("BalanceIn", line).kind is Kind.ODD
