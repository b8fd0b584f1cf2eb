"""What happened, put in order: each client's attempts by key, and the log's entries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Raw, Struct, field

from .answers import Answer, Kind, understand
from .journal import Began, Heard, Record, Sent

__all__ = ["PAGES", "SETTER", "Attempt", "Entry", "Key", "attempts", "entries", "entriesIn", "entriesOf", "keys"]


#: Who sets the scene: makes the first group and its accounts.
SETTER = "torture"

#: A file with the pages of a log, one a line: the last and the first number on it, its stamp, and what is on it.
PAGES = "pages.json"


class Entry(Struct, frozen=True):
    """An entry of the log, as its table has it."""

    seq: int
    time_ms: int
    event: str
    type: int
    login: int
    order: int
    balance: int
    credit: int
    principal: str
    key: str | None
    data: str
    group: str

    @property
    def isTrade(self) -> bool:
        """Is it about a movement of money, or a request for one?"""
        return self.event == "trade:event"

    @property
    def isOutcome(self) -> bool:
        """Is it what became of a request that was not refused?"""
        return self.event in ("trade:event", "user:event", "group:event", "accounts:deleted")

    @property
    def isRefusal(self) -> bool:
        """Was a request refused?"""
        return self.event == "request:refused"

    @property
    def moves(self) -> bool:
        """Was money moved?"""
        return bool(self.balance or self.credit)

    @property
    def isBroadcast(self) -> bool:
        """Is it an event? A refusal is an entry, but nobody is told."""
        return self.event in ("trade:event", "user:event", "group:event", "balance:event")


class Attempt(Struct, frozen=True):
    """
    One request, and its answer if there was one.

    @ivar sentAt: when, in records of the client's journal; C{heardAt} likewise.
    """

    client: str
    principal: str
    sent: Sent
    sentAt: int
    answer: Answer | None = None
    heardAt: int = -1

    def __str__(self) -> str:
        answer = f"{self.answer.status} {self.answer.kind.value}" if self.answer is not None else "no answer"
        return f"{self.client} #{self.sent.n} {self.sent.command}: {answer}"

    def isKind(self, *kinds: Kind) -> bool:
        """Was it answered so?"""
        return self.answer is not None and self.answer.kind in kinds


class Key(Struct):
    """
    Everything about one key of one principal.

    @ivar attempts: what was to be done, in the order of their journal.
    @ivar questions: what was asked about it.
    @ivar effects: the entries that the log has for it, less those that say no.
    @ivar refusals: the other entries that it has.
    """

    name: str
    attempts: list[Attempt] = field(default_factory=list)
    questions: list[Attempt] = field(default_factory=list)
    effects: list[Entry] = field(default_factory=list)
    refusals: list[Entry] = field(default_factory=list)


def attempts(client: str, records: Sequence[Record]) -> list[Attempt]:
    """What a journal says was asked, each with what it says was answered."""
    made: dict[int, Attempt] = {}
    principal = ""
    for at, record in enumerate(records):
        if isinstance(record, Began):
            principal = record.principal
        elif isinstance(record, Sent):
            made[record.n] = Attempt(client, principal, record, at)
        elif isinstance(record, Heard):
            asked = made[record.n]
            answer = understand(asked.sent.command, record.line, asked.sent.changes)
            made[record.n] = Attempt(client, principal, asked.sent, asked.sentAt, answer, at)
    return list(made.values())


def keys(made: Sequence[Attempt], log: Sequence[Entry]) -> dict[tuple[str, str], Key]:
    """All of it by principal and key; a key that only the log has is there, too."""
    found: dict[tuple[str, str], Key] = {}

    def of(principal: str, key: str) -> Key:
        return found.setdefault((principal, key), Key(f"{principal}/{key}"))

    for attempt in made:
        mine = of(attempt.principal, attempt.sent.key)
        (mine.questions if attempt.sent.command == "GetRequest" else mine.attempts).append(attempt)
    for entry in log:
        if entry.key is None or (entry.principal == SETTER and not entry.isTrade):
            continue
        if entry.isOutcome:
            of(entry.principal, entry.key).effects.append(entry)
        elif not entry.isBroadcast:
            of(entry.principal, entry.key).refusals.append(entry)
    return found


_COLUMNS = ", ".join(f'"{name}"' for name in Entry.__struct_fields__)


def entries(path: Path) -> list[Entry]:
    """The log in this file. It is only read."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return [Entry(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM entry ORDER BY seq")]


class _Row(Struct, array_like=True):
    """An entry as it is on a page of PostgreSQL, where what comes after its data is of no interest here."""

    seq: int
    time_ms: int
    event: str
    type: int
    group: str
    login: int
    order: int
    balance: int
    credit: int
    principal: str
    key: str | None
    fingerprint: str | None
    data: Raw


_ROWS = msgspec.json.Decoder(list[_Row])
_PAGE = msgspec.json.Decoder(tuple[int, int, str, str])


def entriesOf(pages: Iterable[str]) -> list[Entry]:
    """The entries on these pages, in the order in which they are there."""
    return [
        Entry(*(getattr(row, name) for name in Entry.__struct_fields__[:-2]), bytes(row.data).decode(), row.group)
        for page in pages
        for row in _ROWS.decode(page)
    ]


def entriesIn(folder: Path) -> list[Entry]:
    """The log that a campaign left in this folder, of whatever kind; nothing, if it never came to one."""
    if (pages := folder / PAGES).exists():
        return entriesOf(_PAGE.decode(line)[-1] for line in pages.read_bytes().splitlines())
    path = folder / "ledger" / "log.db"
    return entries(path) if path.exists() else []
