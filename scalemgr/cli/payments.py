"""A payment provider's list, as CSV: references, logins and amounts."""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TextIO

from ..ledger.reconcile import Payment

__all__ = ["BadLine", "Columns", "addColumns", "payments"]

_DELIMITERS = ";,\t|"
_AMOUNT = re.compile(r"(?P<sign>[+-]?)(?P<whole>\d{1,15})(\.(?P<fraction>\d{1,12}))?")
_LOGIN = re.compile(r"\d{1,16}")


class BadLine(NamedTuple):
    """A line that cannot be read, and why."""

    line: int
    why: str


class Columns(NamedTuple):
    """
    How a list is written.

    @ivar delimiter: C{None}: the one that the first line has most of.
    @ivar decimalComma: C{1234,50} is an amount, and C{1234.50} is none.
    @ivar negate: what is positive in the list went out.
    """

    reference: str
    login: str
    amount: str
    delimiter: str | None
    decimalComma: bool
    negate: bool

    @classmethod
    def of(cls, options: argparse.Namespace) -> Columns:
        """What the words of L{addColumns} say."""
        return cls(
            options.reference_column,
            options.login_column,
            options.amount_column,
            options.delimiter,
            options.decimal_comma,
            options.payouts,
        )


def addColumns(parser: argparse.ArgumentParser) -> None:
    """Add the words that say how a list is written."""
    for name, what in (
        ("reference", "what names the payment"),
        ("login", "the account"),
        ("amount", "how much, in the account's currency; what went out is negative"),
    ):
        parser.add_argument(f"--{name}-column", default=name, metavar="NAME", help=f"{what} (default: {name})")
    parser.add_argument("--delimiter", type=_delimiter, help="what is between columns (default: the first line tells)")
    parser.add_argument("--decimal-comma", action="store_true", help="amounts are written like 1234,50")
    parser.add_argument("--payouts", action="store_true", help="the amounts are of what went out, and are positive")


def _delimiter(text: str) -> str:
    text = text.replace("\\t", "\t")
    if len(text) != 1:
        raise argparse.ArgumentTypeError("expected one character")
    return text


@contextmanager
def _opened(name: str) -> Iterator[TextIO]:
    """A file, or standard input as C{-}. Spreadsheets begin UTF-8 with a mark, which is no part of it."""
    if name == "-":
        sys.stdin.reconfigure(encoding="utf-8-sig", newline="")  # type: ignore[union-attr]
        yield sys.stdin
    else:
        with open(name, encoding="utf-8-sig", newline="") as file:
            yield file


def payments(name: str, columns: Columns) -> Iterator[Payment | BadLine]:
    """
    Each line of a list, and what is wrong with those that are none.

    @param name: of the file; C{-} is standard input.
    @raise OSError: if it cannot be read.
    @raise ValueError: with a sentence, if it is no list at all.
    """
    with _opened(name) as file:
        first = file.readline()
        delimiter = columns.delimiter or max(_DELIMITERS, key=first.count)
        heads = [head.strip().casefold() for head in next(csv.reader([first], delimiter=delimiter), [])]
        places = [_place(heads, wanted, first) for wanted in columns[:3]]
        # Strictly: a quote that is not closed would swallow all lines that follow.
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except (csv.Error, UnicodeDecodeError) as e:
                # What follows can no more be told apart.
                yield BadLine(rows.line_num + 1, f"it cannot be read, nor what follows: {e}")
                return
            if any(map(str.strip, row)):
                yield _payment(row, rows.line_num + 1, len(heads), places, columns)


def _place(heads: list[str], wanted: str, first: str) -> int:
    found = [place for place, head in enumerate(heads) if head == wanted.strip().casefold()]
    if len(found) != 1:
        how = "no column" if not found else "more than one column"
        raise ValueError(f"the first line names {how} {wanted!r}: {first.strip()[:200]!r}")
    return found[0]


def _payment(row: list[str], line: int, width: int, places: list[int], columns: Columns) -> Payment | BadLine:
    if len(row) != width:
        return BadLine(line, f"it has {len(row)} columns, the first line {width}")
    reference, login, amount = (row[place].strip() for place in places)
    if not reference:
        return BadLine(line, "it has no reference")
    if not _LOGIN.fullmatch(login) or not login.isascii():
        return BadLine(line, f"{login[:50]!r} is no login")
    if columns.decimalComma:
        amount = amount.translate(str.maketrans(",.", ".,"))
    found = _AMOUNT.fullmatch(amount)
    if not found or not amount.isascii():
        return BadLine(line, f"{row[places[2]].strip()[:50]!r} is no amount")
    fraction = (found["fraction"] or "").rstrip("0")
    minor = int(found["whole"] + fraction)
    if not minor:
        return BadLine(line, "nothing was paid: its amount is 0")
    if minor >= 10**15:
        return BadLine(line, "its amount has more than 15 digits")
    negative = (found["sign"] == "-") != columns.negate
    return Payment(line, reference, int(login), -minor if negative else minor, len(fraction))
