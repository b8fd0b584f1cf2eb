"""A process that reads every event of the log that it has chosen, across whatever happens to the daemon and to itself.

The last event that it has is the last one in its journal; from there it reads on. When its standard input
ends, it reads on once more until it is told that it has everything, and ends; meanwhile it says how far it is.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from scalemgr.client.session import ClientSession, Event, Reply, WireError

from .journal import Journal, Line, Subscribed, Trouble, read

__all__ = ["CHANNELS", "SubscriberSettings", "main", "seqOf"]

CHANNELS = ("trade:event", "user:event", "group:event", "balance:event")
_PATIENCE_S = 9.0
_REFUSALS_MAX = 20
_SAY_S = 5.0


class SubscriberSettings(Struct):
    """
    Who a reader is.

    @ivar ports: the daemons that it may ask, any of them each time.
    @ivar epoch: the log's.
    @ivar hangUp: does it leave now and then without being asked to?
    @ivar channels: the events that it chooses.
    """

    journal: str
    ports: list[int]
    token: str
    epoch: str
    seed: int
    hangUp: bool = True
    channels: tuple[str, ...] = CHANNELS


class _Seq(Struct):
    seq: int | None = None


_SEQ = msgspec.json.Decoder(_Seq)


def seqOf(line: str) -> int | None:
    """The place in the log that an event names."""
    return _SEQ.decode(line).seq


class Subscriber:
    """The loop of a reader."""

    def __init__(self, settings: SubscriberSettings, journal: Journal, last: int) -> None:
        self._settings = settings
        self._journal = journal
        self._random = Random(settings.seed)
        self._last = last
        self._finishing = False
        self._refusals = 0
        self._saying = 0.0

    def run(self) -> None:
        """Until it has everything there is, after the standard input has ended."""
        while True:
            finishing = self._finishing = self._finishing or _ended()
            caughtUp = False
            try:
                address = "127.0.0.1", self._random.choice(self._settings.ports)
                with socket.create_connection(address, 2) as connection:
                    caughtUp = self._follow(connection)
            except (OSError, WireError) as e:
                if isinstance(e, WireError):
                    self._journal.note(Trouble(f"the reader heard: {e}"))
                time.sleep(0.02)
            if finishing and caughtUp:
                return

    def _follow(self, connection: socket.socket) -> bool:
        """Read on one connection, until it breaks or is left; was everything there was replayed?"""
        wire = ClientSession(self._settings.token)
        if self._random.random() < 0.3:
            # Then it hears live events before it asks for those that it missed.
            connection.sendall(wire.request("Ping", {}, "ping"))
        asked = {"chanels": self._settings.channels, "from_seq": self._last, "epoch": self._settings.epoch}
        connection.sendall(wire.request("Subscribe", asked, "subscribe"))
        subscribed = caughtUp = False
        word = time.monotonic()
        leave = word + (self._random.uniform(0.3, 6) if self._settings.hangUp else 1e9)
        while True:
            ready = select.select([connection] if self._finishing else [connection, sys.stdin.buffer], [], [], 0.2)[0]
            now = time.monotonic()
            if connection in ready:
                data = connection.recv(262_144)
                if not data:
                    return caughtUp
                word = now
                messages = wire.receive(data)
                if not subscribed:
                    messages = self._answerIn(messages)
                    subscribed = bool(messages) and isinstance(messages[0], Reply)
                    messages = messages[1:]
                if subscribed:
                    caughtUp = self._keep(messages) or caughtUp
            if not self._finishing and (sys.stdin.buffer in ready or now > leave):
                return False
            if now - word > _PATIENCE_S or (self._finishing and caughtUp):
                return caughtUp

    def _answerIn(self, messages: list[Reply | Event]) -> list[Reply | Event]:
        """From the answer to the subscription on; what came before it is none of its business."""
        for i, message in enumerate(messages):
            if isinstance(message, Reply) and message.extID == "subscribe":
                self._journal.note(Subscribed(self._last, self._settings.epoch, message.line))
                if message.status in (500, 503):
                    # Nothing was done: perhaps later it will be.
                    time.sleep(0.1)
                    raise ConnectionError(message.line)
                if message.status != 200:
                    self._refusals += 1
                    if self._refusals > _REFUSALS_MAX:
                        raise SystemExit(f"it could not subscribe: {message.line}")
                    raise ConnectionError(message.line)
                self._refusals = 0
                return messages[i:]
        return []

    def _keep(self, messages: Iterable[Reply | Event]) -> bool:
        """Note each line, and remember how far it goes; is the replay done?"""
        done = False
        lines = [message.line for message in messages]
        self._journal.note(*map(Line, lines))
        for message in messages:
            if isinstance(message, Event):
                done = done or message.event == "replay:done"
                self._last = max(self._last, message.seq or 0)
        if self._finishing and time.monotonic() >= self._saying:
            self._saying = time.monotonic() + _SAY_S
            sys.stderr.write(f"at entry {self._last}\n")
        return done


def _ended() -> bool:
    return bool(select.select([sys.stdin.buffer], [], [], 0)[0]) and os.read(0, 1) == b""


def main(path: str) -> None:
    """Be the reader that this file describes."""
    settings = msgspec.json.decode(Path(path).read_bytes(), type=SubscriberSettings)
    file = Path(settings.journal)
    seqs = [seqOf(record.line) or 0 for record in read(file) if isinstance(record, Line)]
    with Journal(file) as journal:
        Subscriber(settings, journal, max(seqs, default=0)).run()


if __name__ == "__main__":
    main(sys.argv[1])
