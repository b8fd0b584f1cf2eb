"""C{scalemgr reconcile}: a payment provider's list, held against the ledger.

Against the log itself, of a ledger or of a backup, and not through the wire: only so is all of it as of one entry, and
only the log knows what was booked and is not in the list.
"""

from __future__ import annotations

import argparse
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from ..ledger.errors import LedgerRefused
from ..ledger.finding import Log
from ..ledger.reading import logAt, logIn
from ..ledger.reconcile import FINDINGS, MATCHED, Finding, Payment, Reconciliation
from ..ledger.settings import LedgerSettings
from ..ledger.url import isPostgres, shown
from ..wire.errors import LedgerFailed
from .ending import Status, Stop, stopping
from .options import addLedger, addSpan, folderThere, ledgerSettings, reaching, spanOf
from .output import Output, addOutput, printable
from .payments import BadLine, Columns, addColumns, payments
from .progress import Progress
from .quiet import hush

__all__ = ["declare"]

# So many lines that cannot be read, or callers, are named; there are as many as in the file, if the column is the wrong
# one.
_NAMED = 20
_TELL_EACH = 10_000


def declare(parser: argparse.ArgumentParser) -> None:
    """Add its words."""
    parser.add_argument(
        "file", metavar="FILE.csv", help="the list, with the names of its columns first; - is standard input"
    )
    which = addLedger(parser)
    which.add_argument("--backup", type=Path, metavar="FILE", help="what `scalemgr backup` made")
    parser.add_argument(
        "--by",
        choices=("key", "comment"),
        default="key",
        help="what a reference is: the idempotency key (or extID), or the comment (default: key)",
    )
    parser.add_argument("--id", help="only what this id asked for, as its token has it (default: anybody)")
    addSpan(parser, "also tell what was booked from this time on, and is not in the list", "the same, up to this time")
    parser.add_argument("--all", action="store_true", help="tell what matched, too")
    addColumns(parser)
    addOutput(parser)
    parser.set_defaults(run=_reconcile)


@stopping(LedgerRefused)
def _reconcile(options: argparse.Namespace) -> int:
    hush()
    opened, name = _opening(options)
    try:
        with (
            closing(opened()) as log,
            closing(Reconciliation(by=options.by, principal=options.id)) as reconciliation,
        ):
            lines = _read(options, reconciliation)
            with Progress("entries of the log read") as progress:
                seq = reconciliation.compare(log, _extra(options), progress)
            if reconciliation.strangers is not None:
                raise Stop(_nobody(options.id, reconciliation.strangers), Status.WORDS)
            return _tell(Output(options), options, log.epoch, seq, lines, reconciliation.findings())
    except (sqlite3.Error, ValueError, LedgerFailed) as e:
        raise Stop(f"{name} cannot be read, or there is no room for temporary files: {e}") from e


def _opening(options: argparse.Namespace) -> tuple[Callable[[], Log], str]:
    """How the log that was named is opened, and what it is called."""
    path: Path = options.backup
    if path is None:
        settings, base = ledgerSettings(options)
        if isPostgres(settings.url):
            return lambda: _reached(settings, base), shown(settings.url, base)
        path = folderThere(settings, base) / "log.db"
    if not path.exists():
        raise Stop(f"{path} does not exist, so there is no ledger to be read", Status.WORDS)
    return lambda: logIn(path), str(path)


def _reached(settings: LedgerSettings, base: Path) -> Log:
    with reaching():
        return logAt(settings, base)


def _nobody(id: str, others: Sequence[str]) -> str:
    has = f"it has {', '.join(map(printable, others[:_NAMED]))}" if others else "it has none at all"
    more = ", and others" if len(others) > _NAMED else ""
    return f"no request of {printable(id)} is in this ledger; {has}{more}"


def _extra(options: argparse.Namespace) -> Callable[[int], bool] | None:
    span = spanOf(options)
    return None if span is None else lambda ms: span[0] * 1000 <= ms < span[1] * 1000


def _read(options: argparse.Namespace, reconciliation: Reconciliation) -> int:
    """Take in the list; how many payments it has."""
    named: list[str] = []
    bad = 0

    def good() -> Iterator[Payment]:
        nonlocal bad
        for line in payments(options.file, Columns.of(options)):
            if not isinstance(line, BadLine):
                if line.line % _TELL_EACH == 0:
                    progress(line.line, 0)
                yield line
                continue
            bad += 1
            if bad <= _NAMED:
                named.append(f"line {line.line}: {printable(line.why)}")

    try:
        with Progress("lines of the list read") as progress:
            count = reconciliation.add(good())
    except (OSError, ValueError) as e:
        raise Stop(f"{options.file} cannot be read: {getattr(e, 'strerror', None) or e}", Status.WORDS) from e
    if bad:
        if bad > _NAMED:
            named.append(f"and {bad - _NAMED} more")
        told = "\n  ".join(named)
        raise Stop(f"{options.file} has lines that are no payments, so nothing was compared:\n  {told}", Status.WORDS)
    return count


def _tell(
    output: Output, options: argparse.Namespace, epoch: str, seq: int, lines: int, findings: Iterator[Finding]
) -> int:
    counts: Counter[str] = Counter()
    for found in findings:
        counts[found.finding] += 1
        if found.finding != MATCHED or options.all:
            output.tell(_record(found), _text(found))
    summary = {name: counts[name] for name in FINDINGS}
    said = ", ".join(f"{count} {name}" for name, count in summary.items())
    output.tell(
        {"epoch": epoch, "seq": seq, "lines": lines, **summary},
        f"{lines} lines against log {epoch} as of entry {seq}: {said}",
    )
    return Status.DONE if counts.total() == counts[MATCHED] else Status.NO


def _record(found: Finding) -> dict[str, object]:
    record: dict[str, object] = {
        "finding": found.finding,
        "line": found.line or None,
        "reference": found.reference,
        "login": found.login,
        "amount": found.amount,
    }
    if found.orders:
        record["orders"] = list(found.orders)
    return {**record, "why": found.why} if found.why else record


def _text(found: Finding) -> str:
    where = f"line {found.line}" if found.line else "no line"
    what = f"{printable(found.reference)} login {found.login} {found.amount}"
    return f"{found.finding:10}{where:14}{what}{': ' if found.why else ''}{found.why}"
