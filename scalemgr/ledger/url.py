"""Which ledger: C{sqlite:FOLDER}, or C{memory:}."""

from __future__ import annotations

from pathlib import Path

from ..interfaces import ILedger
from .errors import LedgerRefused
from .memory import MemoryLedger
from .sqlite import SqliteLedger

__all__ = ["folderOf", "ledgerAt"]


def ledgerAt(url: str, base: Path) -> ILedger:
    """
    The ledger that a URL names, not yet open.

    @param base: the folder that a relative one starts from.
    @raise LedgerRefused: if it names none.
    """
    if url == "memory:":
        return MemoryLedger()
    return SqliteLedger(folderOf(url, base))


def folderOf(url: str, base: Path) -> Path:
    """
    The folder of an embedded ledger.

    @raise LedgerRefused: if the URL does not name one.
    """
    scheme, colon, folder = url.partition(":")
    if scheme != "sqlite" or not colon or not folder:
        raise LedgerRefused(f"{url!r} names no ledger; expected sqlite:FOLDER or memory:")
    return base / folder
