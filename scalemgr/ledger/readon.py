"""Reading on in a log: what comes of being able to read some entries after another, in whatever it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ..finance.records import Entry

__all__ = ["ReadOn"]

# So many entries are read at once where all are. What is made of more leaves the CPU's caches, and takes up to twice as
# long.
_READ = 500
_READ_BYTES = 16 * 1024 * 1024


class ReadOn:
    """A log, less its storage."""

    def read(self, after: int, limit: int, bytesMax: int | None = None) -> list[Entry]:
        """
        Up to C{limit} entries that follow the entry C{after}: fewer only where the log ends, or before damage.

        @param bytesMax: fewer also if they have more than about so many bytes: entries may be large.
        @raise ValueError: if the next one is on a page that is damaged.
        """
        raise NotImplementedError

    def pages(self, after: int) -> Iterator[list[Entry]]:
        """All entries that follow the entry C{after}, many at a time."""
        while page := self.read(after, _READ, _READ_BYTES):
            yield page
            after = page[-1].seq

    def olderThan(self, beforeMs: int, after: int, limit: int) -> int:
        """
        How far, from the entry C{after} on and for at most C{limit} keys, all entries with a key are older than this.

        @return: the last of those entries; C{after} if there is none.
        """
        upTo = after
        for entry in chain.from_iterable(self.pages(after)):
            if entry.key is None:
                continue
            if entry.time_ms >= beforeMs or not limit:
                break
            upTo = entry.seq
            limit -= 1
        return upTo
