"""What other processes may do beside the daemon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scalemgr.ledger.views import Views

from .helpers import commit, deposit, opened, populate
from .keys import flush

READ = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute('SELECT seq FROM view').fetchone()[0])"


def test_readersOutsideDoNoHarm(folder: Path) -> None:
    """Another process that reads the views and goes away leaves the daemon's own connections as they are."""
    with opened(folder) as ledger:
        populate(ledger)
        assert ledger.account(1001) is not None
        # A second connection of the same process to the same file must not cost the first one its locks.
        Views(folder / "views.db", ledger.epoch).close()
        subprocess.run([sys.executable, "-c", READ, str(folder / "views.db")], check=True, capture_output=True)
        order = ledger.reserveOrders(1)
        (booked,) = commit(ledger, deposit(order))
        # Until the views have it nobody sees it there, and the trade is found in the log.
        flush(ledger)
        assert ledger.trade(order) is not None
        seen = subprocess.run(
            [sys.executable, "-c", READ, str(folder / "views.db")], check=True, capture_output=True, text=True
        )
        # The head is the balance:event of what was booked.
        assert int(seen.stdout) == booked.seq + 1
