"""What is left when the process ends without a word."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from scalemgr.ledger.audit import verify
from scalemgr.ledger.errors import LedgerRefused

from .depositor import BLOCK
from .helpers import folded, opened, state

ROOT = Path(__file__).parents[2]


@contextmanager
def depositor(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that makes deposits in a folder, for a while."""
    command = [sys.executable, "-m", "tests.ledger.depositor", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def runAndKill(folder: Path, lines: int) -> list[list[str]]:
    """Let it print so many lines at least, kill it with SIGKILL, and give back the words of all that it printed."""
    with depositor(folder) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        # What it had said before it died; the last line may be half of one.
        said += process.stdout.readlines()
    return [line.split() for line in said if line.endswith("\n")]


def test_killed(folder: Path) -> None:
    """A process killed with SIGKILL loses nothing that it said was committed, and reuses no order that it reserved."""
    reserved: list[int] = []
    committed: list[tuple[int, int, int]] = []
    for lines in (2, 60, 9):
        (_, first), *rest = runAndKill(folder, lines)
        assert {words[0] for words in rest} == {"committed"}
        reserved.append(int(first))
        for words in rest:
            committed += [tuple(map(int, word.split(":"))) for word in words[1:]]  # type: ignore[misc]
        with opened(folder) as ledger:
            entries = ledger.entries(0, 100_000)
            kept = {(e.seq, e.order, e.balance) for e in entries}
            assert kept.issuperset(committed)
            assert folded(entries) == state(ledger.book)
            found = [ledger.trade(order) for _, order, _ in committed]
            assert [f and f[0].profit for f in found] == [cents for _, _, cents in committed]
    assert all(later >= earlier + BLOCK for earlier, later in pairwise(reserved))
    assert verify(folder).differences == []


def test_in_use_elsewhere(folder: Path) -> None:
    """While a process has the folder nobody else gets it, and is told who has it; once it is killed, at once."""
    with depositor(folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(LedgerRefused, match=rf"in use .*process {process.pid}\b"), opened(folder):
            pass
        process.kill()
        process.wait(30)
        with opened(folder) as ledger:
            assert ledger.reserveOrders(1) > BLOCK
