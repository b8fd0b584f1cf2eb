"""Torture daemons and see whether they kept their promises: C{python -m tests.torture --kills 200}.

There is one, with its ledger on a small disk; with C{--ledger postgresql} there are two, on one ledger, with a server
that is tortured as well; with C{--ledger postgresql-standby} that server fails for good now and then.

Prints what was done, and each discrepancy; the exit status is 1 if there is one, and its traces are kept.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from .campaign import LEDGERS, Campaign, run
from .havoc import Plan


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=(__doc__ or "").split(":")[0] + ".")
    parser.add_argument("--kills", type=int, default=200, help="how often a daemon is killed; the rest goes with that")
    parser.add_argument("--seconds", type=float, default=3600.0, help="after so many, nothing more is done to it")
    parser.add_argument("--clients", type=int, default=4, help="processes that move money")
    parser.add_argument("--seed", type=int, default=None, help="for what is drawn; another run still differs in time")
    parser.add_argument("--ledger", choices=LEDGERS, default="sqlite", help="where the ledger is")
    parser.add_argument("--gateways", type=int, help="how many daemons there are on it; on sqlite there can be but one")
    parser.add_argument("--folder", type=Path, help="a new folder that is kept; else one that is kept if need be")
    parser.add_argument(
        "--no-mount", action="store_true", help="mount no small disk: limit the files, if there is one daemon"
    )
    options = parser.parse_args()
    gateways = options.gateways or (1 if options.ledger == "sqlite" else 2)
    if gateways > 1 and options.ledger == "sqlite":
        parser.error("several gateways take a ledger on postgresql")
    # So that every process is ended when this one is.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    if options.folder is None:
        folder = Path(tempfile.mkdtemp(prefix="torture-"))
    else:
        folder = options.folder.absolute()
        folder.mkdir(parents=True)
    _say(f"seed {seed}, in {folder}")
    plan = Plan.around(options.kills, options.seconds)
    verdict = run(Campaign(folder, plan, options.clients, seed, not options.no_mount, options.ledger, gateways))
    _say(str(verdict))
    if verdict.wrong:
        _say(f"seed {seed}; journals and ledger are in {folder}")
    elif options.folder is None:
        shutil.rmtree(folder)
    return 1 if verdict.wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
