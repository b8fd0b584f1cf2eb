"""C{scalemgr account} and C{scalemgr statement}."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from ..client import Client
from ..finance.money import Currencies
from .ending import Status
from .options import addSpan, spanOf
from .output import Output, addOutput, printable
from .progress import Progress
from .server import addServer, ask, asking, connected

__all__ = ["declare", "declareStatement"]

# Rows that are asked for at a time.
_PAGE = 1000
_MONEY = ("balance", "credit", "equity", "margin", "margin_free")
_AMOUNTS = ("amount", "credit_amount", "balance", "credit")


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the words of C{account}."""
    parser.add_argument("login", type=int, metavar="LOGIN", help="the account")
    addServer(parser)
    addOutput(parser)
    parser.set_defaults(run=_account)


def _account(options: argparse.Namespace) -> int:
    output = Output(options)
    with asking(output), connected(options) as client:
        account = ask(client, "GetAccountByLogin", {"login": options.login}).data
    digits = _digits(account.get("currency"))
    shown = {
        name: _money(value, digits) if name in _MONEY else _when(value) if name in ("regdate", "update_time") else value
        for name, value in account.items()
        if value not in ("", None)
    }
    width = max(map(len, shown), default=0) + 2
    output.tell(account, "\n".join(f"{name:{width}}{printable(str(value))}" for name, value in shown.items()))
    return Status.DONE


def declareStatement(parser: argparse.ArgumentParser) -> None:
    """Add the words of C{statement}."""
    parser.add_argument("login", type=int, metavar="LOGIN", help="the account")
    addSpan(parser, "what was booked from this time on", "what was booked up to this time")
    addServer(parser)
    parser.add_argument("--csv", action="store_true", help="the movements as CSV, with the names of the columns first")
    addOutput(parser)
    parser.set_defaults(run=_statement)


def _statement(options: argparse.Namespace) -> int:
    output = Output(options)
    since, until = spanOf(options) or (0, 0)
    asked = {"login": options.login, "from": since, "to": max(0, until - 1), "limit": _PAGE}
    with asking(output), connected(options) as client:
        pages = _pages(client, asked)
        first = next(pages)
        structure = first["structure"]
        rows = _rows(first, pages, isSeen=sys.stdout.isatty() and (options.csv or output.isJson))
        if options.csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(structure)
            writer.writerows(rows)
        elif output.isJson:
            output.tell({name: value for name, value in first.items() if name not in ("structure", "rows")}, "")
            for row in rows:
                output.tell(dict(zip(structure, row, strict=True)), "")
        else:
            _show(output, first, rows)
    return Status.DONE


def _pages(client: Client, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A statement, page by page, all as of the entry that the first one is as of."""
    while True:
        page = ask(client, "GetStatement", asked).data
        yield page
        if len(page["rows"]) < asked["limit"]:
            return
        place = page["structure"].index("seq")
        asked = {**asked, "after_seq": page["rows"][-1][place], "as_of": asked.get("as_of", page["seq"])}


def _rows(first: dict[str, Any], rest: Iterator[dict[str, Any]], *, isSeen: bool) -> Iterator[list[Any]]:
    """All rows. Where they do not come on the screen as they are read, it is told how many have."""
    done = 0
    with Progress("movements") as progress:
        for page in chain([first], rest):
            yield from page["rows"]
            done += len(page["rows"])
            if not isSeen:
                progress(done, first["count"])


def _show(output: Output, statement: dict[str, Any], rows: Iterator[list[Any]]) -> None:
    digits = _digits(statement["currency"])
    structure = statement["structure"]

    def cell(name: str, value: Any) -> str:
        return _money(value, digits) if name in _AMOUNTS else _when(value) if name == "time" else str(value)

    output.table(
        structure,
        ([cell(name, value) for name, value in zip(structure, row, strict=True)] for row in rows),
        right=[name for name in structure if name not in ("comment", "time")],
    )
    opening, closing = (_money(statement[f"{end}_balance"], digits) for end in ("opening", "closing"))
    credit = _money(statement["closing_credit"], digits)
    print(
        f"{statement['login']} in {printable(statement['group'])}: opening {opening}, closing {closing} "
        f"{printable(statement['currency'])}, credit {credit}; {statement['count']} movements as of entry "
        f"{statement['seq']}"
    )


def _digits(currency: object) -> int | None:
    try:
        return Currencies().digits(str(currency))
    except ValueError:
        # One of the server's own.
        return None


def _money(value: Any, digits: int | None) -> str:
    return str(value) if digits is None or not isinstance(value, (int, float)) else f"{value:.{digits}f}"


def _when(value: Any) -> str:
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S") if value else ""
