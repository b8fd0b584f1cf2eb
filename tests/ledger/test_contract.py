"""What L{ILedger} promises, whatever the engine (C{engines.py})."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from msgspec.structs import replace
from zope.interface.verify import verifyObject

from scalemgr.finance.records import Entry
from scalemgr.finance.requests import Request
from scalemgr.finance.settle import Outcome, refusalOf
from scalemgr.interfaces import ILedger
from scalemgr.wire.codes import EventRecordType
from scalemgr.wire.errors import InvalidData, LedgerFailed, ManagerError
from scalemgr.wire.messages import encode, event

from .engines import Engine, every, lasting
from .helpers import (
    NOW_MS,
    account,
    commit,
    deposit,
    depositEach,
    folded,
    group,
    poison,
    populate,
    state,
    trades,
    update,
)


def refusal(outcome: Outcome) -> str:
    """What a refusal that is an entry says."""
    assert isinstance(outcome, Entry)
    error = refusalOf(outcome)
    assert error is not None
    return error.code.name


@every
def test_interface(ledger: ILedger) -> None:
    """An engine provides ILedger, with the methods' signatures."""
    assert verifyObject(ILedger, ledger)


@every
def test_outcomes(ledger: ILedger) -> None:
    """A commit gives one outcome a request, in their order: an entry, be it a refusal, or why there is none."""
    first = ledger.reserveOrders(3)
    requests: list[Request] = [deposit(first), account(1001), update(first, 10**15), account(1003)]
    booked, exists, tooMuch, account1003 = ledger.commit(requests, NOW_MS)
    assert isinstance(booked, Entry)
    assert (booked.order, booked.balance, booked.time_ms, booked.key) == (first, 100, NOW_MS, None)
    assert refusal(exists) == "RET_USR_LOGIN_EXIST"
    assert isinstance(tooMuch, InvalidData)
    assert isinstance(account1003, Entry)
    assert account1003.login == 1003


@every
def test_nothing_to_commit(ledger: ILedger) -> None:
    """A batch without a request, or in which all is malformed, leaves the log as it was."""
    before = state(ledger.book)
    assert ledger.commit([], NOW_MS) == []
    assert [type(o) for o in ledger.commit([deposit(1, 10**15)], NOW_MS)] == [InvalidData]
    assert state(ledger.book) == before
    assert ledger.entries(before[0], 10) == []


@every
def test_batch_sees_itself(ledger: ILedger) -> None:
    """A request sees what those before it in the same batch did."""
    order = ledger.reserveOrders(1)
    commit(ledger, group("new"), account(5000, "new"), deposit(order, 250, 5000), update(order, 300, 5000))
    account5000 = ledger.book.account(5000)
    assert account5000 is not None
    assert (account5000.balance, account5000.balance_version) == (300, 2)


@every
def test_numbered(ledger: ILedger) -> None:
    """Entries are numbered from 1 without a gap, whatever is refused between them."""
    first = ledger.reserveOrders(20)
    for n in range(0, 20, 2):
        ledger.commit([deposit(first + n), deposit(0, login=7), poison(0), deposit(first + n + 1)], NOW_MS)
    assert [e.seq for e in ledger.entries(0, 1000)] == list(range(1, 55))
    assert ledger.book.seq == 54


@every
def test_log_is_the_truth(ledger: ILedger) -> None:
    """Folding the log again gives the book, and what is read back is sent with the bytes of the first time."""
    first = ledger.reserveOrders(2)
    new = commit(ledger, deposit(first, comment="it's, }"), deposit(first + 1), update(first, 70))
    entries = ledger.entries(0, 1000)
    assert folded(entries) == state(ledger.book)
    assert trades(entries[4:]) == new
    # What everybody was told the first time.
    told = ledger.takeCommitted()
    assert trades(told[4:]) == new
    assert [encode(e.data) for e in entries] == [e.data for e in entries]
    assert [event(e.event, e.type, e.data, e.seq, e.time_ms) for e in entries] == [
        event(e.event, e.type, e.data, e.seq, e.time_ms) for e in told
    ]


@every
@pytest.mark.parametrize("limit", [1, 2, 5, 15, 16, 1000])
def test_pages(ledger: ILedger, limit: int) -> None:
    """Reading on from the last entry that one has gives the whole log, at most as much at once as one asked for."""
    depositEach(ledger, *range(1, 7))
    seen: list[int] = []
    while page := ledger.entries(seen[-1] if seen else 0, limit):
        assert len(page) <= limit
        seen += [e.seq for e in page]
    assert seen == list(range(1, 17))
    assert [e.seq for e in ledger.entries(3, 2)] == [4, 5]
    assert ledger.entries(16, limit) == ledger.entries(999, limit) == []


