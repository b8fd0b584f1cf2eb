"""C{scalemgr backup} and C{scalemgr restore}."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ..ledger.backup import Copy, backUp, restore
from ..ledger.errors import LedgerRefused
from ..ledger.url import isPostgres
from .ending import Status, Stop, stopping
from .options import addLedger, addSkippedOrders, folderThere, ledgerSettings
from .output import Output, addOutput
from .progress import Progress
from .quiet import hush

__all__ = ["declare", "declareRestore"]

_TOOLS = (
    "a ledger on PostgreSQL is backed up by PostgreSQL: pg_basebackup with an archive of the WAL, or pg_dump; see "
    "docs/operating.md. `scalemgr copy --from postgresql://... --to sqlite:FOLDER` makes a copy that needs no server"
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the words of C{backup}."""
    parser.add_argument("dest", type=Path, metavar="DEST", help="the file to make; nothing is ever written over")
    addLedger(parser)
    parser.add_argument(
        "--no-verify",
        action="store_true",
        help="do not fold the copy to see that it is sound; it takes a tenth of the time then",
    )
    addOutput(parser)
    parser.set_defaults(run=_backUp)


@stopping(LedgerRefused)
def _backUp(options: argparse.Namespace) -> int:
    hush()
    settings, base = ledgerSettings(options)
    if isPostgres(settings.url):
        raise Stop(_TOOLS, Status.WORDS)
    folder = folderThere(settings, base)
    with Progress("entries copied" if options.no_verify else "entries copied, and verified") as progress:
        copy = backUp(folder, options.dest, audit=not options.no_verify, tell=progress)
    verified = "" if options.no_verify else ", verified"
    Output(options).tell(
        {**_record(copy), "verified": not options.no_verify},
        f"log {copy.epoch} up to entry {copy.seq} is in {copy.path} ({copy.size:,} bytes{verified})",
    )
    return Status.DONE


def declareRestore(parser: argparse.ArgumentParser) -> None:
    """Add the words of C{restore}."""
    parser.add_argument("backup", type=Path, metavar="BACKUP", help="what `scalemgr backup` made")
    parser.add_argument(
        "dest", type=Path, metavar="DEST", help="the folder of the new ledger; there must be nothing in it"
    )
    addSkippedOrders(parser)
    addOutput(parser)
    parser.set_defaults(run=_restore)


@stopping(LedgerRefused)
def _restore(options: argparse.Namespace) -> int:
    hush()
    if isPostgres(str(options.dest)):
        raise Stop(
            "a backup is restored into a folder; `scalemgr copy --from sqlite:FOLDER --to postgresql://...` moves it "
            "to PostgreSQL then. What pg_basebackup or pg_dump made is put back with PostgreSQL's own tools: see "
            "docs/operating.md, and `scalemgr renew` after it",
            Status.WORDS,
        )
    if not options.backup.is_file():
        raise Stop(f"{options.backup} is no file, so there is nothing to be restored", Status.WORDS)
    with Progress("entries copied, and verified") as progress:
        copy = restore(
            options.backup, options.dest, int(time.time() * 1000), skippedOrders=options.skip_orders, tell=progress
        )
    Output(options).tell(
        {**_record(copy), "next_order": copy.nextOrder},
        f"the ledger in {options.dest} has the entries up to {copy.seq} and is a new log, {copy.epoch}: whoever "
        f"follows the old one is told to read anew. Orders go on from {copy.nextOrder}.",
    )
    return Status.DONE


def _record(copy: Copy) -> dict[str, object]:
    return {"path": str(copy.path), "epoch": copy.epoch, "seq": copy.seq, "bytes": copy.size}
