"""C{scalemgr deposit} and C{scalemgr withdraw}.

The key of a request is told before anything is sent. So whoever is cut off, or ends the command, can say the same again
with that key: it is applied once, and the answer is that of the first.
"""

from __future__ import annotations

import argparse
import re
from functools import partial
from typing import Any

from ..client import Reply
from ..client.declared import parameters
from .ending import Status
from .outbox import Outbox, addOutbox
from .output import Output, addOutput, printable
from .server import addServer, ask, asking, connected, newKey

__all__ = ["declare", "declareWithdraw"]

_AMOUNT = re.compile(r"\d{1,15}(\.\d{1,12})?")


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the words of C{deposit}."""
    _declare(parser, "BalanceInSync", "")


def declareWithdraw(parser: argparse.ArgumentParser) -> None:
    """Add the words of C{withdraw}."""
    _declare(parser, "BalanceOutSync", "-")


def _declare(parser: argparse.ArgumentParser, command: str, sign: str) -> None:
    parser.add_argument("login", type=int, metavar="LOGIN", help="the account")
    parser.add_argument(
        "amount", type=_amount, metavar="AMOUNT", help="how much, above 0, in the account's currency: 250.00"
    )
    parser.add_argument(
        "--key",
        help="names the request, best by the number of the payment: said again with the same key it is not booked "
        "again. Default: a new one, which is told before anything is sent",
    )
    parser.add_argument("--comment", help="what the statement says")
    addOutbox(parser)
    addServer(parser)
    addOutput(parser)
    parser.set_defaults(run=partial(_move, command, sign))


def _amount(text: str) -> str:
    if not _AMOUNT.fullmatch(text) or not text.isascii() or not text.strip("0."):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount above 0; expected one like 250.00")
    return text


def _move(command: str, sign: str, options: argparse.Namespace) -> int:
    output = Output(options)
    key = options.key
    outbox = Outbox(options)
    with asking(output), connected(options, **outbox.words) as client:
        given = {"login": options.login, "amount": sign + options.amount, "comment": options.comment}
        data = parameters(command, {**given, "idempotency_key": key})
        outbox.open(client)
        if key is None:
            key = newKey()
        reply = ask(client, command, data, key=key)
        _tell(output, reply, key)
        outbox.settle(key, options.timeout)
    return Status.DONE


def _tell(output: Output, reply: Reply, key: str) -> None:
    record = {**reply.data, "idempotency_key": key, "replayed": reply.replayed}
    output.tell(record, _text(reply.data, replayed=reply.replayed))


def _text(trade: dict[str, Any], *, replayed: bool) -> str:
    again = " (by an earlier request with this key)" if replayed else ""
    if not {"profit", "login", "order"} <= trade.keys():
        # A token may withhold any of it.
        return f"done{again}; not all of the trade is shown to this token"
    digits = trade.get("digits")
    amount = abs(trade["profit"])
    shown = f"{amount:.{digits}f}" if isinstance(digits, int) else str(amount)
    done = "withdrawn from" if trade["profit"] < 0 else "deposited on"
    comment = printable(str(trade.get("comment", "")))
    return (
        f"{shown} {done} {trade['login']}: order {trade['order']}, balance version {trade.get('balance_version')}, "
        f"{comment!r}{again}"
    )
