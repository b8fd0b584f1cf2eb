"""What a client notes, so that what it was told can be compared with the log afterwards.

One JSON document a line. An intent is on the disk before it is sent, an answer as soon as it is heard.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Union

import msgspec
from msgspec import Struct

from .asked import CREATE, MOVES, UNKNOWN_ORDERS

__all__ = ["Began", "Heard", "Journal", "Line", "Lost", "Record", "Sent", "Subscribed", "Trouble", "read"]


class Began(Struct, frozen=True, tag="began"):
    """
    The first record of a client.

    @ivar principal: the id that its token names; keys belong to that.
    """

    principal: str


class Sent(Struct, frozen=True, tag="sent", omit_defaults=True):
    """
    An attempt, about to be sent.

    @ivar n: its number, for L{Heard} and L{Lost}.
    @ivar key: the idempotency key.
    @ivar by: where the key is put, C{extID} or C{idempotency_key}.
    @ivar cents: the amount, in minor units; negative for what goes out.
    @ivar ms: when, in milliseconds since 1970.
    @ivar order: the order that is named, or 0.
    @ivar cmd: of a request for approval: the movement that is asked for.
    @ivar name: a group; C{mark}: a number that no other wish has, which the group or the account is made with.
    @ivar logins: those of a list.
    """

    n: int
    command: str
    key: str
    by: str
    login: int = 0
    cents: int = 0
    comment: str | None = None
    timeout_ms: int | None = None
    ms: int = 0
    order: int = 0
    cmd: int = 0
    name: str = ""
    mark: int = 0
    logins: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        """The command, whatever its form."""
        return self.command.removesuffix("Sync")

    @property
    def isSync(self) -> bool:
        """Is the trade wanted for an answer?"""
        return self.command != self.kind

    @property
    def changes(self) -> bool:
        """Does it name a movement to be changed?"""
        return self.kind in MOVES and self.order > 0

    @property
    def makes(self) -> bool:
        """Does it make a trade, with a number that no other attempt has?"""
        return self.kind == CREATE or (self.kind in MOVES and (not self.order or self.order in UNKNOWN_ORDERS))

    @property
    def content(self) -> tuple[object, ...]:
        """What is asked for, whatever the form: equal for the repeats of one request."""
        money = self.login, self.cents, self.comment, self.order, self.cmd
        return self.kind, *money, self.name, self.mark, self.logins


class Heard(Struct, frozen=True, tag="heard"):
    """The answer to an attempt, as it came."""

    n: int
    line: str


class Lost(Struct, frozen=True, tag="lost"):
    """The connection went away with these attempts unanswered, and why."""

    numbers: list[int]
    why: str


class Subscribed(Struct, frozen=True, tag="subscribed"):
    """A reader's request for what it missed, and the answer to it. Its L{Line}s follow."""

    from_seq: int
    epoch: str
    line: str


class Line(Struct, frozen=True, tag="line"):
    """A line that a reader got, as it came."""

    line: str


class Trouble(Struct, frozen=True, tag="trouble"):
    """Something that must not be, in words."""

    text: str


Record = Union[Began, Sent, Heard, Lost, Subscribed, Line, Trouble]
_RECORD = msgspec.json.Decoder(Record)


class Journal:
    """
    A file to append to.

    A process that was killed may have left half a record; it goes away, for nothing was done about it yet.
    """

    def __init__(self, path: Path) -> None:
        whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, len(whole) + 1 if whole else 0)

    def note(self, *records: Record) -> None:
        """Write them down; they are on the disk when this returns."""
        if records:
            data = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
            while data:
                data = data[os.write(self._file, data) :]
            os.fdatasync(self._file)

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, type: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def read(path: Path) -> list[Record]:
    """Every whole record of a file; none if there is no such file."""
    if not path.exists():
        return []
    return [_RECORD.decode(line) for line in path.read_bytes().split(b"\n")[:-1]]
