"""The client's process: killed, and started again on what the one before has left."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import msgspec

from ...e2e.daemons import ROOT
from ..daemon import environment, leashed
from .notes import Reader
from .payer import PayerSettings

__all__ = ["PayerProcess"]


class PayerProcess:
    """
    One of them, which runs from now on.

    @ivar heard: its notes.
    """

    def __init__(self, settings: PayerSettings) -> None:
        notes = Path(settings.notes)
        file = notes.with_suffix(".json")
        file.write_bytes(msgspec.json.encode(settings))
        self.heard = Reader(notes)
        self._said = notes.with_suffix(".log")
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                leashed("-m", f"{__package__}.payer", str(file)),
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def ended(self) -> int | None:
        """Its exit status, if it has one."""
        return self._process.poll()

    def hold(self) -> None:
        """It does nothing until L{go}."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go(self) -> None:
        """It may go on."""
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """It is gone, held or not."""
        self._process.kill()
        self._process.wait()

    @property
    def lastWords(self) -> str:
        """The last line that it said."""
        return self._said.read_text("utf-8", "replace").strip().rpartition("\n")[2]
