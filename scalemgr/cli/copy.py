"""C{scalemgr copy} and C{scalemgr renew}."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from ..ledger.copying import Copied, IOrigin, ITarget, copy, originAt, targetAt
from ..ledger.errors import LedgerRefused
from ..ledger.folders import renew
from ..ledger.settings import LedgerSettings
from ..ledger.url import isPostgres, postgres
from .ending import Status, stopping
from .options import addLedger, addSkippedOrders, checked, folderThere, ledgerSettings, reaching
from .output import Output, addOutput
from .progress import Progress
from .quiet import hush

__all__ = ["declare", "declareRenew"]


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the words of C{copy}."""
    url = "sqlite:FOLDER, or postgresql://... (a password is better in a passfile than in a word)"
    parser.add_argument("--from", dest="origin", required=True, metavar="URL", help=f"the ledger to copy: {url}")
    parser.add_argument(
        "--to",
        dest="target",
        required=True,
        metavar="URL",
        help="where to; there must be nothing, or what an earlier copy of the same ledger has brought there",
    )
    addOutput(parser)
    parser.set_defaults(run=_copy)


@stopping(LedgerRefused)
def _copy(options: argparse.Namespace) -> int:
    hush()
    base = Path.cwd()
    for url in (options.origin, options.target):
        checked(LedgerSettings(url=url), base)
    with (
        reaching(),
        closing(originAt(options.origin, base)) as origin,
        closing(targetAt(options.target, base)) as target,
    ):
        with Progress("entries copied") as progress:
            done = copy(origin, target, progress)
        Output(options).tell(
            {
                "from": origin.shown,
                "to": target.shown,
                "epoch": done.epoch,
                "seq": done.seq,
                "copied": done.count,
                "next_order": done.nextOrder,
                "whole": not done.why,
                **({"why": done.why} if done.why else {}),
            },
            _text(origin, target, done),
        )
    return Status.NO if done.why else Status.DONE


def _text(origin: IOrigin, target: ITarget, done: Copied) -> str:
    there = f"log {done.epoch} up to entry {done.seq} is at {target.shown} ({done.count} entries were copied now)"
    if done.why:
        return (
            f"{there}, and not whole: {done.why}. Then say the same again, for the last time: only what has come since "
            "is copied then"
        )
    then = "Now `scalemgr verify` it, name it in the configuration, and start"
    if not isPostgres(target.shown):
        then = "Name it in the configuration, start, which makes the views, and `scalemgr verify` it"
    return (
        f"{there}, and whole. {then}. Start nothing on {origin.shown} any more: from then on it would be another log "
        "of the same name"
    )


def declareRenew(parser: argparse.ArgumentParser) -> None:
    """Add the words of C{renew}."""
    addLedger(parser)
    addSkippedOrders(parser)
    addOutput(parser)
    parser.set_defaults(run=_renew)


@stopping(LedgerRefused)
def _renew(options: argparse.Namespace) -> int:
    hush()
    settings, base = ledgerSettings(options)
    with reaching():
        if isPostgres(settings.url):
            epoch, seq, nextOrder = postgres("copying").renew(settings, options.skip_orders)
        else:
            epoch, seq, nextOrder = renew(folderThere(settings, base), options.skip_orders)
    Output(options).tell(
        {"epoch": epoch, "seq": seq, "next_order": nextOrder},
        f"the ledger has the entries up to {seq} and is a new log, {epoch}: whoever follows the old one is told to "
        f"read anew. Orders go on from {nextOrder}.",
    )
    return Status.DONE
