"""C{scalemgr tail}: what happens, as it happens, or from some entry of the log on; across breaks of the connection."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime

from ..client import Event
from ..client.following import EVENTS
from .ending import Status
from .output import Output, addOutput, printable
from .server import addServer, ask, asking, connected

__all__ = ["declare"]

_TYPES = {0: "added", 1: "changed", 2: "deleted"}


def declare(parser: argparse.ArgumentParser) -> None:
    """Add its words."""
    parser.add_argument(
        "--from-seq", type=_natural, metavar="N", help="first what followed this entry; 0: all there is (default: now)"
    )
    parser.add_argument("--epoch", help="the log that --from-seq counts in: if it is another now, that is told")
    parser.add_argument("--login", type=_natural, help="only what is about this account")
    parser.add_argument(
        "--event", action="append", choices=EVENTS, metavar="NAME", help=f"only these (repeatable): {', '.join(EVENTS)}"
    )
    parser.add_argument("--count", type=_natural, metavar="N", help="end after so many")
    addServer(parser)
    addOutput(parser)
    parser.set_defaults(run=_tail)


def _natural(text: str) -> int:
    if not text.isdecimal() or int(text) > 2**53:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def _tail(options: argparse.Namespace) -> int:
    output = Output(options)
    left = options.count
    if left == 0:
        return Status.DONE
    with asking(output), connected(options) as client:
        # Who asks for events waits for a server for ever; whether there is one is to be known at once.
        log = ask(client, "Ping", {}).data
        seq, epoch = options.from_seq, options.epoch
        if seq is None:
            seq, epoch = log["seq"], log["epoch"]
        if not output.isJson:
            print(f"scalemgr: log {log['epoch']}, after entry {seq}; Ctrl-C ends", file=sys.stderr)
        for event in client.events(options.event or EVENTS, from_seq=seq, epoch=epoch):
            if options.login is not None and event.data.get("login") != options.login:
                continue
            print(event.line if output.isJson else _text(event), flush=True)
            if left is not None:
                left -= 1
                if not left:
                    break
    return Status.DONE


def _text(event: Event) -> str:
    when = datetime.fromtimestamp(event.time or 0, UTC).strftime("%Y-%m-%d %H:%M:%S")
    what = f"{event.event.removesuffix(':event')} {_TYPES.get(event.type or 0, event.type)}"
    data = event.data
    # ASCII only, and so harmless.
    facts = " ".join(f"{name}={json.dumps(data[name])}" for name in _FACTS if data.get(name) not in (None, "", {}))
    return f"{when}  {event.seq:>9}  {printable(what):16}  {facts}"


#: What people want to see of what changed.
_FACTS = (
    *("login", "order", "profit", "balance", "credit", "equity", "balance_version", "state", "group", "name", "enable"),
    *("currency", "comment"),
)
