"""Has the views on a server made, says which process does it, and waits to be killed."""

from __future__ import annotations

import sys

from scalemgr.ledger.postgres.following import Servers
from scalemgr.ledger.process import ProcessProjector
from scalemgr.ledger.settings import LedgerSettings


def main() -> None:
    url, viewsUrl = sys.argv[1:]
    projector = ProcessProjector(
        Servers(LedgerSettings(url=url, views_url=viewsUrl, statement_seconds=120, lock_seconds=120))
    )
    projector.begin()
    sys.stdout.write(f"{projector.pid}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        projector.wake(int(line))
        sys.stdout.write("woken\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
