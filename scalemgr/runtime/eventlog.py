"""The log as it is told: each committed entry as an event, to everyone who may see it, in order.

Live, or once more from any entry on (L{scalemgr.runtime.replay}): the same entry is the same line, byte for
byte. What is told ends at C{head}: an entry that is committed, but of which nobody has been told yet, is not
replayed either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..finance.masks import Mask
from ..finance.records import BROADCAST, Entry
from ..interfaces import IEventReader, ILedger
from ..wire.messages import event
from .orders import InThread

__all__ = ["EventLog"]


class EventLog:
    """
    Those who listen. An entry is encoded once, and a reader gets all events of a batch in one piece.

    @param inReplay: runs the ledger's C{entries}.
    @ivar head: the last entry that was told.
    """

    _log = Logger()

    def __init__(self, ledger: ILedger, inReplay: InThread) -> None:
        self._ledger = ledger
        self._inReplay = inReplay
        self.head = 0
        # By mask: readers with the same one get the same bytes.
        self._readers: dict[str, tuple[Mask, list[IEventReader]]] = {}

    @property
    def epoch(self) -> str:
        """The name of the log."""
        return self._ledger.epoch

    def attach(self, reader: IEventReader) -> None:
        """From now on, send it events."""
        self._readers.setdefault(reader.mask.text, (reader.mask, []))[1].append(reader)

    def detach(self, reader: IEventReader) -> None:
        """Send it no more. Its mask must be the one that it came with."""
        _, readers = self._readers[reader.mask.text]
        readers.remove(reader)
        if not readers:
            del self._readers[reader.mask.text]

    def publish(self, entries: Sequence[Entry]) -> None:
        """Send what was committed."""
        if not entries:
            return
        self.head = entries[-1].seq
        told = [(_line(e), e) for e in entries if e.event in BROADCAST] if self._readers else []
        for mask, readers in tuple(self._readers.values()):
            seen = [(line, e.seq) for line, e in told if mask.covers(e.group)]
            if not seen:
                continue
            piece, last = b"".join(line for line, _ in seen), seen[-1][1]
            for reader in tuple(readers):
                try:
                    reader.deliver(piece, last)
                except Exception:
                    # One broken reader must not cost the others their events.
                    self._log.failure("a reader of events failed")

    def page(self, after: int, count: int, mask: Mask) -> Deferred[bytes]:
        """
        The events of C{count} entries that follow one, as lines; those of them that the mask covers.

        @return: a Deferred that fails if not all of these entries are there.
        """

        def lines(entries: Iterable[Entry]) -> bytes:
            expected = range(after + 1, after + 1 + count)
            if [e.seq for e in entries] != list(expected):
                raise ValueError(f"the log has a gap between entry {expected.start} and entry {expected.stop - 1}")
            return b"".join(_line(e) for e in entries if e.event in BROADCAST and mask.covers(e.group))

        return self._inReplay(self._ledger.entries, after, count).addCallback(lines)


def _line(entry: Entry) -> bytes:
    return event(entry.event, entry.type, entry.data, entry.seq, entry.time_ms)
