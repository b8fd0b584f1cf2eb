"""The client for asyncio: L{scalemgr.client.core} on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from inspect import isawaitable
from pathlib import Path
from random import Random, SystemRandom
from types import TracebackType
from typing import Any

from .address import WrongServer, parseAddress
from .asking import Intent
from .calling import Awaiting, Token
from .commands import Commands
from .core import CONNECT_S, Core
from .declared import answer, parameters
from .errors import ClientClosed, ClientError
from .following import EVENTS, QUEUED_MAX, Follower
from .identity import callerOf
from .keeping import Keeping, Outcome, outcomeOf
from .patience import Redialing, RequestSettings
from .reasons import Reason, hintOf, reasonOf
from .session import Event, Reply

__all__ = ["AsyncClient"]


class AsyncClient(Commands, Awaiting):
    """
    A client whose commands are awaited. It belongs to the loop in which it is first used; it connects then, and
    again whenever the connection is lost.

    @param address: C{tcp:HOST:PORT} or C{tls:HOST:PORT}.
    @param token: a token, or what returns one (or an awaitable of one); it is called in a thread, for each connection
        and when the one before is no longer accepted.
    @param deadline: how long a call waits that does not say, in seconds.
    @param ca: a PEM file of the authorities to trust, instead of the system's.
    @param certificate: a PEM file of the client's own certificate.
    @param key: a PEM file of its key, if that is not with it.
    @param hostname: what the server's certificate has to name, if not the host.
    @param outbox: a file for what is to outlive this process (L{scalemgr.client.outbox}).
    @param onOutcome: is told what became of what is in the outbox and nobody waits for.
    @param random: where keys come from.
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
        random: Random | None = None,
    ) -> None:
        self._address = parseAddress(address, ca=ca, certificate=certificate, key=key, hostname=hostname)
        self._token = token
        self._random = SystemRandom() if random is None else random
        self._core = Core(
            RequestSettings(deadlineS=deadline),
            self._random,
            renewsToken=callable(token),
            keeps=outbox is not None,
            hint=hintOf(self._address),
        )
        self._outbox = outbox
        self._onOutcome = onOutcome
        self._keeping: Keeping | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dialing: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._eventful: asyncio.Event = asyncio.Event()
        self._isClosed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._address}>"

    # -- what callers want ------------------------------------------------------------------------------------

    async def call(
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
        loop = self._started()
        waiter: asyncio.Future[Reply] = loop.create_future()
        asked = self._core.requests.ask(
            command, data or {}, loop.time(), key=idempotency_key, deadlineS=deadline, waiter=waiter
        )
        self._turn()
        try:
            return await waiter
        except asyncio.CancelledError:
            self._core.requests.forget(asked)
            raise

    async def _command(self, command: str, /, *, deadline: float | None = None, **given: Any) -> Any:
        return answer(command, await self.call(command, parameters(command, given), deadline=deadline))

    async def events(
        self,
        channels: Sequence[str] = EVENTS,
        *,
        from_seq: int | None = None,
        epoch: str | None = None,
        marks: bool = False,
    ) -> AsyncIterator[Event]:
        """
        Every event, each once and in order, across breaks of the connection, until the loop over them ends.

        @param channels: the names of those that are wanted.
        @param from_seq: the last entry of the log that is known; C{None}: from now on.
        @param epoch: the log that it is of.
        @param marks: give C{replay:done}, too: all that was missed has come. Its C{seq} is in its C{data}.
        @raise ResyncRequired: if they cannot be had from there.
        @raise Refused: if they are not for this token.
        """
        async for batch in self.batches(Follower(channels, from_seq, epoch, QUEUED_MAX, marks=marks)):
            for event in batch:
                yield event

    async def batches(self, follower: Follower) -> AsyncGenerator[list[Event], None]:
        """The same, as many at a time as there are."""
        self._started()
        self._core.follow(follower)
        try:
            while True:
                self._eventful.clear()
                self._turn()
                events: list[Event] = []
                for item in follower.take():
                    if isinstance(item, ClientError):
                        if events:
                            yield events
                        raise item
                    events.append(item)
                if events:
                    yield events
                else:
                    await self._eventful.wait()
        finally:
            self._core.unfollow(follower)
            self._turn()

    async def unfinished(self) -> list[Intent]:
        """
        What is in the outbox and not certain yet, oldest first.

        @raise OutboxInUse: if another client has it.
        """
        loop = self._started()
        if self._keeping is None:
            raise ClientError("there is no outbox")
        found: asyncio.Future[list[Intent] | Exception] = loop.create_future()
        self._keeping.look(lambda result: None if found.done() else found.set_result(result))
        result = await found
        if isinstance(result, Exception):
            raise result
        return result

    async def close(self) -> None:
        """Hang up. Calls that are not answered raise what can be said of them."""
        if self._isClosed:
            return
        self._isClosed = True
        self._core.close()
        if self._loop is None:
            return
        self._turn()
        await self._hangUp()
        if self._keeping is not None:
            while self._core.requests.isSettling:
                looked = self._loop.create_future()
                self._keeping.look(looked.set_result)
                await looked
            stopped = self._loop.create_future()
            self._keeping.stop(stopped.set_result)
            await stopped

    async def _hangUp(self) -> None:
        tasks = [task for task in (self._dialing, self._renewing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    # -- the connection -----------------------------------------------------------------------------------------

    def _started(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            if self._isClosed:
                raise ClientClosed("the client is closed")
            self._loop = loop
            if self._outbox is not None:
                tell = loop.call_soon_threadsafe
                self._keeping = Keeping(Path(self._outbox), self._core.requests, tell, loop.time, self._turn)
            self._dialing = loop.create_task(self._dial())
        elif self._loop is not loop:
            raise ClientError("an AsyncClient belongs to the loop in which it was first used; make one for each")
        return loop

    async def _dial(self) -> None:
        """Be connected, again and again."""
        assert self._loop is not None
        loop = self._loop
        redialing = Redialing(self._random)
        while True:
            link = _Link(self._received)
            try:
                token = await self._fetchToken()
                # The outbox waits to know who we are, whether or not anybody is reached.
                self._turn()
                async with asyncio.timeout(CONNECT_S):
                    await loop.create_connection(lambda: link, **await self._target())  # noqa: B023
                    if self._address.isTls:
                        # Before a byte is sent.
                        shown = link.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
                        await asyncio.to_thread(self._address.check, shown)
                redialing.connected(loop.time())
                self._transport = link.transport
                self._core.connected(token, loop.time())
                self._turn()
                reason = await link.lost
            except (OSError, TimeoutError, WrongServer, _NoToken) as e:
                reason = _reason(e)
            finally:
                self._transport = None
                link.hangUp()
            self._core.lost(reason.why, isFinal=reason.isFinal)
            self._turn()
            await asyncio.sleep(redialing.afterS(loop.time()))

    async def _target(self) -> dict[str, Any]:
        address = self._address
        target: dict[str, Any] = {"host": address.host, "port": address.port}
        # Files are read each time: certificates are renewed.
        context = await asyncio.to_thread(address.sslContext) if address.isTls else None
        if context is not None:
            target |= {"ssl": context, "server_hostname": address.hostname}
        return target

    async def _fetchToken(self) -> str | None:
        token = await self._askForToken() if callable(self._token) else self._token
        self._core.identified(await asyncio.to_thread(callerOf, token, self._address))
        return token

    async def _askForToken(self) -> str | None:
        assert callable(self._token)
        try:
            async with asyncio.timeout(CONNECT_S):
                found = await asyncio.to_thread(self._token)
                return await found if isawaitable(found) else found
        except Exception as e:
            # Its text may have the token.
            raise _NoToken(f"the token could not be fetched ({type(e).__name__})") from e

    async def _renew(self) -> None:
        assert self._loop is not None
        try:
            token = await self._fetchToken()
        except (_NoToken, OSError) as e:
            self._core.notRenewed(str(e), self._loop.time())
        else:
            self._core.renew(token, self._loop.time())
        self._renewing = None
        self._turn()

    def _received(self, data: bytes) -> None:
        assert self._loop is not None
        self._core.received(data, self._loop.time())
        self._turn()

    def _woken(self) -> None:
        assert self._loop is not None
        self._timer = None
        self._core.woken(self._loop.time())
        self._turn()

    def _turn(self) -> None:
        """Do what there is to do."""
        assert self._loop is not None
        core = self._core
        lines = core.toSend(self._loop.time())
        # On one that is about to be told lost, asyncio would warn of it on standard error.
        if lines and self._transport is not None and not self._transport.is_closing():
            self._transport.write(lines)
        if self._keeping is not None:
            self._keeping.turn()
        for told in core.requests.takeTold():
            if told.waiter is not None:
                _tell(told.waiter, told.result)
            elif self._onOutcome is not None:
                # In a turn of its own: whatever it does or raises is not the client's.
                self._loop.call_soon(self._onOutcome, outcomeOf(told))
        if core.hasEvents:
            self._eventful.set()
        if core.isBroken and self._transport is not None:
            self._transport.abort()
        if self._isClosed:
            return
        if core.tokenWanted and self._renewing is None:
            self._renewing = self._loop.create_task(self._renew())
        self._setTimer(core.wakeAt)

    def _setTimer(self, wakeAt: float | None) -> None:
        assert self._loop is not None
        # A timer that is early does no harm, and is cheaper than one for each deadline.
        if wakeAt is not None and (self._timer is None or self._timer.when() > wakeAt):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(wakeAt, self._woken)


def _tell(waiter: asyncio.Future[Reply], result: Reply | ClientError) -> None:
    if waiter.done():
        return
    if isinstance(result, ClientError):
        waiter.set_exception(result)
    else:
        waiter.set_result(result)


class _NoToken(Exception):
    """There is no token to connect with."""


class _Link(asyncio.Protocol):
    """
    One connection.

    @ivar lost: a future of why it ended.
    """

    transport: asyncio.Transport

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received
        self._isOpen = False
        self.lost: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._isOpen = True

    def data_received(self, data: bytes) -> None:
        self._received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._isOpen = False
        if not self.lost.done():
            self.lost.set_result(Reason("the server closed the connection") if exc is None else _reason(exc))

    def hangUp(self) -> None:
        """End it, if it is not."""
        if self._isOpen:
            self.transport.abort()


def _reason(error: BaseException) -> Reason:
    isLate = isinstance(error, TimeoutError) and not str(error)
    return reasonOf(error, f"no connection within {CONNECT_S:g} s" if isLate else "")
