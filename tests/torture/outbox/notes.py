"""What the client of a campaign heard: notes for the checks, which it never reads itself as long as it is careful."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Union

import msgspec
from msgspec import Struct

__all__ = ["Began", "Doubt", "Note", "Notes", "Reader", "Told", "noted"]


class Began(Struct, frozen=True, tag=True):
    """
    It was started.

    @ivar left: the references of what it found in its outbox that was not certain.
    """

    left: list[str]


class Told(Struct, frozen=True, tag=True):
    """
    A payment is booked, it was told.

    @ivar profit: the amount that it was told.
    @ivar isLate: nobody waited for it any more; it was in the outbox.
    """

    reference: str
    order: int
    login: int
    profit: float
    isLate: bool = False


class Doubt(Struct, frozen=True, tag=True):
    """
    A payment is not booked, or it is not known.

    @ivar isRefused: the server said no, which it never should.
    @ivar isLate: nobody waited for it any more; it was in the outbox.
    """

    reference: str
    why: str
    isRefused: bool = False
    isLate: bool = False


Note = Union[Began, Told, Doubt]
_NOTE = msgspec.json.Decoder(Note)


class Notes:
    """
    A file of notes, to be written. Each note is there, whole, once L{note} is back: whoever is killed takes none along.
    Threads may share it.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, 0o600)

    def note(self, note: Note) -> None:
        """Write it."""
        os.write(self._file, msgspec.json.encode(note) + b"\n")

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, type: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._file)


class Reader:
    """
    Notes, as they are written.

    @ivar notes: those that were there when L{look} was last called.
    """

    def __init__(self, path: Path) -> None:
        self.notes: list[Note] = []
        self._path = path
        self._offset = 0

    def look(self) -> list[Note]:
        """What is new."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole, end, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(end)
        new = [_NOTE.decode(line) for line in whole.splitlines()]
        self.notes += new
        return new


def noted(path: Path) -> list[Note]:
    """All notes of a file."""
    return Reader(path).look()
