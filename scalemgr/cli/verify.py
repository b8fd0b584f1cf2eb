"""C{scalemgr verify}."""

from __future__ import annotations

import argparse

from ..ledger.audit import Audit, Tell, verify
from ..ledger.errors import LedgerRefused
from ..ledger.url import isPostgres, postgres
from .ending import Status, stopping
from .options import addLedger, folderThere, ledgerSettings, reaching
from .output import Output, addOutput
from .progress import Progress
from .quiet import hush

__all__ = ["declare"]


def declare(parser: argparse.ArgumentParser) -> None:
    """Add its words."""
    addLedger(parser)
    addOutput(parser)
    parser.set_defaults(run=_verify)


@stopping(LedgerRefused)
def _verify(options: argparse.Namespace) -> int:
    hush()
    output = Output(options)
    with Progress("entries folded") as progress:
        audit = _audit(options, progress)
    for difference in audit.differences:
        output.tell({"difference": difference}, difference)
    count = len(audit.differences)
    verdict = f"{count} {'difference' if count == 1 else 'differences'}" if count else "no difference"
    if not audit.hasViews:
        verdict += " (there are no views yet: the first gateway makes them)"
    others = audit.seq - audit.events - audit.refusals
    output.tell(
        {
            "epoch": audit.epoch,
            "seq": audit.seq,
            "events": audit.events,
            "refusals": audit.refusals,
            "others": others,
            "keys": audit.keys,
            "accounts": audit.accounts,
            "trades": audit.trades,
            "views": audit.hasViews,
            "differences": count,
        },
        f"log {audit.epoch}: {audit.seq} entries ({audit.events} events, {audit.refusals} refusals, {others} others), "
        f"{audit.keys} keys, {audit.accounts} accounts, {audit.trades} trades as of entry {audit.seq}: {verdict}",
    )
    return Status.NO if count else Status.DONE


def _audit(options: argparse.Namespace, tell: Tell) -> Audit:
    settings, base = ledgerSettings(options)
    if isPostgres(settings.url):
        with reaching():
            audit: Audit = postgres("auditing").verify(settings, tell)
            return audit
    return verify(folderThere(settings, base), tell)
