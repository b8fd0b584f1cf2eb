"""An outbox beside a core: what the three drivers have in common about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Union

import ujson
from msgspec import Struct

from .asking import Asked, Intent, Told
from .errors import ClientError
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
        self._outbox = Outbox(path, tell, self._opened)

    def turn(self) -> None:
        """Give the outbox what there is for it."""
        asked = self._requests.takeToKeep()
        if asked:
            intents = [(a.command, str(a.key), str(a.text)) for a in asked]
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
        # If it cannot be had, each request is told so.
        if not isinstance(result, Exception):
            self._requests.resume(result, self._now())
            self._changed()

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
