"""A thread for what blocks: the ledger's, and its readers'.

What C{deferToThreadPool} does, for one thread that never ends before the daemon does: without a pool's bookkeeping
there and back costs two thirds, and each batch goes there and back.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

__all__ = ["OwnThread"]

_Call = tuple["Deferred[Any]", Callable[..., Any], tuple[Any, ...]]


class OwnThread:
    """
    Runs what it is given one at a time, in the order in which it was given: an C{InThread}.

    @param reactor: in whose thread the Deferreds fire.
    @param name: what the thread is called.
    """

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; what was given before is run, too."""
        self._thread.start()

    def __call__(self, f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self._calls.put((done, f, args))
        return done

    def stop(self) -> None:
        """End, when all that was given so far is run. Blocks until then."""
        self._calls.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            done, f, args = call
            try:
                result = f(*args)
            except BaseException:
                self._reactor.callFromThread(done.errback, Failure())
            else:
                self._reactor.callFromThread(done.callback, result)
            # The next call may be long in coming, and what this one was about need not wait for it.
            del call, done, f, args
            result = None
