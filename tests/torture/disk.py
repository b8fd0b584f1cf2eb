"""A disk that can be full: a small file system in memory where this process may mount one, else a limit."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .daemon import Daemon

__all__ = ["Disk", "disk"]

_SIZE = 1024 * 1024 * 1024
_LIMIT = 64 * 1024


class Disk:
    """
    Where the ledger is.

    @param mounted: is it a file system of its own?
    """

    def __init__(self, folder: Path, mounted: bool) -> None:
        self.folder = folder
        self.mounted = mounted

    def fill(self, daemon: Daemon | None = None) -> None:
        """
        From now on nothing can be written, or hardly anything.

        @param daemon: who writes, if it is not a file system of its own.
        """
        if not self.mounted:
            assert daemon is not None
            daemon.limitFiles(_LIMIT)
            return
        for slack in range(4, 24):
            stats = os.statvfs(self.folder)
            used = (stats.f_blocks - stats.f_bfree) * stats.f_frsize
            # It cannot be made smaller than what is in it, and that may just have grown.
            if self._resize(used + slack * stats.f_frsize):
                return
            time.sleep(0.01)
        raise OSError("the disk could not be filled")

    def empty(self, daemon: Daemon | None = None) -> None:
        """Everything can be written again."""
        if self.mounted:
            assert self._resize(_SIZE)
        else:
            assert daemon is not None
            daemon.limitFiles(None)

    def _resize(self, size: int) -> bool:
        return _quietly("mount", "-o", f"remount,size={size}", str(self.folder))


@contextmanager
def disk(folder: Path, keep: Path | None, *, mount: bool = True) -> Iterator[Disk]:
    """
    A disk in this folder. It is gone afterwards; what was on it is then in the other folder, if there is one.

    @param mount: try to mount one? Else it is an ordinary folder.
    """
    folder.mkdir()
    mounted = (
        mount
        and os.geteuid() == 0
        and _quietly("mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=700", "x", str(folder))
    )
    try:
        yield Disk(folder, mounted)
    finally:
        if keep is not None:
            shutil.copytree(folder, keep)
        if mounted:
            # Lazily, in case somebody is still in there.
            _quietly("umount", "-l", str(folder))
        shutil.rmtree(folder, ignore_errors=True)


def _quietly(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
