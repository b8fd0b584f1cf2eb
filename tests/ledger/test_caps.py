"""Caps hold in the commit: across batches, failures and restarts, whatever the engine."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import ujson
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from scalemgr.finance.caps import readCaps
from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.records import REFUSAL, TRADE_EVENT, Entry
from scalemgr.finance.requests import BALANCE, Cause, Request, TakeBack
from scalemgr.finance.settle import Outcome, Replay
from scalemgr.finance.turnover import DAY_MS
from scalemgr.interfaces import ILedger
from scalemgr.ledger.audit import verify
from scalemgr.ledger.snapshot import loadSnapshot, saveSnapshot
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.errors import LedgerFailed

from .engines import ENGINES, Engine, every
from .helpers import NOW_MS, BadDisk, deposit, folded, opened, populate, state, update

CAPS = readCaps({"USD": {"amount": "5", "day": "12"}})
CAPPED = Cause("till", EVERYTHING, caps=CAPS)


def ask(ledger: ILedger, *cents: int, nowMs: int = NOW_MS) -> list[str]:
    """Deposits of somebody with caps, in one batch: what becomes of each."""
    requests = _deposits(ledger.reserveOrders(len(cents)), *cents)
    return [_verdict(outcome) for outcome in ledger.commit(requests, nowMs)]


def _deposits(first: int, *cents: int) -> list[Request]:
    return [replace(deposit(first + n, c), cause=CAPPED) for n, c in enumerate(cents)]


def _verdict(outcome: Outcome) -> str:
    assert isinstance(outcome, Entry), outcome
    return str(ujson.loads(outcome.data)["cap"]) if outcome.event == REFUSAL else "booked"


@every
def test_acrossBatches(ledger: ILedger) -> None:
    """A batch sees what it and those before it moved; the next day begins with nothing."""
    assert ask(ledger, 500, 501) == ["booked", "amount"]
    assert ask(ledger, 500, 201, 200) == ["booked", "day", "booked"]
    assert ask(ledger, 1) == ["day"]
    assert ask(ledger, 500, nowMs=NOW_MS + DAY_MS) == ["booked"]


@every
def test_failedCommit(ledger: ILedger, engine: Engine) -> None:
    """What a failed commit did not keep uses nothing up."""
    assert ask(ledger, 500) == ["booked"]
    engine.failNext(ledger)
    with pytest.raises(LedgerFailed):
        ask(ledger, 500)
    assert ask(ledger, 500, 201, 200) == ["booked", "day", "booked"]


@pytest.mark.parametrize("kept", [True, False])
def test_pending(folder: Path, kept: bool) -> None:
    """What nobody knew of counts once it is found that it was kept, and only then."""
    with opened(folder) as ledger:
        requests = _deposits(populate(ledger).reserveOrders(2), 500, 500)
        disk = BadDisk(ledger)
        disk.failAt("COMMIT", happens="COMMIT" if kept else "ROLLBACK", dies=True)
        with pytest.raises(LedgerFailed) as failed:
            ledger.commit(requests, NOW_MS)
        assert failed.value.details["outcome"] == "pending"
        disk.heal()
        assert ask(ledger, 500, 200) == (["day", "booked"] if kept else ["booked", "booked"])


@pytest.mark.parametrize("snapshot", [True, False])
def test_restart(folder: Path, snapshot: bool) -> None:
    """A start finds what is used up, in the snapshot or by folding the log, and the audit agrees."""
    with opened(folder) as ledger:
        populate(ledger)
        assert ask(ledger, 500, 500) == ["booked", "booked"]
    if not snapshot:
        (folder / "book.snapshot").unlink()
    with opened(folder) as ledger:
        assert ask(ledger, 201, 200) == ["day", "booked"]
    with opened(folder) as ledger:
        assert ask(ledger, 1) == ["day"]
    assert verify(folder).differences == []


def test_audit(folder: Path) -> None:
    """A snapshot whose sums are not those of the log is found, one sentence each."""
    with opened(folder) as ledger:
        populate(ledger)
        ask(ledger, 500)
        epoch = ledger.epoch
    saved = loadSnapshot(folder / "book.snapshot", epoch)
    assert saved is not None
    sums = saved.turnover.sums
    (key,) = sums
    sums[key] -= 1
    sums[key[0], "till", "EUR"] = 1
    saveSnapshot(folder / "book.snapshot", epoch, saved)
    assert verify(folder).differences == [
        f"book.snapshot: what till has moved of {currency} on day 20414 since 1970 is not what the log says"
        for currency in ("EUR", "USD")
    ]


# -- any history ----------------------------------------------------------------------------------------

# The caps of each caller; what one of them has changes from batch to batch.
TABLES: dict[str, list[Any]] = {
    "till": [{"USD": {"amount": "3", "day": "8"}}],
    "boss": [None, {"USD": {"day": "6"}}, {"USD": {"amount": "2"}}, {"EUR": {}}],
}
ASKED = st.tuples(
    st.sampled_from(["new", "new", "new", "change", "back", "again"]),
    st.sampled_from(sorted(TABLES)),
    st.integers(0, 9),
    st.integers(1, 400),
)
BATCH = st.tuples(
    st.sampled_from(["", "", "", "fail", "restart", "forget"]),
    # The hour; it also goes back.
    st.integers(0, 100),
    st.integers(0, 3),
    st.lists(ASKED, max_size=8),
)


class Arithmetic:
    """
    What is used up, told from the entries by a calendar and in decimals, and what should become of a request.

    @ivar trades: who asked for each, and its cents now.
    """

    def __init__(self, ledger: ILedger) -> None:
        self.trades: dict[int, int] = {}
        self.used: Counter[tuple[str, str]] = Counter()
        for entry in ledger.entries(0, 10_000):
            self.learn(entry)

    def learn(self, entry: Entry) -> None:
        """The log has one more."""
        if entry.event != TRADE_EVENT:
            return
        said = ujson.loads(entry.data)
        cents = 0 if said["state"] == 6 else int(Decimal(str(said["profit"])) * 100)
        self.used[entry.principal, _date(entry.time_ms)] += abs(cents - self.trades.get(entry.order, 0))
        self.trades[entry.order] = cents

    def expected(self, who: str, caps: Any, change: int, nowMs: int) -> str:
        """What should become of a change by so many cents."""
        if caps is None or not change:
            return "booked"
        if "USD" not in caps:
            return "currency"
        if abs(change) > int(caps["USD"].get("amount", 10**9)) * 100:
            return "amount"
        used = self.used[who, _date(nowMs)]
        return "day" if used + abs(change) > int(caps["USD"].get("day", 10**9)) * 100 else "booked"


def _date(timeMs: int) -> str:
    return datetime.fromtimestamp(timeMs / 1000, UTC).date().isoformat()


class History:
    """A ledger that things happen to."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.ledger = engine.make(folder)
        self.ledger.open(NOW_MS)
        populate(self.ledger)
        # Enough on the account that caps are all that is in the way.
        self.ledger.commit([deposit(self.ledger.reserveOrders(1), 10**9)], 0)
        self._keys = 0
        self._asked: list[tuple[Request, str]] = []

    def batch(self, event: str, hour: int, table: int, asked: list[tuple[str, str, int, int]]) -> None:
        """Commit a batch, and hold what becomes of it against arithmetic."""
        nowMs = NOW_MS + hour * DAY_MS // 24
        right = Arithmetic(self.ledger)
        requests, expected, new = [], [], []
        for what, who, which, cents in asked:
            plain = TABLES[who][table % len(TABLES[who])]
            if what == "again" and self._asked:
                # Whatever the caps are by now, and whatever is used up.
                request, verdict = self._asked[which % len(self._asked)]
                caps = None if plain is None else readCaps(plain)
                requests.append(replace(request, cause=replace(request.cause, caps=caps)))
                expected.append(f"again {verdict}")
                continue
            request, change = self._request(what, who, plain, which, cents, right)
            verdict = right.expected(who, plain, change, nowMs)
            if verdict == "booked":
                right.used[who, _date(nowMs)] += abs(change)
                order = request.makes or request.existing
                right.trades[order] = right.trades.get(order, 0) + change
            requests.append(request)
            expected.append(verdict)
            new.append((request, verdict))
        # Of repeats alone there is nothing to keep, and so nothing that fails.
        if event == "fail" and new:
            self.engine.failNext(self.ledger)
            with pytest.raises(LedgerFailed):
                self.ledger.commit(requests, nowMs)
            return
        outcomes = self.ledger.commit(requests, nowMs)
        assert [self._said(outcome) for outcome in outcomes] == expected
        self._asked += new
        if event in ("restart", "forget") and self.engine.lasts:
            self._restart(forget=event == "forget")

    def _request(
        self, what: str, who: str, plain: Any, which: int, cents: int, right: Arithmetic
    ) -> tuple[Request, int]:
        """A request, and by how much it would change a balance."""
        self._keys += 1
        cause = Cause(who, EVERYTHING, f"key-{self._keys}", caps=None if plain is None else readCaps(plain))
        order = sorted(right.trades)[which % len(right.trades)]
        if what == "change" and right.trades[order]:
            return replace(update(order, cents), cause=cause), cents - right.trades[order]
        if what == "back" and right.trades[order] and order != 1:
            return TakeBack(cause, order, BALANCE), -right.trades[order]
        return replace(deposit(self.ledger.reserveOrders(1), cents), cause=cause), cents

    def _said(self, outcome: Outcome) -> str:
        return f"again {_verdict(outcome.entry)}" if isinstance(outcome, Replay) else _verdict(outcome)

    def _restart(self, forget: bool) -> None:
        before = state(self.ledger.book)
        self.ledger.close(None)
        if forget and isinstance(self.ledger, SqliteLedger):
            (self.folder / "ledger" / "book.snapshot").unlink()
        self.ledger = self.engine.make(self.folder)
        self.ledger.open(NOW_MS)
        assert state(self.ledger.book) == before

    def end(self) -> None:
        """All is as arithmetic and the audit have it."""
        right, turnover = Arithmetic(self.ledger), self.ledger.book.turnover
        for (who, date), cents in right.used.items():
            timeMs = int(datetime.fromisoformat(f"{date}T12:00:00+00:00").timestamp() * 1000)
            assert turnover.of(who, timeMs, "USD") == cents * 10**10, (who, date)
        assert folded(self.ledger.entries(0, 10_000)) == state(self.ledger.book)
        self.ledger.close(None)
        if isinstance(self.ledger, SqliteLedger):
            assert verify(self.folder / "ledger").differences == []


@given(batches=st.lists(BATCH, max_size=8))
@settings(max_examples=40, deadline=None)
def test_anyHistory(batches: list[tuple[str, int, int, list[tuple[str, str, int, int]]]]) -> None:
    """
    Two callers whose caps change, over days whose clock goes back and forth, with repeats, failures and restarts:
    each request is booked if, and only if, plain arithmetic on the log says that it is within the caps.
    """
    for engine in ENGINES:
        with TemporaryDirectory() as folder:
            history = History(engine, Path(folder))
            for batch in batches:
                history.batch(*batch)
            history.end()
