"""The book, written down, so that a start need not fold the whole log.

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
from ..finance.turnover import Turnover

__all__ = ["dumpSnapshot", "loadSnapshot", "readSnapshot", "saveSnapshot"]

# Raise this whenever the shape of what is kept changes.
_VERSION = 4


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    epoch: str
    seq: int
    next_login: int
    forgotten: int
    sha256: str


class _Moved(msgspec.Struct, array_like=True, gc=False):
    day: int
    principal: str
    currency: str
    # In digits: it may have more of them than MessagePack's integers can.
    trillionths: str


class _Body(msgspec.Struct, array_like=True):
    groups: list[Group]
    accounts: list[Account]
    moved: list[_Moved]


def dumpSnapshot(epoch: str, book: Book) -> bytes:
    """The book, written down."""
    moved = [_Moved(*key, str(trillionths)) for key, trillionths in book.turnover.sums.items()]
    body = msgspec.msgpack.encode(_Body(list(book.groups.values()), list(book.accounts.values()), moved))
    header = _Header(_VERSION, epoch, book.seq, book.nextLogin, book.forgotten, "")
    header.sha256 = _checksum(header, body)
    return msgspec.json.encode(header) + b"\n" + body


def saveSnapshot(path: Path, epoch: str, book: Book) -> None:
    """Write the book into a file, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(dumpSnapshot(epoch, book))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def loadSnapshot(path: Path, epoch: str) -> Book | None:
    """The book that a file has of this log, or C{None}."""
    try:
        return readSnapshot(path.read_bytes(), epoch)
    except OSError:
        return None


def readSnapshot(text: bytes, epoch: str) -> Book | None:
    """The book that was written down for this log, or C{None}."""
    first, _, body = text.partition(b"\n")
    try:
        header = msgspec.json.decode(first, type=_Header)
        if (header.version, header.epoch) != (_VERSION, epoch) or _checksum(header, body) != header.sha256:
            return None
        content = msgspec.msgpack.decode(body, type=_Body)
        return _book(header, content)
    except (msgspec.DecodeError, KeyError, ValueError):
        return None


def _checksum(header: _Header, body: bytes) -> str:
    known = [header.version, header.epoch, header.seq, header.next_login, header.forgotten]
    return hashlib.sha256(msgspec.json.encode(known) + body).hexdigest()


def _book(header: _Header, content: _Body) -> Book:
    book = Book()
    book.seq = header.seq
    book.nextLogin = header.next_login
    book.forgotten = header.forgotten
    book.turnover = Turnover.fromSums({(m.day, m.principal, m.currency): int(m.trillionths) for m in content.moved})
    book.groups = {group.group: group for group in content.groups}
    names = {name: name for name in book.groups}
    for account in content.accounts:
        if account.deleted:
            # Its group may be gone, too.
            names.setdefault(account.group, account.group)
        # One string a group, so that a million accounts share it.
        book.accounts[account.login] = msgspec.structs.replace(account, group=names[account.group])
    return book
