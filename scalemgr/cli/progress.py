"""A bar, or a sentence, on standard error, where something takes longer than two seconds and somebody sees it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

__all__ = ["Progress", "patience"]

# What ends before needs neither.
_PATIENCE_S = 2.0


@contextmanager
def patience(sentence: str, after: Callable[[float, Callable[[], None]], Timer] = Timer) -> Iterator[None]:
    """
    Where something is waited for of which nobody knows how far it is.

    @param after: makes a timer of seconds and what is to be done then.
    """
    if not sys.stderr.isatty():
        yield
        return
    timer = after(_PATIENCE_S, lambda: print(f"scalemgr: {sentence}", file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Progress:
    """
    How far something is. Call it with what is done and of how much (0: nobody knows), as often as you like.

    @param what: what is done, for instance C{"entries"}.
    @param clock: seconds that only grow.
    """

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._began = clock()
        self._bar: Bar | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None and sys.stderr.isatty() and self._clock() - self._began >= _PATIENCE_S:
            self._bar = self._shown()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total or None)

    def _shown(self) -> Bar:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
        bar.add_task(self._what)
        bar.start()
        return bar

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, type: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
