"""
The disk: append and fdatasync, with nothing above it. C{python -m bench.raw FOLDER BYTES COUNT}.

A log is written this way, so this is the most that any durable answer can have.
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

    @return: C{rate}, batches a second; C{sync}, microseconds that one append and fdatasync of 4 KiB takes (median).
    """
    file = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        batch, page = os.urandom(batchBytes), os.urandom(_PAGE)
        _append(file, page)
        syncs = [_append(file, page) for _ in range(_SYNCS)]
        total = sum(_append(file, batch) for _ in range(batches))
    finally:
        os.close(file)
        os.unlink(folder / "raw")
    return {"rate": batches / total, "sync": statistics.median(syncs) * 1e6}


def _append(file: int, data: bytes) -> float:
    """How long it takes, in seconds."""
    start = time.perf_counter()
    os.write(file, data)
    os.fdatasync(file)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
