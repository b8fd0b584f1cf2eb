"""Deposit a list of payments while everybody is killed, and see whether each is booked once.

C{python -m tests.torture.outbox} does it with each of the three clients in turn, or with one of them. Prints what was
done, and each discrepancy; the exit status is 1 if there is one, and its traces are kept.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from .payer import KINDS
from .scene import Campaign, run
from .strikes import Plan


def main() -> int:
    """The exit status."""
    plan = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.torture.outbox", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--payments", type=int, default=plan.payments, help="how long the list is")
    parser.add_argument("--kills", type=int, default=plan.kills, help="how often the daemon is killed")
    parser.add_argument("--client-kills", type=int, default=plan.payerKills, help="how often the client is killed")
    parser.add_argument("--client", choices=list(KINDS), help="which client (default: one after the other)")
    parser.add_argument("--careless", action="store_true", help="without outbox and keys, to see that this fails")
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="how long it may take, of each client")
    parser.add_argument("--seed", type=int, help="for what is drawn; another run still differs in time")
    parser.add_argument("--folder", type=Path, help="a new folder that is kept; else one that is kept if need be")
    options = parser.parse_args()
    # So that every process is ended when this one is.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    if options.folder is None:
        folder = Path(tempfile.mkdtemp(prefix="outbox-"))
    else:
        folder = options.folder.absolute()
        folder.mkdir(parents=True)
    plan = Plan(options.payments, options.kills, options.client_kills, seconds=options.seconds)
    wrong = 0
    for kind in [options.client] if options.client else KINDS:
        _say(f"{kind} client, seed {seed}, in {folder / kind}")
        (folder / kind).mkdir()
        verdict = run(Campaign(folder / kind, plan, kind, seed, not options.careless))
        _say(str(verdict))
        wrong += len(verdict.wrong)
    if wrong:
        _say(f"seed {seed}; notes, outbox and ledger are in {folder}")
    elif options.folder is None:
        shutil.rmtree(folder)
    return 1 if wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
