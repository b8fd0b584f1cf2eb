"""Each payment of a list is deposited once, and the client knows it, whoever is killed; and if not, that is found.

C{python -m tests.torture.outbox} does this at length.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from ..ledger.tampering import change
from ..torture.history import entries
from ..torture.outbox.check import Evidence, check, depositsOf
from ..torture.outbox.payments import read, write
from ..torture.outbox.scene import Campaign, command, run
from ..torture.outbox.strikes import Plan
from ..torture.verdict import Verdict

PLAN = Plan(payments=120, kills=1, payerKills=1)


class Done(NamedTuple):
    """A campaign that was fought."""

    folder: Path
    verdict: Verdict


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One with the blocking client."""
    folder = tmp_path_factory.mktemp("done")
    return Done(folder, run(Campaign(folder, replace(PLAN, kills=2, payerKills=2), seed=1)))


def test_onceWithTheBlockingClient(done: Done) -> None:
    """Everybody is killed, also at once: each payment is booked once, and all agree; what only the outbox of a killed
    client knew, the next one was told; and in the end nothing is to be done with that file."""
    counts = done.verdict.counts
    assert done.verdict.wrong == [], f"{done.verdict}\neverything is in {done.folder}"
    assert (counts["deposits"], counts["kills"], counts["client kills"]) == (120, 2, 2)
    assert counts["unheard"]
    assert counts["from the outbox"]
    assert [path.name for path in done.folder.glob("outbox*")] == ["outbox"]


@pytest.mark.parametrize("kind", ["asyncio", "twisted"])
def test_onceWithTheOtherClients(tmp_path: Path, kind: str) -> None:
    """The same with the other two clients."""
    verdict = run(Campaign(tmp_path, PLAN, kind, seed=2))
    assert verdict.wrong == [], f"{verdict}\neverything is in {tmp_path}"
    assert verdict.counts["deposits"] == 120
    assert verdict.counts["unheard"]


def test_carelessClientPaysTwice(tmp_path: Path) -> None:
    """A client without outbox and keys, which goes on after what it was told, pays twice: the checks can fail."""
    verdict = run(Campaign(tmp_path, replace(PLAN, kills=0), seed=3, isCareful=False))
    assert verdict.counts["deposits"] > 120
    assert any("was deposited 2 times, as the orders" in wrong for wrong in verdict.wrong)
    assert any(wrong.startswith("reconcile: status 1") for wrong in verdict.wrong)


# -- what is wrong is found -------------------------------------------------------------------------------


@pytest.fixture
def copy(done: Done, tmp_path: Path) -> Path:
    """The list and the ledger of one that was well done, which may be doctored."""
    shutil.copy(done.folder / "payments.csv", tmp_path)
    shutil.copytree(done.folder / "ledger", tmp_path / "ledger")
    return tmp_path


def reconciled(folder: Path) -> tuple[int, set[tuple[str, str]]]:
    """The exit status of C{scalemgr reconcile}, and what it found."""
    list, ledger = str(folder / "payments.csv"), f"sqlite:{folder / 'ledger'}"
    status, said = command("reconcile", list, "--ledger", ledger, "--from", "2000-01-01")
    found = [json.loads(line) for line in said.splitlines()[:-1]]
    return status, {(one["finding"], one["reference"]) for one in found}


def judged(folder: Path) -> list[str]:
    """What the campaign's own checks say of the list and the log."""
    log = entries(folder / "ledger" / "log.db")
    evidence = Evidence(read(folder / "payments.csv"), depositsOf(log))
    return [wrong for wrong in check(evidence) if not wrong.startswith("no client was told of ")]


def test_doctoredListIsFound(copy: Path) -> None:
    """A list with a payment more, one less, one twice and one of another amount does not agree with the ledger."""
    first, second, third, *rest = read(copy / "payments.csv")
    more, other = replace(first, reference="nobody's"), replace(third, amount=f"1{third.amount}")
    write(copy / "payments.csv", [second, second, other, *rest, more])
    status, found = reconciled(copy)
    assert status == 1
    assert found == {
        ("missing", "nobody's"),
        ("extra", first.reference),
        ("double", second.reference),
        ("different", third.reference),
    }
    wrong = judged(copy)
    assert any(sentence.startswith("nobody's is missing") for sentence in wrong)
    assert any(f"of {first.reference!r} is not in the list" in sentence for sentence in wrong)
    assert any(f"of {third.reference} is of" in sentence for sentence in wrong)


def test_doctoredLedgerIsFound(copy: Path) -> None:
    """A ledger in which a payment is missing, one is double and one has another amount does not agree with the list,
    nor with itself."""
    log = copy / "ledger" / "log.db"
    first, second, third = [entry for entry in entries(log) if entry.isTrade][:3]
    data = json.loads(first.data)
    change(log, first.seq, key=second.key, data={**data, "comment": second.key})
    data = json.loads(third.data)
    change(log, third.seq, data={**data, "profit": data["profit"] + 1})
    status, found = reconciled(copy)
    assert status == 1
    assert found == {("missing", first.key), ("double", second.key), ("different", third.key)}
    wrong = judged(copy)
    assert any(sentence.startswith(f"{first.key} is missing") for sentence in wrong)
    assert any(sentence.startswith(f"{second.key} was deposited 2 times") for sentence in wrong)
    assert any(f"of {third.key} is of" in sentence for sentence in wrong)
    status, said = command("verify", "--ledger", f"sqlite:{copy / 'ledger'}")
    assert status == 1, said
