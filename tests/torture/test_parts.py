"""The parts of a campaign that do something to the world outside."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from . import actor as acted
from .actor import Actor, acting
from .daemon import Daemon, freePort, python
from .disk import disk
from .subscriber import SubscriberSettings

_WRITER = """
import sys
for line in sys.stdin:
    try:
        with open(sys.argv[1], "ab") as file:
            file.write(bytes(200_000))
        print("written", flush=True)
    except OSError as e:
        print(type(e).__name__, flush=True)
"""


class _Writer(Daemon):
    """A process that writes much whenever it is asked to."""

    def __init__(self, folder: Path, path: Path) -> None:
        super().__init__(folder, "", 0)
        self._writer = subprocess.Popen(
            python("-c", _WRITER, str(path)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @property
    def pid(self) -> int:
        return self._writer.pid

    def alive(self) -> bool:
        return self._writer.poll() is None

    def write(self) -> str:
        """What comes of it."""
        assert self._writer.stdin is not None
        assert self._writer.stdout is not None
        self._writer.stdin.write("\n")
        self._writer.stdin.flush()
        return self._writer.stdout.readline().strip()

    def close(self) -> None:
        """It is gone."""
        self._writer.kill()
        self._writer.communicate()


def checkDisk(folder: Path, mount: bool) -> None:
    with disk(folder / "disk", folder / "kept", mount=mount) as where:
        writer = _Writer(folder, where.folder / "file")
        try:
            said = [writer.write()]
            where.fill(writer)
            said.append(writer.write())
            where.empty(writer)
            said.append(writer.write())
        finally:
            writer.close()
    assert said == ["written", "OSError", "written"]
    assert (folder / "kept" / "file").stat().st_size >= 400_000
    assert not (folder / "disk").exists()


def test_diskIsFull(tmp_path: Path) -> None:
    """A full disk refuses to be written, an emptied one does not, and what was on it is kept."""
    checkDisk(tmp_path, mount=True)


def test_limitIsAFullDisk(tmp_path: Path) -> None:
    """Where nothing may be mounted, a limit on the size of files does the same."""
    checkDisk(tmp_path, mount=False)


def test_actorThatFails(tmp_path: Path) -> None:
    """An actor that ends with an error is told of, with its last word, and no process is left."""
    settings = SubscriberSettings(str(tmp_path / "no" / "journal"), [freePort()], "", "", 0)
    actor = Actor(f"{__package__}.subscriber", settings, tmp_path / "reader.json")
    wrong: list[str] = []
    with acting([actor], wrong):
        pass
    (said,) = wrong
    assert said.startswith("reader: it ended with 1: FileNotFoundError")


def test_actorThatDoesNotGetOn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An actor that is to finish, and has had nothing to say for long, is told of, and no process is left."""
    monkeypatch.setattr(acted, "_SILENT_S", 0.5)
    monkeypatch.setattr(acted, "_LOOK_S", 0.1)
    settings = SubscriberSettings(str(tmp_path / "journal"), [freePort()], "", "", 0)
    reader = Actor(f"{__package__}.subscriber", settings, tmp_path / "reader.json")
    wrong: list[str] = []
    with acting([reader], wrong):
        pass
    assert wrong == ["reader: it has not come further in 0.5 s: "]
    assert reader._process.poll() is not None
