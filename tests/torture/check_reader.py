"""What a reader of the log must have got: all of it, once, in order, byte for byte."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence

import ujson

from .history import Entry
from .journal import Line, Record, Subscribed, Trouble
from .subscriber import CHANNELS

__all__ = ["checkReader"]


def checkReader(
    name: str,
    records: Sequence[Record],
    log: Sequence[Entry],
    epoch: str,
    channels: Collection[str] = CHANNELS,
    mayBeAway: bool = False,
) -> list[str]:
    """
    All that is wrong with what a reader noted.

    @param channels: the events that it has chosen.
    @param mayBeAway: could it be that the log could not be read for a while? Then it may be told so when it asks.
    """
    expected = {entry.seq: lineOf(entry) for entry in log if entry.isBroadcast and entry.event in channels}
    reading = _Reading(expected, epoch, mayBeAway)
    for record in records:
        if isinstance(record, Subscribed):
            reading.subscribed(record)
        elif isinstance(record, Line):
            reading.heard(record.line)
        elif isinstance(record, Trouble):
            reading.wrong.append(record.text)
    missing = sorted(expected.keys() - reading.seen)
    if missing:
        reading.wrong.append(f"{len(missing)} events were missed, the first is {missing[0]}")
    if not reading.done:
        reading.wrong.append("the last replay did not come to its end")
    return [f"{name}: {wrong}" for wrong in reading.wrong]


def lineOf(entry: Entry) -> str:
    """The event that is sent for an entry, as it is on the wire."""
    return (
        f'{{"event":"{entry.event}","type":{entry.type},"data":{entry.data},'
        f'"seq":{entry.seq},"time":{entry.time_ms / 1000}}}'
    )


class _Reading:
    """One reader, record by record."""

    def __init__(self, expected: dict[int, str], epoch: str, mayBeAway: bool) -> None:
        self.wrong: list[str] = []
        self.seen: set[int] = set()
        self.done = False
        self._expected = expected
        self._epoch = epoch
        self._mayBeAway = mayBeAway
        self._seqs = sorted(expected)
        # The last event, and where the replay ended.
        self._last = self._floor = 0

    def subscribed(self, record: Subscribed) -> None:
        """It asked to read on."""
        self.done = False
        self._floor = 0
        answer = ujson.loads(record.line)
        isAway = answer["status"] == 503 or answer["data"].get("error") in ("RET_ERR_DISK", "RET_ERR_TIMEOUT")
        if answer["status"] != 200 and not (self._mayBeAway and isAway):
            self.wrong.append(f"it could not read on from {record.from_seq}: {record.line}")
        if record.from_seq != self._last:
            self.wrong.append(f"it read on from {record.from_seq}, and had come to {self._last}")

    def heard(self, line: str) -> None:
        """It got a line."""
        message = ujson.loads(line)
        if message["event"] == "replay:done":
            self._replayed(message["data"])
        elif message["event"] != "lagged":
            self._event(message.get("seq"), line)

    def _replayed(self, data: dict[str, object]) -> None:
        seq = data.get("seq")
        if self.done:
            self.wrong.append(f"a replay came to its end twice: {data}")
        self.done = True
        if data.get("epoch") != self._epoch or not isinstance(seq, int) or seq < self._last:
            self.wrong.append(f"a replay ended with {data}, after event {self._last} of {self._epoch}")
            return
        if bisect_right(self._seqs, seq) > bisect_right(self._seqs, self._last):
            self.wrong.append(f"a replay ended at {seq}, and the last event before that was {self._last}")
        self._floor = seq

    def _event(self, seq: object, line: str) -> None:
        if not isinstance(seq, int) or seq not in self._expected:
            self.wrong.append(f"an event that the log does not have: {line}")
            self._last = max(self._last, seq if isinstance(seq, int) else 0)
            return
        if seq in self.seen:
            self.wrong.append(f"event {seq} came twice")
        elif seq <= max(self._last, self._floor):
            self.wrong.append(f"event {seq} came after {max(self._last, self._floor)}")
        if line != self._expected[seq]:
            self.wrong.append(f"event {seq} came as {line}, the log has {self._expected[seq]}")
        self.seen.add(seq)
        self._last = max(self._last, seq)
