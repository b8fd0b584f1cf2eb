"""Makes a deposit in a folder, says which process makes the views of it, and waits to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from scalemgr.ledger.process import ProcessProjector

from .helpers import depositEach, opened, populate


def main() -> None:
    with opened(Path(sys.argv[1]), follow=ProcessProjector) as ledger:
        depositEach(populate(ledger), 10)
        assert isinstance(ledger._projector, ProcessProjector)
        sys.stdout.write(f"{ledger._projector.pid}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
