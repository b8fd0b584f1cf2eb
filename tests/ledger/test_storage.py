"""What a folder takes, has, and whether it can be written to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from scalemgr.interfaces import Storage
from scalemgr.ledger.memory import MemoryLedger

from .helpers import opened, populate


def test_sizes(folder: Path) -> None:
    """Each file there is has its size, what is not there is not named, and the free space is the file system's."""
    with opened(folder) as ledger:
        populate(ledger)
        storage = ledger.storage()
        files = {path.name: path.stat().st_size for path in folder.iterdir() if path.name.startswith("log.db")}
        assert {"log.db", "log.db-wal"} <= files.keys()
        assert {name: size for name, size in storage.files.items() if name in files} == {
            name: size for name, size in files.items() if not name.endswith("-shm")
        }
        assert "book.snapshot" not in storage.files
        system = os.statvfs(folder)
        assert storage.free is not None
        assert abs(storage.free - system.f_bavail * system.f_frsize) < 1024**3
        assert (storage.folder, storage.refusal) == (str(folder), "")


def test_readOnly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that went read-only, and a folder that may not be written, are told without writing."""
    with opened(folder) as ledger:
        real = os.statvfs(folder)
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        assert ledger.storage().refusal == f"this process may not write in {folder}"

        class ReadOnly:
            f_bavail, f_frsize, f_flag = real.f_bavail, real.f_frsize, real.f_flag | os.ST_RDONLY

        monkeypatch.setattr(os, "statvfs", lambda path: ReadOnly)
        assert ledger.storage().refusal == f"the disk of {folder} is mounted for reading only"


def test_gone(folder: Path, tmp_path: Path) -> None:
    """A folder, or a log, that was taken away is told."""
    with opened(folder) as ledger:
        (folder / "log.db").rename(tmp_path / "log.db")
        assert ledger.storage().refusal == f"{folder} has no log.db any more; stop, and put it back"
        (tmp_path / "log.db").rename(folder / "log.db")
        shutil.move(folder, tmp_path / "elsewhere")
        assert ledger.storage() == Storage(
            str(folder), refusal=f"{folder} cannot be looked at: No such file or directory"
        )
        shutil.move(tmp_path / "elsewhere", folder)


def test_memory() -> None:
    """A ledger in memory has no files, no bound that is known, and can be written."""
    assert MemoryLedger().storage() == Storage()
