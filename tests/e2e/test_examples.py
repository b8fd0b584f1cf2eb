"""The scripts in examples/, as a newcomer runs them."""

from __future__ import annotations

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
