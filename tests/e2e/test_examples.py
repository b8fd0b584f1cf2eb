"""The scripts in examples/, as a newcomer runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scalemgr.ledger.audit import verify

from .daemons import LOOPBACK, ROOT, daemon


def run(port: int, *more: str) -> subprocess.CompletedProcess[str]:
    """The back office's day."""
    command = [sys.executable, "-I", str(ROOT / "examples" / "back_office.py"), "127.0.0.1", str(port), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_backOffice(tmp_path: Path) -> None:
    """The example, which uses nothing but a socket, closes with what it should to the cent; run again, nothing happens
    twice; and the ledger is sound."""
    with daemon(tmp_path, "--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK) as (_, port):
        first = run(port)
        assert (first.returncode, first.stderr) == (0, "")
        lines = first.stdout.splitlines()
        assert [line.split()[0] for line in lines[:10]] == ["200"] * 10
        assert lines[-1].split() == ["closing", "150.00", "100.00"]
        again = run(port)
        assert again.returncode == 0
        changes = [line for line in again.stdout.splitlines() if line.startswith("200")]
        assert [line.endswith("(as before)") for line in changes] == [True] * 9 + [False]
        assert again.stdout.splitlines()[10:] == lines[10:]
    audit = verify(tmp_path / "ledger")
    assert audit.differences == []


def test_deposit(tmp_path: Path) -> None:
    """The ten lines that a newcomer writes book a deposit once, however often they are run."""
    script = (ROOT / "examples" / "deposit.py").read_text()
    assert len([line for line in script.splitlines()[1:] if line.strip()]) <= 10
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / "deposit.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with daemon(tmp_path, "--demo", "--listen", LOOPBACK) as (_, port):
        address = f"tcp:127.0.0.1:{port}"
        said = [
            subprocess.run(
                [*command, address], capture_output=True, text=True, env=environment, timeout=60, check=False
            )
            for _ in range(2)
        ]
        assert [(run.returncode, run.stderr) for run in said] == [(0, ""), (0, "")]
        assert said[0].stdout == said[1].stdout == "booked: order 1, 250.00\n"
