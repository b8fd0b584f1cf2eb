"""A process that takes part in a campaign, and finishes what it has to when its standard input ends.

That may take long, after a long campaign. So it says on its standard error how much there is to do yet, and may take
its time for as long as that changes.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from ..e2e.daemons import ROOT
from .daemon import environment, leashed

__all__ = ["Actor", "acting"]

# So long it may have nothing to say, and so often somebody looks.
_SILENT_S = 180.0
_LOOK_S = 1.0


class Actor:
    """
    One process.

    @param module: what it runs, with the file that says what it is as its argument.
    """

    def __init__(self, module: str, settings: Struct, file: Path) -> None:
        self._name = file.stem
        file.write_bytes(msgspec.json.encode(settings))
        self._said = file.with_suffix(".log")
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                leashed("-m", module, str(file)),
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def ask(self) -> None:
        """Have it finish."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self) -> str:
        """Until it has finished; what is wrong about that, or nothing."""
        heard, until = "", time.monotonic() + _SILENT_S
        while (code := self._ended()) is None:
            if (said := self._last()) != heard:
                heard, until = said, time.monotonic() + _SILENT_S
            elif time.monotonic() > until:
                return f"{self._name}: it has not come further in {_SILENT_S:g} s: {heard}"
        return f"{self._name}: it ended with {code}: {self._last()}" if code else ""

    def _ended(self) -> int | None:
        try:
            return self._process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            return None

    def _last(self) -> str:
        return self._said.read_text().strip().rpartition("\n")[2]

    def kill(self) -> None:
        """It is gone."""
        self._process.kill()
        self.ask()
        self._process.wait()


@contextmanager
def acting(actors: Sequence[Actor], wrong: list[str]) -> Iterator[None]:
    """
    They take part for as long as the block lasts, and are gone afterwards.

    @param wrong: what went wrong with them is added here.
    """
    try:
        yield
        for actor in actors:
            actor.ask()
        wrong += filter(None, [actor.wait() for actor in actors])
    finally:
        for actor in actors:
            actor.kill()
