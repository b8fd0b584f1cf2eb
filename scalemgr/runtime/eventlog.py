"""The log as it is told: each committed entry as an event, to everyone who may see it, in order.

Who may see what, and wants to, is a reader's L{Interest}. What was refused is no event, and is told to an L{Audit}
only, as a line of the same form whose C{data} says who asked, by which key, and what the answer was::

    {"event": "request:refused", "type": 10019, "data": {"login": 1001, "order": 0, "principal": "crm",
     "key": "payout-77", "refusal": {"error": ..., "message": ..., ...}}, "seq": 12, "time": 1763836800.25}

Live, or once more from any entry on (L{scalemgr.runtime.replay}): the same entry is the same line, byte for
byte. What is told ends at C{head}: an entry that is committed, but of which nobody has been told yet, is not
replayed either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..finance.channels import Audit, Interest
from ..finance.records import BROADCAST, REFUSAL, Entry
from ..interfaces import IEventReader, ILedger
from ..wire.messages import Json, encode, event
from .orders import InThread

__all__ = ["EventLog"]

_AUDITED = BROADCAST | {REFUSAL}


class EventLog:
    """
    Those who listen. An entry is encoded once, and a reader gets all events of a batch in one piece.

    @param inReplay: runs the ledger's C{entries}.
    @ivar head: the last entry that was told.
    @ivar told: how many events were sent to whoever listens, each counted once.
    """

    _log = Logger()

    def __init__(self, ledger: ILedger, inReplay: InThread) -> None:
        self._ledger = ledger
        self._inReplay = inReplay
        self.head = self.told = 0
        # Readers with the same interest get the same bytes.
        self._readers: dict[Interest, list[IEventReader]] = {}

    @property
    def epoch(self) -> str:
        """The name of the log."""
        return self._ledger.epoch

    @property
    def isShared(self) -> bool:
        """May others write to the log, too?"""
        return self._ledger.isShared

    def attach(self, reader: IEventReader) -> None:
        """From now on, send it events."""
        self._readers.setdefault(reader.interest, []).append(reader)

    def detach(self, reader: IEventReader) -> None:
        """Send it no more. Its interest must be the one that it came with."""
        readers = self._readers[reader.interest]
        readers.remove(reader)
        if not readers:
            del self._readers[reader.interest]

    def publish(self, entries: Sequence[Entry]) -> None:
        """Send what was committed."""
        if not entries:
            return
        self.head = entries[-1].seq
        if not self._readers:
            return
        told = [e for e in entries if e.event in BROADCAST]
        self.told += len(told)
        if len(told) < len(entries) and any(isinstance(interest, Audit) for interest in self._readers):
            told = [e for e in entries if e.event in _AUDITED]
        lines = [_line(e) for e in told]
        # Many entries of a batch are of one kind, and whether somebody is sent that is found out once.
        kinds = [(e.event, e.group) for e in told]
        examples = dict(zip(kinds, told, strict=True))
        for interest, readers in tuple(self._readers.items()):
            covered = {kind for kind, e in examples.items() if interest.covers(e)}
            if not covered:
                continue
            if len(covered) == len(examples):
                piece, last = b"".join(lines), told[-1].seq
            else:
                seen = [i for i, kind in enumerate(kinds) if kind in covered]
                piece, last = b"".join([lines[i] for i in seen]), told[seen[-1]].seq
            for reader in tuple(readers):
                try:
                    reader.deliver(piece, last)
                except Exception:
                    # One broken reader must not cost the others their events.
                    self._log.failure("a reader of events failed")

    def page(self, after: int, count: int, reader: IEventReader) -> Deferred[bytes]:
        """
        The events of C{count} entries that follow one, as lines; those of them that the reader is interested in
        by the time that they have been read.

        @return: a Deferred that fails if not all of these entries are there.
        """

        def lines(entries: Iterable[Entry]) -> bytes:
            expected = range(after + 1, after + 1 + count)
            if [e.seq for e in entries] != list(expected):
                raise ValueError(f"the log has a gap between entry {expected.start} and entry {expected.stop - 1}")
            return b"".join(_line(e) for e in entries if reader.interest.covers(e))

        return self._inReplay(self._ledger.entries, after, count).addCallback(lines)


def _line(entry: Entry) -> bytes:
    data = entry.data if entry.event != REFUSAL else _refused(entry)
    return event(entry.event, entry.type, data, entry.seq, entry.time_ms)


def _refused(entry: Entry) -> Json:
    who, key = encode(entry.principal), encode(entry.key)
    return Json(f'{{"login":{entry.login},"order":{entry.order},"principal":{who},"key":{key},"refusal":{entry.data}}}')
