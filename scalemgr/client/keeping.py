"""An outbox beside a core: what the three drivers have in common about it.

Nothing is put into it before it is known who we are, and that what is in it is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Union

import ujson
from msgspec import Struct

from .asking import Asked, Intent, Told
from .errors import ClientError
from .identity import named
from .outbox import Outbox
from .requests import Requests
from .session import Reply

__all__ = ["Keeping", "Outcome", "outcomeOf"]


class Outcome(Struct, frozen=True):
    """
    What became of a request that was in the outbox, when nobody waited for it any more.

    @ivar data: as it was sent, with its C{idempotency_key}.
    @ivar result: the answer, or the L{ClientError} that a caller would have been raised.
    """

    command: str
    key: str
    data: dict[str, Any]
    result: Union[Reply, ClientError]


class Keeping:
    """
    Carries requests between a core and an outbox.

    @param tell: calls what it is given, with its argument, in the thread of the core.
    @param now: what the driver's clock says.
    @param changed: the core has something to do.
    """

    def __init__(
        self,
        path: Path,
        requests: Requests,
        tell: Callable[..., object],
        now: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._requests = requests
        self._now = now
        self._changed = changed
        self._path = path
        # What was in it, until it is known who we are; then whose it is, and how much in it is another's than ours.
        self._found: list[Intent] | None = None
        self._caller: str | None = None
        self._left = 0
        self._isBroken = False
        self._outbox = Outbox(path, tell, self._opened)

    def turn(self) -> None:
        """Give the outbox what there is for it."""
        if self._found is not None and self._requests.caller is not None:
            self._begin(self._found, self._requests.caller)
        if self._caller is None and not self._isBroken:
            return
        asked = self._requests.takeToKeep()
        refusal = self._refusal()
        if refusal:
            for each in asked:
                self._requests.notKept(each, refusal)
        elif asked:
            intents = [(a.command, str(a.key), str(a.text), a.caller or "") for a in asked]
            self._outbox.keep(intents, lambda result: self._kept(asked, result))
        settled = self._requests.takeToSettle()
        if settled:
            rows = [row for row, _ in settled]
            canWait = not self._requests.isAwaited(rows)
            self._outbox.settle(settled, lambda error: self._settled(rows, error), canWait=canWait)

    def look(self, done: Callable[[list[Intent] | Exception], None]) -> None:
        """What is in it that is not certain, after all that was given to it so far."""
        self._outbox.look(done)

    def stop(self, stopped: Callable[[None], None]) -> None:
        """Let go of it, when all that was given to it is done, and tell."""
        self._outbox.stop(stopped)

    def _opened(self, result: list[Intent] | Exception) -> None:
        if isinstance(result, Exception):
            # Each request is told so.
            self._isBroken = True
        else:
            self._found = result
        self._changed()

    def _begin(self, found: list[Intent], caller: str) -> None:
        self._found = None
        others = [intent.caller for intent in found if intent.caller not in (None, caller)]
        if others:
            self._caller, self._left = others[0], len(others)
            return
        self._caller = caller
        self._requests.resume(found, self._now())
        self._changed()

    def _refusal(self) -> str:
        """Why nothing is put into it; empty: it is."""
        caller = self._requests.caller
        if self._isBroken or caller == self._caller:
            return ""
        left = f"has {self._left} unfinished of {named(self._caller)}" if self._left else f"is of {named(self._caller)}"
        return f"{self._path} {left}, and this is {named(caller)}: use the token of the one, or another outbox"

    def _kept(self, asked: list[Asked], result: list[int] | Exception) -> None:
        if isinstance(result, Exception):
            for each in asked:
                self._requests.notKept(each, str(result))
        else:
            for each, row in zip(asked, result, strict=True):
                self._requests.kept(each, row, self._now())
        self._changed()

    def _settled(self, rows: list[int], error: Exception | None) -> None:
        self._requests.settled(rows, "" if error is None else str(error))
        self._changed()


def outcomeOf(told: Told) -> Outcome:
    """As it is told to whoever asked for outcomes."""
    return Outcome(told.asked.command, str(told.asked.key), ujson.loads(told.asked.text), told.result)
