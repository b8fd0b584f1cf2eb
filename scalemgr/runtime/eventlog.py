"""The live end of the log: each committed entry as an event, to everyone who may see it, in order."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger

from ..finance.masks import Mask
from ..finance.records import Entry
from ..interfaces import IEventReader
from ..wire.messages import event

__all__ = ["EventLog"]


class EventLog:
    """Those who listen. An entry is encoded once, and a reader gets all events of a batch in one piece."""

    _log = Logger()

    def __init__(self) -> None:
        # By mask: readers with the same one get the same bytes.
        self._readers: dict[str, tuple[Mask, list[IEventReader]]] = {}

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
        if not self._readers:
            return
        lines = [event(e.event, e.type, e.data, e.seq, e.time_ms) for e in entries]
        for mask, readers in tuple(self._readers.values()):
            seen = [(line, e.seq) for line, e in zip(lines, entries, strict=True) if mask.covers(e.group)]
            if not seen:
                continue
            piece, last = b"".join(line for line, _ in seen), seen[-1][1]
            for reader in tuple(readers):
                try:
                    reader.deliver(piece, last)
                except Exception:
                    # One broken reader must not cost the others their events.
                    self._log.failure("a reader of events failed")
