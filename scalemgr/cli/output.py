"""What a verb found, for people or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..logs.printing import printable
from .ending import Status, Stop

__all__ = ["Output", "addOutput", "printable"]


def addOutput(parser: argparse.ArgumentParser) -> None:
    """Add the words with which the form of the output is chosen."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line, also on a terminal")
    form.add_argument("--text", action="store_true", help="for people, also into a pipe")


class Output:
    """
    Standard output, as it was asked for.

    @ivar isJson: one JSON object a line; else for people.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.isJson: bool = options.json or not (options.text or sys.stdout.isatty())

    def tell(self, record: Mapping[str, Any], text: str) -> None:
        """
        One thing, in either form. Of the text, what somebody else wrote is to be L{printable}.

        @raise Stop: if it cannot be written, which does not undo what was done.
        """
        try:
            print(json.dumps(record, separators=(",", ":")) if self.isJson else text, flush=True)
        except BrokenPipeError:
            raise
        except OSError as e:
            raise Stop(f"it is done, but what came of it cannot be written: {e.strerror}", Status.UNREAD) from e

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
        """
        A table for people.

        @param right: the columns that are numbers.
        """
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, justify="right" if column in right else "left", overflow="fold")
        for row in rows:
            # As text: in a str, [brackets] would be colours.
            table.add_row(*(Text(printable(cell)) for cell in row))
        # A file has no width of its own.
        Console(width=None if sys.stdout.isatty() else 200).print(table)
