"""The verdict comes from the journals and the log in a folder, and tells everything that is wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .history import Entry
from .journal import Journal, Trouble
from .scripted import EPOCH, Script
from .verdict import Evidence, Verdict, judge


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """A deposit that was pending and then done, a rival, a refusal, and a reader that got everything."""
    script = Script()
    script.unsure(script.ask(), "pending", order=11)
    entry = script.book()
    script.done(script.ask(), entry, replayed=True)
    script.duplicate(script.ask(200), entry.order)
    script.refuse("r")
    script.refused(script.ask(key="r"))
    script.tell(script.ask(command="GetRequest"), 200, _state(entry))
    script.subscribe(0)
    script.hear(*script.log[:2])
    script.replayed(3)
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
    notes = {"client-0": script.records, "reader": script.reading, "newcomer": script.reading}
    for name, records in notes.items():
        with Journal(folder / f"{name}.journal") as journal:
            journal.note(*records)
    return judge(folder, Evidence(EPOCH, {1001: (100, 1)}, {"kills": 3}, wrong=list(wrong)))


def test_noDiscrepancy(tmp_path: Path, script: Script) -> None:
    """Where nothing is wrong, it says so, with the counts of what was done, asked and answered."""
    said = verdict(tmp_path, script)
    assert said.wrong == []
    assert str(said) == (
        "3 kills, 0 sigterms, 0 stops, 0 full disks, 0 holds, 5 requests, 0 unanswered, 1 retries, 1 replays, "
        "0 voids, 1 pendings, 0 busy, 1 refusals, 1 duplicates, 1 questions, 2 events: no discrepancy"
    )


def test_everyDiscrepancy(tmp_path: Path, script: Script) -> None:
    """What any of the checks finds is told, each on a line of its own."""
    script.records.append(Trouble("nonsense"))
    del script.log[0]
    said = verdict(tmp_path, script, "it was late")
    for sentence in (
        "it was late",
        "client-0: nonsense",
        "the log has entry 2 where 1 should be",
        "entry 2 says what an account has, and follows no entry that moves money",
        "key crm/k: lost: ",
        "login 1001: balance and version are (100, 1), the log comes to (0, 0)",
        "reader: an event that the log does not have",
        "newcomer: an event that the log does not have",
    ):
        assert any(line.startswith(sentence) for line in str(said).splitlines()[1:]), said


def test_noLog(tmp_path: Path, script: Script) -> None:
    """A daemon that never made a log loses everything that it told."""
    with Journal(tmp_path / "client-0.journal") as journal:
        journal.note(*script.records)
    assert any("lost: " in wrong for wrong in judge(tmp_path, Evidence()).wrong)
