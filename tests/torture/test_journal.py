"""Journals, answers and wishes: what the campaign stands on."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from .answers import Kind, understand
from .journal import Began, Heard, Journal, Lost, Record, Sent, read
from .wishes import UNKNOWN_LOGINS, Mix

RECORDS: list[Record] = [
    Began("crm"),
    Sent(1, "BalanceIn", "k-1", "extID", 1001, 250, None, 100),
    Heard(1, '{"extID":"k-1","status":200,"data":{}}'),
    Sent(2, "BalanceInSync", "k-2", "idempotency_key", 1001, 1, "M\u00fcller"),
    Lost([2], "hung up"),
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
        ("BalanceIn", 401, '{"error":"ADD_BALANCE_ERROR"}', Kind.REFUSED),
        ("BalanceIn", 401, '{"error":"PERMISSION_DENIED"}', Kind.ODD),
        ("BalanceIn", 409, '{"error":"RET_ERR_DUPLICATE","order":5}', Kind.DUPLICATE),
        ("BalanceIn", 504, '{"error":"SYNC_TIMEOUT","order":5,"outcome":"void"}', Kind.VOID),
        ("BalanceIn", 504, '{"error":"SYNC_TIMEOUT","order":5,"outcome":"pending"}', Kind.PENDING),
        ("BalanceIn", 500, '{"error":"RET_ERR_DISK","order":5,"outcome":"void"}', Kind.VOID),
        ("BalanceIn", 500, '{"error":"RET_ERROR"}', Kind.ODD),
        ("BalanceIn", 429, '{"error":"RET_TRADE_TOO_MANY_REQ"}', Kind.BUSY),
        ("BalanceIn", 503, '{"error":"RET_ERR_SHUTDOWN"}', Kind.BUSY),
        ("GetRequest", 200, '{"state":"done","order":5,"data":{"order": 5}}', Kind.STATE),
        ("GetRequest", 500, '{"error":"RET_ERR_DISK","outcome":"void"}', Kind.BUSY),
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


def test_amountsAreDistinct() -> None:
    """No two wishes of any two clients ask for one amount, so an entry tells whose it is."""
    mixes = [Mix(Random(n), f"k{n}", [1001, 1002], (n, 3)) for n in range(3)]
    wishes = [wish for mix in mixes for _ in range(2000) for wish in mix.wishes()]
    assert len({wish.cents for wish in wishes}) == len(wishes) > 6000
    assert all(wish.cents > 0 for wish in wishes)
    assert {wish.login for wish in wishes} - set(UNKNOWN_LOGINS) == {1001, 1002}


def test_rivalsHaveOneKey() -> None:
    """Now and then a key is claimed by two deposits, and a repeat has the content of the first attempt."""
    mix = Mix(Random(1), "k", [1001], (0, 1))
    drawn = [mix.wishes() for _ in range(500)]
    rivals = [wishes for wishes in drawn if len(wishes) == 2]
    assert rivals
    assert all(a.key == b.key and a.cents != b.cents for a, b in rivals)
    assert len({wishes[0].key for wishes in drawn}) == len(drawn)
    wish = drawn[0][0]
    assert len({mix.attempt(n, wish).content for n in range(50)}) == 1
