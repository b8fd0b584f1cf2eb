"""The client for scripts and web applications: no reactor, no loop of one's own, any number of threads.

It is an L{AsyncClient} in a thread of its own, one in each process that uses it: a client that was made before a
server forked its workers serves each of them, on a connection of its own. Nothing is opened before the first call.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock, Thread, current_thread
from types import TracebackType
from typing import Any, TypeVar

from .address import parseAddress
from .aio import AsyncClient
from .asking import Intent
from .calling import Blocking, Token
from .commands import Commands
from .declared import answer, parameters
from .errors import ClientClosed, ClientError
from .following import EVENTS, QUEUED_MAX, Follower
from .keeping import Outcome
from .session import Event, Reply

__all__ = ["Client"]

_Result = TypeVar("_Result")


class Client(Commands, Blocking):
    """
    A client whose commands return their answers. Threads may share it.

    @param address: C{tcp:HOST:PORT} or C{tls:HOST:PORT}.
    @param token: a token, or what returns one; it is called for each connection, and when the one before is no
        longer accepted.
    @param deadline: how long a call waits that does not say, in seconds.
    @param ca: a PEM file of the authorities to trust, instead of the system's.
    @param certificate: a PEM file of the client's own certificate.
    @param key: a PEM file of its key, if that is not with it.
    @param hostname: what the server's certificate has to name, if not the host.
    @param outbox: a file for what is to outlive this process (L{scalemgr.client.outbox}). One process has it at a time:
        where a server forks, each worker needs one of its own.
    @param onOutcome: is told, in the client's own thread, what became of what is in the outbox and nobody waits for.
    """

    def __init__(
        self,
        address: str,
        *,
        token: Token = None,
        deadline: float = 30.0,
        ca: str | Path | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        hostname: str | None = None,
        outbox: str | Path | None = None,
        onOutcome: Callable[[Outcome], object] | None = None,
    ) -> None:
        self._address = parseAddress(address, ca=ca, certificate=certificate, key=key, hostname=hostname)

        def made() -> AsyncClient:
            return AsyncClient(
                address,
                token=token,
                deadline=deadline,
                ca=ca,
                certificate=certificate,
                key=key,
                hostname=hostname,
                outbox=outbox,
                onOutcome=onOutcome,
            )

        self._made = made
        # By process. What was the parent's must not be touched: its sockets and its poller are shared.
        self._engines: dict[int, _Engine] = {}
        self._isClosed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._address}>"

    def call(
        self,
        command: str,
        data: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> Reply:
        """
        Call any command by its name, with its C{data} as it is on the wire.

        @param idempotency_key: names the request; a command that is known to take one gets one anyhow. One that is
            not known (of a plugin) is repeated after a failure only if it has one.
        @param deadline: how long to wait, in seconds; C{None}: as the client.
        @raise ClientError: L{scalemgr.client.errors} says which.
        """
        engine = self._engine()
        return engine.wait(
            engine.client.call(command, data, idempotency_key=idempotency_key, deadline=deadline), command
        )

    def _command(self, command: str, /, *, deadline: float | None = None, **given: Any) -> Any:
        return answer(command, self.call(command, parameters(command, given), deadline=deadline))

    def events(
        self,
        channels: Sequence[str] = EVENTS,
        *,
        from_seq: int | None = None,
        epoch: str | None = None,
        marks: bool = False,
    ) -> Iterator[Event]:
        """
        Every event, each once and in order, across breaks of the connection, until the loop over them ends.

        @param channels: the names of those that are wanted.
        @param from_seq: the last entry of the log that is known; C{None}: from now on.
        @param epoch: the log that it is of.
        @param marks: give C{replay:done}, too: all that was missed has come. Its C{seq} is in its C{data}.
        @raise ResyncRequired: if they cannot be had from there.
        @raise Refused: if they are not for this token.
        """
        engine = self._engine()
        batches = engine.client.batches(Follower(channels, from_seq, epoch, QUEUED_MAX, marks=marks))
        try:
            while True:
                yield from engine.wait(_next(batches), "events")
        finally:
            if engine.isRunning:
                engine.wait(batches.aclose(), "events")

    def unfinished(self) -> list[Intent]:
        """
        What is in the outbox and not certain yet, oldest first.

        @raise OutboxInUse: if another client has it.
        """
        engine = self._engine()
        return engine.wait(engine.client.unfinished(), "unfinished")

    def close(self) -> None:
        """Hang up. Calls of other threads that are not answered raise what can be said of them."""
        self._isClosed = True
        engine = self._engines.pop(os.getpid(), None)
        if engine is not None:
            engine.stop()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, type: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _engine(self) -> _Engine:
        if self._isClosed:
            raise ClientClosed("the client is closed; nothing was sent")
        pid = os.getpid()
        engine = self._engines.get(pid)
        if engine is None:
            # Atomic, so that of several threads' one is everybody's; no lock, for a fork would copy it as it is.
            engine = self._engines.setdefault(pid, _Engine(self._made()))
        if engine.start():
            # Also when nobody closes it: at the end of the process, or of the client.
            weakref.finalize(self, engine.stop)
        return engine


class _Engine:
    """An L{AsyncClient} and the thread that it lives in."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self._pid = os.getpid()
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._isStopped = False

    @property
    def isRunning(self) -> bool:
        """Can anything be waited for?"""
        return self._loop is not None and not self._isStopped and self._pid == os.getpid()

    def start(self) -> bool:
        """Begin, if it has not."""
        if self._thread is not None:
            return False
        with self._lock:
            if self._thread is not None or self._isStopped:
                return False
            self._loop = asyncio.new_event_loop()
            self._thread = Thread(target=self._run, args=(self._loop,), name="scalemgr client", daemon=True)
            self._thread.start()
        return True

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def wait(self, coroutine: Coroutine[Any, Any, _Result], what: str) -> _Result:
        """
        Run it in the thread, and wait. If that is interrupted, it is cancelled.

        @raise ClientError: if this is that thread, which would wait for itself.
        """
        if current_thread() is self._thread:
            coroutine.close()
            raise ClientError(
                f"{what} was not sent: what is told of outcomes must not wait for the client that tells it"
            )
        with self._lock:
            if self._isStopped or self._loop is None:
                coroutine.close()
                raise ClientClosed(f"the client is closed; {what} was not sent")
            future: Future[_Result] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """The end. In another process than the one that it is of, it does nothing."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._isStopped or self._loop is None or self._thread is None:
                self._isStopped = True
                return
            self._isStopped = True
            closing = asyncio.run_coroutine_threadsafe(self._close(self._loop), self._loop)
        # In the thread itself, where the garbage collector may come upon a client, it ends without being waited for.
        if current_thread() is not self._thread:
            closing.result()
            self._thread.join()

    async def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            await self.client.close()
        finally:
            loop.call_soon(loop.stop)


async def _next(batches: Any) -> list[Event]:
    return await anext(batches)