@every
def test_failed_batch(engine: Engine, ledger: ILedger) -> None:
    """Nothing of a batch that could not be committed remains, in book, log or views, and the next one works."""
    (old,) = depositEach(ledger, 500)
    lost = ledger.reserveOrders(1)
    before = state(ledger.book), ledger.entries(0, 100), ledger.account(1001), ledger.trade(old)
    engine.failNext(ledger)
    with pytest.raises(LedgerFailed) as failed:
        ledger.commit([group("new"), account(77), deposit(lost), update(old, 900)], NOW_MS)
    assert failed.value.details["outcome"] == "void"
    assert (state(ledger.book), ledger.entries(0, 100), ledger.account(1001), ledger.trade(old)) == before
    assert ledger.trade(lost) is None
    assert ledger.account(77) is None
    (entry,) = commit(ledger, update(old, 900))
    assert (entry.seq, entry.balance) == (before[0][0] + 1, 400)
    assert folded(ledger.entries(0, 100)) == state(ledger.book)


@every
def test_poison(ledger: ILedger) -> None:
    """A request that raises something unforeseen hurts itself only, and is told from a refusal."""
    first = ledger.reserveOrders(3)
    one, bad, two = ledger.commit([deposit(first, 10), poison(first + 1), deposit(first + 2, 20)], NOW_MS)
    assert isinstance(one, Entry)
    assert isinstance(two, Entry)
    assert isinstance(bad, Exception)
    assert not isinstance(bad, ManagerError)
    assert two.seq == one.seq + 2
    assert trades(ledger.entries(4, 10)) == [one, two]
    assert ledger.book.accounts[1001].balance == 30
    assert ledger.trade(first + 1) is None


@every
def test_questions(ledger: ILedger) -> None:
    """trade() and account() answer as of the last commit; for what does not exist, with None."""
    first, second = depositEach(ledger, 1250, 50)
    found = ledger.trade(first)
    assert found is not None
    assert found[1] == "demo"
    assert (found[0].order, found[0].login, found[0].profit, found[0].balance_version) == (first, 1001, 1250, 1)
    stored = ledger.account(1001)
    assert stored is not None
    assert stored.account == ledger.book.account(1001)
    ofBook = ledger.book.group("demo")
    assert ofBook is not None
    # How many accounts are in it is the book's to know.
    assert stored.group == replace(ofBook, accounts=0)
    assert stored.profile["name"] == "Client 1001"
    assert not [name for name in stored.profile if "password" in name]
    assert ledger.trade(second + 1) is None
    assert ledger.account(7) is None


@every
def test_read_your_writes_elsewhere(ledger: ILedger) -> None:
    """What was committed before it was asked for is seen from another thread, while commits go on."""
    committed: Queue[tuple[int, int] | None] = Queue()

    def work() -> None:
        try:
            first, balance = ledger.reserveOrders(150), 0
            for order in range(first, first + 150):
                commit(ledger, deposit(order, order))
                balance += order
                committed.put((order, balance))
        finally:
            committed.put(None)

    thread = threading.Thread(target=work)
    thread.start()
    asked = 0
    try:
        while (done := committed.get(timeout=30)) is not None:
            order, balance = done
            found, stored = ledger.trade(order), ledger.account(1001)
            assert found is not None
            assert found[0].profit == order
            assert stored is not None
            assert stored.account.balance >= balance
            assert order in [e.order for e in ledger.entries(asked, 1000)]
            asked += 1
    finally:
        thread.join(30)
    assert asked == 150


@every
def test_update_of_last_batch(ledger: ILedger) -> None:
    """A trade of the batch before can be changed, again and again; what is changed is the difference."""
    (order,) = depositEach(ledger, 500)
    for cents, change in [(800, 300), (100, -700), (100, 0)]:
        (entry,) = commit(ledger, update(order, cents))
        assert (entry.order, entry.type, entry.balance) == (order, EventRecordType.EV_RECORD_UPDATE, change)
    found = ledger.trade(order)
    assert found is not None
    assert (found[0].profit, found[0].balance_version) == (100, 3)


@every
def test_update_from_long_ago(ledger: ILedger) -> None:
    """A trade from many batches ago can be changed, and keeps what the change does not mention."""
    (order,) = commit(ledger, deposit(ledger.reserveOrders(1), 500, comment="first"))[0:1]
    for _ in range(30):
        depositEach(ledger, 1)
        assert ledger.account(1001) is not None
    (entry,) = commit(ledger, update(order.order, 600))
    assert entry.balance == 100
    assert (entry.trade().comment, entry.trade().profit) == ("first", 600)
    assert ledger.book.accounts[1001].balance == 630


