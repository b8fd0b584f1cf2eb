"""A thread of its own: in order, whatever fails, and to the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from scalemgr.runtime.ownthread import OwnThread


class Reactor:
    """Keeps what is to be called in its thread until it is turned."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()

    def callFromThread(self, f: Callable[..., Any], *args: Any) -> None:
        self._calls.put((f, args))

    def turn(self) -> None:
        """Make one call, when there is one."""
        f, args = self._calls.get(timeout=30)
        f(*args)


def test_inOrder() -> None:
    """Calls run one at a time, in the order in which they were asked for, also those from before it was started; the
    Deferreds fire in the reactor's thread."""
    reactor, ran = Reactor(), list[tuple[int, str]]()
    call = OwnThread(reactor, "mine")  # type: ignore[arg-type]
    results = [call(lambda n: ran.append((n, threading.current_thread().name)) or -n, n) for n in range(3)]
    call.start()
    results += [call(lambda n: ran.append((n, threading.current_thread().name)) or -n, n) for n in range(3, 6)]
    call.stop()
    assert ran == [(n, "mine") for n in range(6)]
    assert not any(result.called for result in results)
    for _ in results:
        reactor.turn()
    assert [result.result for result in results] == [0, -1, -2, -3, -4, -5]


def test_fails() -> None:
    """What is raised is a failure of that call alone; the next one runs."""
    reactor = Reactor()
    call = OwnThread(reactor, "mine")  # type: ignore[arg-type]
    call.start()
    failed, well = call(lambda: 1 / 0), call(lambda: 7)
    reactor.turn()
    reactor.turn()
    call.stop()
    assert well.result == 7
    with pytest.raises(ZeroDivisionError):
        failed.result.raiseException()  # type: ignore[union-attr]
    failed.addErrback(lambda _: None)
