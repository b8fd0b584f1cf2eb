"""Starts: many at once on an empty schema, and with a book that was written down, whatever it is worth."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from scalemgr.ledger.postgres import ledger as module
from scalemgr.ledger.postgres.commits import CommitLog
from scalemgr.ledger.postgres.ledger import PostgresLedger

from ..conftest import Logged
from ..helpers import NOW_MS, depositEach, folded, populate, state
from .gateways import Truth, gateway


@pytest.fixture
def truth(postgresUrl: str) -> Iterator[Truth]:
    """The log."""
    with closing(Truth(postgresUrl)) as truth:
        yield truth


def test_manyAtOnce(postgresUrl: str, truth: Truth) -> None:
    """Gateways that start at the same moment where there is nothing yet have one log, and orders of their own."""
    together = threading.Barrier(4)
    done: list[tuple[str, int]] = []
    failed: list[BaseException] = []

    def start() -> None:
        try:
            together.wait(60)
            with gateway(postgresUrl, lock_seconds=30, statement_seconds=30) as ledger:
                first = ledger.reserveOrders(10)
                depositable = ledger.commit([], NOW_MS)
                assert depositable == []
                done.append((ledger.epoch, first))
                together.wait(60)
        except BaseException as e:
            failed.append(e)
            together.abort()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len({epoch for epoch, _ in done}) == 1
    assert sorted(first for _, first in done) == [1, 11, 21, 31]
    assert truth.sql("SELECT kind, version FROM scalemgr_schema ORDER BY kind") == [("log", 1), ("views", 1)]


class TestBook:
    """The book that is written down spares a start much, and is believed only if it is this log's."""

    @pytest.fixture(autouse=True)
    def written(self, postgresUrl: str, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_SNAPSHOT_AFTER", 1)
        with gateway(postgresUrl) as ledger:
            populate(ledger)
            depositEach(ledger, 1, 2, 3)
        assert truth.sql("SELECT last FROM book") == [(ledger.book.seq,)]

    @pytest.fixture
    def folds(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """From where on the log is read at each start."""
        seen: list[int] = []
        real = CommitLog.tail

        def tail(log: CommitLog, cursor: int, *more: Any) -> object:
            seen.append(cursor)
            return real(log, cursor, *more)

        monkeypatch.setattr(CommitLog, "tail", tail)
        return seen

    def startAgain(self, postgresUrl: str, truth: Truth) -> PostgresLedger:
        with gateway(postgresUrl) as ledger:
            assert state(ledger.book) == folded(truth.entries())
            depositEach(ledger, 4)
            assert state(ledger.book) == folded(truth.entries())
        return ledger

    def test_used(self, postgresUrl: str, truth: Truth, folds: list[int]) -> None:
        seq = len(truth.entries())
        self.startAgain(postgresUrl, truth)
        assert folds[0] == seq

    @pytest.mark.parametrize(
        "harm",
        [
            "stamp = 'another'",
            "last = last - 1",
            "last = 999",
            "body = 'nonsense'",
            "body = ''",
            "body = set_byte(body, length(body) - 1, 255 - get_byte(body, length(body) - 1))",
            "body = substr(body, 1, length(body) - 1)",
            "body = convert_to(replace(convert_from(substr(body, 1, position('\\x0a'::bytea in body)), 'UTF8'),"
            " '\"version\":', '\"version\":9'), 'UTF8') || substr(body, position('\\x0a'::bytea in body) + 1)",
        ],
    )
    def test_notBelieved(self, postgresUrl: str, truth: Truth, folds: list[int], harm: str) -> None:
        truth.sql(f"UPDATE book SET {harm}")
        ledger = self.startAgain(postgresUrl, truth)
        assert folds[0] == 0
        # And the next start has a good one.
        if "999" not in harm:
            assert truth.sql("SELECT last FROM book") == [(ledger.book.seq,)]

    def test_unreadable(
        self, postgresUrl: str, truth: Truth, folds: list[int], logged: Logged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that cannot be read, or not in time, costs a longer start."""
        truth.sql("ALTER TABLE book RENAME COLUMN body TO gone")
        self.startAgain(postgresUrl, truth)
        assert folds[0] == 0
        assert logged.has("book", "cannot be read")

    def test_ofTheLater(self, postgresUrl: str, truth: Truth) -> None:
        """Who stops later but is behind does not take the place of a later one."""
        with gateway(postgresUrl) as one:
            with gateway(postgresUrl) as other:
                depositEach(other, 5)
            depositEach(other := one, 6)
            later = truth.sql("SELECT last FROM book")
            one._savedSeq, seq = 0, one.book.seq
        assert truth.sql("SELECT last FROM book") == [(seq,)] >= later


class TestLost:
    """A log that has lost entries while no gateway was at work is another log from the next start on."""

    @pytest.mark.parametrize("knows", ["views", "book"])
    @pytest.mark.parametrize("regrown", [False, True])
    def test_renewed(
        self,
        postgresUrl: str,
        truth: Truth,
        logged: Logged,
        monkeypatch: pytest.MonkeyPatch,
        knows: str,
        regrown: bool,
    ) -> None:
        """Whoever goes on from a number that is used again is told; no order that was told is given again."""
        monkeypatch.setattr(module, "_SNAPSHOT_AFTER", 1 if knows == "book" else 10_000)
        with gateway(postgresUrl) as ledger:
            depositEach(populate(ledger), 1, 2, 3)
            kept = ledger.book.seq
            last = depositEach(ledger, 4, 5)[-1]
            assert ledger._projector.waitFor(ledger.book.seq, 30)
        truth.sql(f"DELETE FROM page WHERE last > {kept}")
        if knows == "book":
            truth.sql("TRUNCATE view")
        if regrown:
            # By a server that never knew.
            truth.sql("CREATE TABLE aside AS SELECT * FROM book; TRUNCATE book; ALTER TABLE view RENAME TO hidden")
            truth.sql("CREATE TABLE view (LIKE hidden INCLUDING ALL)")
            with gateway(postgresUrl) as ledger:
                depositEach(ledger, 6, 7, 8, 9)
            truth.sql("DROP TABLE view; ALTER TABLE hidden RENAME TO view")
            truth.sql("TRUNCATE book; INSERT INTO book SELECT * FROM aside")
        with gateway(postgresUrl) as again:
            assert again.epoch != ledger.epoch
            assert logged.has("some was lost", "new epoch")
            assert state(again.book) == folded(truth.entries())
            assert again.reserveOrders(1) > last + 100_000 - 1
            assert again._projector.waitFor(again.book.seq, 30)
        with gateway(postgresUrl) as once:
            assert once.epoch == again.epoch

    def test_nothingIsLost(self, postgresUrl: str, truth: Truth, logged: Logged) -> None:
        """A start that finds all of it changes nothing, be the views behind or gone."""
        with gateway(postgresUrl) as ledger:
            depositEach(populate(ledger), 1, 2, 3)
        for harm in ("UPDATE view SET seq = seq", "TRUNCATE view", "TRUNCATE book"):
            truth.sql(harm)
            with gateway(postgresUrl) as again:
                assert again.epoch == ledger.epoch
        assert not logged.has("lost")