@every
def test_update_in_same_batch(ledger: ILedger) -> None:
    """A trade can be changed in the batch that makes it, and later ones see the last state."""
    order = ledger.reserveOrders(1)
    made, changed, again = commit(ledger, deposit(order, 500), update(order, 700), update(order, 650, comment="x"))
    assert (made.balance, changed.balance, again.balance) == (500, 200, -50)
    found = ledger.trade(order)
    assert found is not None
    assert (found[0].profit, found[0].comment) == (650, "x")


@every
def test_cannot_be_kept(ledger: ILedger) -> None:
    """A batch with something that no storage can keep fails whole, leaves nothing behind, and the next one works."""
    before = state(ledger.book), ledger.entries(0, 100)
    assert ledger.takeCommitted() == before[1]
    with pytest.raises((LedgerFailed, UnicodeEncodeError)):
        ledger.commit([account(1005), group("\ud800")], NOW_MS)
    assert (state(ledger.book), ledger.entries(0, 100)) == before
    assert ledger.account(1005) is None
    assert ledger.takeCommitted() == []
    kept = commit(ledger, account(1006))
    assert ledger.account(1006) is not None
    assert ledger.takeCommitted() == kept


@every
def test_update_of_other(ledger: ILedger) -> None:
    """A trade cannot be changed under another login, nor one that does not exist."""
    (order,) = depositEach(ledger, 500)
    outcomes = ledger.commit([update(order, 1, 1002), update(999, 1), update(order, 10**15)], NOW_MS)
    assert [refusal(o) for o in outcomes[:2]] == ["RET_TRADE_INCORRECT_ORDER", "RET_NOT_FOUND"]
    assert isinstance(outcomes[2], InvalidData)
    assert ledger.book.accounts[1002].balance == 0


@lasting
def test_reopened(engine: Engine, tmp_path: Path) -> None:
    """A ledger that is opened again has the same book, log and epoch, answers the same, and goes on."""
    first = engine.make(tmp_path)
    first.open(NOW_MS)
    (order,) = depositEach(populate(first), 100)
    before = first.epoch, state(first.book), first.entries(0, 100), first.trade(order), first.account(1001)
    first.close(None)
    again = engine.make(tmp_path)
    again.open(NOW_MS + 1)
    try:
        log = again.entries(0, 100)
        assert (again.epoch, state(again.book), log, again.trade(order), again.account(1001)) == before
        (entry,) = commit(again, update(order, 150))
        assert (entry.seq, entry.balance) == (before[1][0] + 1, 50)
    finally:
        again.close(None)


@every
def test_epoch_names_the_log(engine: Engine, tmp_path: Path) -> None:
    """Two logs never have the same name."""
    ledgers = [engine.make(tmp_path / name) for name in "ab"]
    for ledger in ledgers:
        ledger.open(NOW_MS)
    names = {ledger.epoch for ledger in ledgers}
    for ledger in ledgers:
        ledger.close(None)
    assert len(names) == 2
    assert "" not in names


@every
def test_asked_in_the_middle(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a key while a commit is taken into the book is answered; that is no bug."""
    take, found = ledger._appended, []

    def ask(entries: list[Entry]) -> None:
        found.append(ledger.keyed([("crm", "b")]))
        take(entries)

    monkeypatch.setattr(ledger, "_appended", ask)
    ledger.commit([deposit(1)], NOW_MS)
    assert found == [{}]


@every
@pytest.mark.parametrize("where", ["absorb", "_appended"])
def test_bug_after_the_append(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """If our own code fails when entries are in the log already, nothing more is done or said until a new start."""
    ledger = engine.make(tmp_path)
    ledger.open(NOW_MS)
    populate(ledger)
    before = state(ledger.book)
    ledger.takeCommitted()
    with monkeypatch.context() as patch:

        def fail(*args: object) -> None:
            raise MemoryError

        patch.setattr(ledger.book if where == "absorb" else ledger, where, fail)
        with pytest.raises(MemoryError):
            ledger.commit([deposit(1)], NOW_MS)
    for _ in range(2):
        with pytest.raises(LedgerFailed) as failed:
            ledger.commit([], NOW_MS)
        assert failed.value.details == {"outcome": "void"}
        with pytest.raises(LedgerFailed):
            ledger.keyed([("crm", "a")])
    assert ledger.takeCommitted() == []
    assert [e.order for e in trades(ledger.entries(before[0], 10))] == [1]
    ledger.close(None)
