"""The book in a file, so that a start need not fold the whole log.

One line of JSON with what it is and a checksum, then the book in MessagePack. A snapshot that is torn, of
another log or of another version of this code is no snapshot; the log has it all.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from ..finance.book import Book
from ..finance.records import Account, Group

__all__ = ["loadSnapshot", "saveSnapshot"]

# Raise this whenever the shape of what is kept changes.
_VERSION = 1


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    epoch: str
    seq: int
    next_login: int
    sha256: str


class _Body(msgspec.Struct, array_like=True):
    groups: list[Group]
    accounts: list[Account]


def saveSnapshot(path: Path, epoch: str, book: Book) -> None:
    """Write the book down, whole or not at all."""
    body = msgspec.msgpack.encode(_Body(list(book.groups.values()), list(book.accounts.values())))
    header = _Header(_VERSION, epoch, book.seq, book.nextLogin, hashlib.sha256(body).hexdigest())
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        file.write(msgspec.json.encode(header) + b"\n" + body)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def loadSnapshot(path: Path, epoch: str) -> Book | None:
    """The book that was saved for this log, or C{None}."""
    try:
        first, _, body = path.read_bytes().partition(b"\n")
        header = msgspec.json.decode(first, type=_Header)
        if (header.version, header.epoch) != (_VERSION, epoch) or hashlib.sha256(body).hexdigest() != header.sha256:
            return None
        content = msgspec.msgpack.decode(body, type=_Body)
    except (OSError, msgspec.DecodeError):
        return None
    book = Book()
    book.seq = header.seq
    book.nextLogin = header.next_login
    book.groups = {group.group: group for group in content.groups}
    for account in content.accounts:
        # The group's own string, so that a million accounts share it.
        shared = msgspec.structs.replace(account, group=book.groups[account.group].group)
        book.accounts[account.login] = shared
    return book
