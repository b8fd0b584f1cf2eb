"""Files that the operator names: a configuration, keys, certificates, a list.

They are read again while the daemon runs, in a thread that nobody can stop. So what is in the place of one by mistake,
a pipe that nobody writes to or a device without an end, must not hold that thread for ever, nor fill the memory; and
half of what is being written is not taken for all of it.
"""

from __future__ import annotations

import os
from errno import EBUSY, EFBIG, EINVAL
from pathlib import Path
from stat import S_ISREG

__all__ = ["FILE_BYTES_MAX", "readFile"]

#: A longer one is not read.
FILE_BYTES_MAX = 16 * 1024 * 1024


def readFile(path: Path, bytesMax: int = FILE_BYTES_MAX) -> bytes:
    """
    All of a file.

    @raise OSError: if it cannot be read, is no file such as those on a disk, is too long, or was written to meanwhile;
        C{strerror} says which.
    """
    with open(path, "rb", opener=_opened) as file:
        before = os.fstat(file.fileno())
        if not S_ISREG(before.st_mode):
            raise OSError(EINVAL, "it is no regular file", str(path))
        content = file.read(bytesMax + 1)
        after = os.fstat(file.fileno())
    if len(content) > bytesMax:
        raise OSError(EFBIG, f"it has more than {bytesMax} bytes", str(path))
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OSError(EBUSY, "it was written to while it was read; try again", str(path))
    return content


def _opened(path: str, flags: int) -> int:
    # To open a pipe would wait for who writes to it.
    return os.open(path, flags | os.O_NONBLOCK)
