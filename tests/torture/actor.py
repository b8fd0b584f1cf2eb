"""A process that takes part in a campaign, and finishes what it has to when its standard input ends."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from ..e2e.daemons import ROOT
from .daemon import environment, leashed

__all__ = ["Actor", "acting"]

_FINISH_S = 180.0


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
        try:
            code = self._process.wait(_FINISH_S)
        except subprocess.TimeoutExpired:
            return f"{self._name}: it could not finish in {_FINISH_S:g} s"
        said = self._said.read_text().strip().rpartition("\n")[2]
        return f"{self._name}: it ended with {code}: {said}" if code else ""

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
