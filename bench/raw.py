"""
The disk: append and fdatasync, with nothing above it. C{python -m bench.raw FOLDER BYTES COUNT}.

A log is written this way, so this is the most that any durable answer can have. What is written where the file
already has room, as in a write-ahead log that is used again, costs less: the file system need not note a new size.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

__all__ = ["measure"]

_SYNCS = 200
_PAGE = 4096


def measure(folder: Path, batchBytes: int, batches: int) -> dict[str, float]:
    """
    Append batches, each made durable before the next.

    @return: C{rate}, batches a second; C{sync} and C{append}, microseconds that 4 KiB and their fdatasync take where
        the file has room, and at its end (medians).
    """
    file = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        batch, page = os.urandom(batchBytes), os.urandom(_PAGE)
        appends = [_write(file, page) for _ in range(_SYNCS)]
        os.lseek(file, 0, os.SEEK_SET)
        syncs = [_write(file, page) for _ in range(_SYNCS)]
        total = sum(_write(file, batch) for _ in range(batches))
    finally:
        os.close(file)
        os.unlink(folder / "raw")
    return {
        "rate": batches / total,
        "sync": statistics.median(syncs) * 1e6,
        "append": statistics.median(appends) * 1e6,
    }


def _write(file: int, data: bytes) -> float:
    """How long it takes, in seconds."""
    start = time.perf_counter()
    os.write(file, data)
    os.fdatasync(file)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
