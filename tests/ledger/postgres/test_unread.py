"""What cannot be read of a log on a server: nothing is said of what was looked for, and the next look is another."""

from __future__ import annotations

from contextlib import closing, suppress

import psycopg
import pytest

from scalemgr.finance.records import REFUSAL, Entry
from scalemgr.ledger.pages import pack
from scalemgr.ledger.postgres.auditing import verify
from scalemgr.ledger.postgres.following import Servers
from scalemgr.ledger.postgres.ledger import PostgresLedger
from scalemgr.ledger.postgres.log import PostgresLog
from scalemgr.ledger.postgres.server import Server
from scalemgr.ledger.projector import ThreadProjector
from scalemgr.ledger.settings import LedgerSettings
from scalemgr.wire.errors import LedgerFailed

from ..helpers import NOW_MS, deposit, populate


@pytest.fixture
def settings(postgresUrl: str) -> LedgerSettings:
    """An empty ledger."""
    return LedgerSettings(url=postgresUrl)


def gateway(settings: LedgerSettings) -> PostgresLedger:
    """A ledger with an account, open."""
    ledger = PostgresLedger(settings, follow=lambda settings: ThreadProjector(Servers(settings)))
    ledger.open(NOW_MS)
    populate(ledger)
    return ledger


def cut(settings: LedgerSettings, purpose: str) -> None:
    """Nobody's connection for this purpose is there any more."""
    with psycopg.connect(settings.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = %s",
            [f"scalemgr {purpose}"],
        )


def test_sizesUnread(settings: LedgerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it cannot be read how big the log is refuses nobody: a gateway that can write again is ready at once."""
    ledger = gateway(settings)

    def unread() -> PostgresLog:
        raise LedgerFailed("the log cannot be read now")

    assert ledger.storage().files
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "_reader", unread)
        storage = ledger.storage()
    assert (storage.refusal, storage.files) == ("", {})
    assert storage.folder == Server(settings.url, settings).shown
    ledger.close(None)


def test_nothingIsSaid(settings: LedgerSettings) -> None:
    """Where a key could not be looked up, nothing is said of it: neither that it is there nor that it is not."""
    ledger = gateway(settings)
    with closing(PostgresLog(Server(settings.url, settings), "looks")) as log:
        cut(settings, "looks")
        with pytest.raises(LedgerFailed) as failed:
            log.settled(0)
        assert failed.value.details == {}
        with pytest.raises(LedgerFailed) as failed:
            log.read(0, 1)
        assert failed.value.details == {}
    ledger.close(None)


def test_aBatchIsVoid(settings: LedgerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch for which something could not be read is certainly void, for it never came to its COMMIT."""
    ledger = gateway(settings)

    def fail(*args: object) -> None:
        raise LedgerFailed("the log cannot be read now")

    head = ledger.book.seq
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "_refresh", fail)
        with pytest.raises(LedgerFailed) as failed:
            ledger.commit([deposit(1)], NOW_MS)
    assert failed.value.details == {"outcome": "void"}
    ledger.commit([], NOW_MS)
    assert ledger.book.seq == head
    ledger.close(None)


def test_theNextLookIsFresh(settings: LedgerSettings) -> None:
    """If not even the transaction of a look-up could be left, the connection is given up; the next one has its own."""
    ledger = gateway(settings)
    reader = ledger._reader()
    with pytest.raises(psycopg.errors.DivisionByZero):
        reader.connection.execute("BEGIN")
        reader.connection.execute("SELECT 1 / 0")
    # It may have to fail once for that.
    with suppress(LedgerFailed):
        ledger.keyed([("crm", "a")])
    assert ledger.keyed([("crm", "a")]) == {}
    ledger.close(None)


def test_theServerIsAwayForTheNext(settings: LedgerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a connection is lost, and another one cannot be had at first, it is had later."""
    ledger = gateway(settings)
    ledger._reader().close()

    def away(*args: object, **more: object) -> None:
        raise psycopg.OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Server, "connect", away)
        for _ in range(2):
            with pytest.raises(LedgerFailed, match="cannot be read") as failed:
                ledger._reader().read(0, 1)
            assert failed.value.details == {}
    assert len(ledger._reader().read(0, 1)) == 1
    ledger.close(None)


def test_refusalsOfWhatNeverWas(settings: LedgerSettings) -> None:
    """A refusal that names an order which never was given is no sign that numbers were given twice."""
    ledger = gateway(settings)
    seq = ledger.book.seq + 1
    ledger.close(None)
    refusal = Entry(
        seq, NOW_MS, REFUSAL, 0, "", 1001, 9_000_000_001, 0, 0, "crm", "k", b"f0", '{"reason":"RET_NOT_FOUND"}'
    )
    ((first, last, entries),) = pack([refusal])
    with psycopg.connect(settings.url) as connection:
        row = last, first, "stamp", entries
        connection.execute("INSERT INTO page (last, first, stamp, entries) VALUES (%s, %s, %s, %s)", row)
    found = verify(settings)
    assert not [difference for difference in found.differences if "handed out" in difference]
    assert found.refusals == 1
