"""The verdict comes from the journals and the log in a folder, and tells everything that is wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .books import Account
from .history import Entry
from .journal import Journal, Trouble
from .scripted import EPOCH, Script
from .verdict import Evidence, Verdict, asked, judge


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """A deposit that was pending and then done, a rival, a refusal, and a reader that got everything."""
    script = Script()
    opened = script.open()
    script.unsure(script.ask(), "pending", order=12)
    entry = script.move()
    script.done(script.ask(), entry, replayed=True)
    script.duplicate(script.ask(200), entry.order)
    no = script.refuse("r", "RET_TRADE_NO_MONEY")
    script.tell(script.ask(-200, "BalanceOut", key="r"), 409, no.data)
    script.tell(script.ask(command="GetRequest"), 200, _state(entry))
    script.subscribe(0)
    script.hear(opened, *script.log[1:3])
    script.replayed(4)
    return script


def _state(entry: Entry) -> str:
    return f'{{"state":"done","order":{entry.order},"data":{entry.data}}}'


def verdict(folder: Path, script: Script, *wrong: str) -> Verdict:
    """What is said of it, when it is all on the disk."""
    ledger = folder / "ledger" / "ledger"
    ledger.mkdir(parents=True)
    names = ", ".join(f'"{name}"' for name in Entry.__struct_fields__)
    with closing(sqlite3.connect(ledger / "log.db")) as log, log:
        log.execute(f"CREATE TABLE entry ({names})")
        for e in script.log:
            row = [getattr(e, name) for name in Entry.__struct_fields__]
            log.execute(f"INSERT INTO entry VALUES ({', '.join('?' * len(row))})", row)
    balances = Script()
    balances.subscribe(0)
    balances.hear(*(entry for entry in script.log if entry.event == "balance:event"))
    balances.replayed(4)
    notes = {"client-0": script.records, "reader": script.reading, "newcomer": script.reading}
    notes["balances"] = balances.reading
    for name, records in notes.items():
        with Journal(folder / f"{name}.journal") as journal:
            journal.note(*records)
    return judge(folder, Evidence(EPOCH, [{1001: Account(100, 0, 1)}], {"kills": 3}, wrong=list(wrong)))


def test_noDiscrepancy(tmp_path: Path, script: Script) -> None:
    """Where nothing is wrong, it says so, with the counts of what was done, asked and answered."""
    said = verdict(tmp_path, script)
    assert said.wrong == []
    assert str(said) == (
        "3 kills, 0 sigterms, 0 stops, 0 full disks, 0 holds, 2 deposits, 1 withdrawals, 0 credits in, 0 credits out, "
        "0 changes, 0 balances taken back, 0 credits taken back, 0 asked for approval, 0 approvals, 0 declines, "
        "0 groups made, 0 groups changed, 0 groups deleted, 0 accounts opened, 0 accounts closed, 0 lists closed, "
        "0 contested, 5 requests, 0 unanswered, 1 retries, 1 replays, 0 voids, 1 pendings, 0 busy, 1 refusals, "
        "1 duplicates, 1 questions, 3 events: no discrepancy"
    )


def test_everyDiscrepancy(tmp_path: Path, script: Script) -> None:
    """What any of the checks finds is told, each on a line of its own."""
    script.records.append(Trouble("nonsense"))
    script.refuse("r")
    del script.log[1]
    said = verdict(tmp_path, script, "it was late")
    for sentence in (
        "it was late",
        "client-0: nonsense",
        "the log has entry 3 where 2 should be",
        "key crm/r has 2 entries",
        "key crm/k: lost: ",
        "entry 3 is a balance event, and entry 2 moved nothing",
        "login 1001: the daemon says Account(balance=100, credit=0, version=1), the log comes to Account(balance=0,",
        "reader: an event that the log does not have",
        "newcomer: an event that the log does not have",
    ):
        assert any(line.startswith(sentence) for line in str(said).splitlines()[1:]), said


def test_noLog(tmp_path: Path, script: Script) -> None:
    """A daemon that never made a log loses everything that it told."""
    with Journal(tmp_path / "client-0.journal") as journal:
        journal.note(*script.records)
    assert any("lost: " in wrong for wrong in judge(tmp_path, Evidence()).wrong)


def test_kindsAreCounted() -> None:
    """Each wish is counted once, by what it asks for, however often; and what several keys want to decide."""
    script = Script()
    for command in ("BalanceIn", "BalanceInSync"):
        script.ask(command=command)
    script.ask(200, key="c", order=11)
    script.askOf(12, "MngApproveFinanceRequest", "a")
    script.askOf(12, "MngDeclineFinanceRequestSync", "b")
    script.askOf(13, "MngDeclineFinanceRequestSync", "d")
    counts = {name: count for name, count in asked(script.attempts()).items() if count}
    assert counts == {"deposits": 1, "changes": 1, "approvals": 1, "declines": 2, "contested": 1}
