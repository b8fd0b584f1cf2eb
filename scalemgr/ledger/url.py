"""Which ledger: C{sqlite:FOLDER}, or C{memory:}."""

from __future__ import annotations

from pathlib import Path

from ..interfaces import ILedger
from .errors import LedgerRefused
from .memory import MemoryLedger
from .process import ProcessProjector
from .sqlite import FolderLock, SqliteLedger

__all__ = ["folderOf", "ledgerAt", "probe"]


def ledgerAt(url: str, base: Path) -> ILedger:
    """
    The ledger that a URL names, not yet open. Its views are kept up by a process beside this one.

    @param base: the folder that a relative one starts from.
    @raise LedgerRefused: if it names none.
    """
    if url == "memory:":
        return MemoryLedger()
    try:
        return SqliteLedger(folderOf(url, base), follow=ProcessProjector)
    except LedgerRefused:
        raise LedgerRefused(f"{url!r} names no ledger; expected sqlite:FOLDER or memory:") from None


def probe(url: str, base: Path) -> None:
    """
    See whether a ledger could be opened, as far as that can be seen without making or keeping anything.

    @raise LedgerRefused: if it surely could not.
    """
    if isinstance(ledgerAt(url, base), SqliteLedger):
        folder = folderOf(url, base)
        if (folder / "lock").exists():
            FolderLock(folder).release()


def folderOf(url: str, base: Path) -> Path:
    """
    The folder of an embedded ledger.

    @raise LedgerRefused: if the URL does not name one.
    """
    scheme, colon, folder = url.partition(":")
    if scheme != "sqlite" or not colon or not folder:
        raise LedgerRefused(f"{url!r} names no ledger in a folder; expected sqlite:FOLDER")
    return base / folder
