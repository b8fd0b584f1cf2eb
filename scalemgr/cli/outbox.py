"""C{--outbox}: what is meant to be done is on this disk before it is said, and is seen to by whoever opens it next."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from ..client import Client, ClientError, Outcome

__all__ = ["Outbox", "addOutbox"]


def addOutbox(parser: argparse.ArgumentParser) -> None:
    """Add the word."""
    parser.add_argument(
        "--outbox",
        type=Path,
        metavar="PATH",
        help="a file that the request is in, on the disk, before it is sent. If this is killed, whatever asks with the "
        "same file next sees to it first, and tells what became of it",
    )


class Outbox:
    """
    What was left in an outbox by others.

    @ivar words: what L{Client} is to be made with.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._path: Path | None = options.outbox
        self._told: SimpleQueue[Outcome] = SimpleQueue()
        self._left: set[str] = set()
        self.words: dict[str, Any] = {}
        if self._path is not None:
            self.words = {"outbox": self._path, "onOutcome": self._told.put}

    def open(self, client: Client) -> None:
        """
        See what was left in it, and begin to ask for it.

        @raise ClientError: if it cannot be had.
        """
        if self._path is not None:
            self._left = {intent.key for intent in client.unfinished()}

    def settle(self, key: str, seconds: float) -> None:
        """
        Wait for what was left in it to be certain, and tell what became of it.

        @param key: of the request that has its answer.
        @param seconds: how long at most.
        """
        self._left.discard(key)
        until = time.monotonic() + seconds
        # The last turn takes what there is without waiting: what was certain before anybody looked, too.
        with suppress(Empty):
            while True:
                left = until - time.monotonic() if self._left else 0.0
                outcome = self._told.get(timeout=max(0.0, left))
                self._left.discard(outcome.key)
                _say(_text(outcome))
        if self._left:
            _say(f"not certain yet, and still in {self._path}: {', '.join(sorted(self._left))}")


def _say(sentence: str) -> None:
    # If nobody can read it, the verb still ended as it did.
    with suppress(OSError):
        print(f"scalemgr: {sentence}", file=sys.stderr, flush=True)


def _text(outcome: Outcome) -> str:
    if isinstance(outcome.result, ClientError):
        return f"from the outbox: {outcome.result}"
    order = outcome.result.data.get("order")
    return f"from the outbox: {outcome.command} {outcome.key} was done{f', order {order}' if order else ''}"
