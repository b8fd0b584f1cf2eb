"""What an audit finds of a ledger on PostgreSQL, and what it need not find wrong."""

from __future__ import annotations

import psycopg
import pytest

from scalemgr.ledger.errors import LedgerMissing, LedgerRefused
from scalemgr.ledger.postgres.auditing import verify
from scalemgr.ledger.settings import LedgerSettings

from ...postgres import ledgerUrl
from ..helpers import depositEach
from .test_copying import made, opened


def differences(url: str, **more: str) -> list[str]:
    """What is found."""
    return verify(LedgerSettings(url=url, **more)).differences  # type: ignore[arg-type]


def tamper(url: str, *statements: str) -> None:
    """Do something to the tables behind the ledger's back."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_besideGateways(postgresUrl: str) -> None:
    """While two gateways write, each audit is as of one entry, and finds nothing."""
    made(postgresUrl, 1)
    seqs = []
    with opened(postgresUrl) as one, opened(postgresUrl) as other:
        for ledger in (one, other) * 3:
            depositEach(ledger, 5, 6)
            found = verify(LedgerSettings(url=postgresUrl))
            assert found.differences == []
            seqs.append(found.seq)
    assert seqs == sorted(set(seqs))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM page WHERE last = 6", "the log: the entries 5 to 6 are missing"),
        ("UPDATE page SET first = 3 WHERE last = 6", "the log: the pages that end with the entries 4 and 6 overlap"),
        ("UPDATE page SET entries = '[]' WHERE last = 6", "the log: the entries on it are not numbered like that"),
        ("UPDATE ledger SET next_order = 2", "the log: it has order 2, but the next one"),
        ("UPDATE account SET balance = 7 WHERE login = 1001", "the views: login 1001: balance is 7, the log says 30"),
        ("DELETE FROM movement WHERE seq = 7", "the views: the movement of entry 7 is missing"),
        ("DELETE FROM key", "the views: the key 'key-0' of crm is missing"),
        ("DROP TABLE movement", "cannot be read"),
        ("UPDATE view SET epoch = 'another'", "these are views of another log; the next start of a gateway makes them"),
    ],
)
def test_damage(postgresUrl: str, statement: str, said: str) -> None:
    """What is not as the log says, or no log, is named."""
    made(postgresUrl, 10, 20)
    assert differences(postgresUrl) == []
    tamper(postgresUrl, statement)
    assert any(said in difference for difference in differences(postgresUrl))


def test_manyGaps(postgresUrl: str) -> None:
    """Of very many gaps only the first are named, and how many there are."""
    made(postgresUrl, *range(1, 61))
    tamper(postgresUrl, "DELETE FROM page WHERE last % 4 = 0 AND last > 4")
    found = differences(postgresUrl)
    assert sum("are missing" in f for f in found) == 20
    assert "the log: and so on, 29 times in all" in found


def test_viewsBehind(postgresUrl: str) -> None:
    """Views that have not come to the end are compared as of where they are."""
    made(postgresUrl, 10, 20)
    tamper(
        postgresUrl,
        "UPDATE view SET seq = 6",
        "UPDATE account SET balance = 10, balance_version = 1 WHERE login = 1001",
        "DELETE FROM movement WHERE seq > 6",
        'DELETE FROM trade WHERE "order" = 2',
        "DELETE FROM key WHERE seq > 6",
    )
    assert differences(postgresUrl) == []
    tamper(postgresUrl, "UPDATE view SET seq = 8")
    assert differences(postgresUrl)


def test_viewsAhead(postgresUrl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views of more than the log has are a difference: it has lost something."""
    monkeypatch.setattr("scalemgr.ledger.postgres.auditing._PATIENCE_S", 0.0)
    made(postgresUrl, 10, 20)
    tamper(postgresUrl, "DELETE FROM page WHERE last > 6")
    assert any("entry 7 is missing" in difference for difference in differences(postgresUrl))


def test_theBook(postgresUrl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The book that was written down is compared, if it is of this log."""
    monkeypatch.setattr("scalemgr.ledger.postgres.ledger._SNAPSHOT_AFTER", 1)
    made(postgresUrl, 10, 20)
    assert differences(postgresUrl) == []
    with opened(postgresUrl) as ledger:
        account = ledger.book.accounts.pop(1001)
        ledger.book.accounts[1001] = account.__class__(
            account.login, account.group, account.enable, 77, account.credit, account.balance_version, account.pending
        )
        depositEach(ledger, 5, login=1002)
    assert "the book: login 1001: balance is 77, the log says 30" in differences(postgresUrl)
    tamper(postgresUrl, "UPDATE book SET stamp = 'of what is lost'")
    assert not any("the book" in difference for difference in differences(postgresUrl))


def test_viewsElsewhere(postgresUrl: str, postgresServer: str) -> None:
    """The views may be on another server; where none were made yet, that is no difference, and is said."""
    with ledgerUrl(postgresServer) as other:
        settings = LedgerSettings(url=postgresUrl, views_url=other)
        made(postgresUrl, 10)
        found = verify(settings)
        assert (found.differences, found.hasViews) == ([], False)
        with opened(postgresUrl, views_url=other):
            pass
        found = verify(settings)
        assert (found.differences, found.hasViews) == ([], True)
        tamper(other, "UPDATE account SET balance = 7 WHERE login = 1001")
        assert verify(settings).differences != []


def test_refuses(postgresUrl: str) -> None:
    """What is no ledger, is not copied to its end, or was written by a newer version is no difference, but refused."""
    with pytest.raises(LedgerMissing):
        verify(LedgerSettings(url=postgresUrl))
    made(postgresUrl, 10)
    tamper(postgresUrl, "UPDATE ledger SET whole = false")
    with pytest.raises(LedgerRefused, match="not there to its end"):
        verify(LedgerSettings(url=postgresUrl))
    tamper(postgresUrl, "UPDATE ledger SET whole = true", "UPDATE scalemgr_schema SET version = 9 WHERE kind = 'log'")
    with pytest.raises(LedgerRefused, match="by a newer one"):
        verify(LedgerSettings(url=postgresUrl))
