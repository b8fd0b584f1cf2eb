"""How much room a ledger's folder takes, and has, and whether it can be written to: without writing."""

from __future__ import annotations

import os
from pathlib import Path

from ..interfaces import Storage

__all__ = ["FILES", "lookAt"]

#: What a folder has, with what SQLite keeps beside its files.
FILES = ("log.db", "log.db-wal", "views.db", "views.db-wal", "book.snapshot")


def lookAt(folder: Path) -> Storage:
    """Look at a folder. What cannot be found out is not told; that the folder is gone is why it cannot be written."""
    where = str(folder.absolute())
    try:
        system = os.statvfs(folder)
    except OSError as e:
        return Storage(where, refusal=f"{where} cannot be looked at: {e.strerror}")
    files: dict[str, int] = {}
    for name in FILES:
        try:
            files[name] = (folder / name).stat().st_size
        except OSError:
            # Some are there only sometimes.
            continue
    return Storage(where, files, system.f_bavail * system.f_frsize, _refusal(folder, where, system.f_flag, files))


def _refusal(folder: Path, where: str, flags: int, files: dict[str, int]) -> str:
    if flags & os.ST_RDONLY:
        return f"the disk of {where} is mounted for reading only"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"this process may not write in {where}"
    if "log.db" not in files:
        return f"{where} has no log.db any more; stop, and put it back"
    return ""
