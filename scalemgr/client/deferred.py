"""The client for Twisted: L{scalemgr.client.core} on a reactor, with a C{ClientService} that sees to the connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutine
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from twisted.application.internet import ClientService
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from .address import parseAddress
from .asking import Intent, Told
from .calling import Deferring
from .commands import Commands
from .core import CONNECT_S, Core
from .declared import answer, parameters
from .endpoints import ReadyEndpoint
from .errors import ClientClosed, ClientError
from .following import EVENTS, QUEUED_MAX, Follower
from .identity import callerOf
from .keeping import Keeping, Outcome, outcomeOf
from .patience import Redialing, RequestSettings
from .reasons import hintOf, reasonOf
from .session import Event, Reply

__all__ = ["ManagerClient"]


class ManagerClient(Commands, Deferring, Service):
    """
    A client whose commands return Deferreds. It is a service: it connects when it is started, and again whenever the
    connection is lost, until it is stopped; what is asked before waits.

    @param reactor: the reactor.
    @param address: C{tcp:HOST:PORT} or C{tls:HOST:PORT}.
    @param token: a token, or what returns one (or a Deferred of one); it is called for each connection, and when the
        one before is no longer accepted.
    @param deadline: how long a call waits that does not say, in seconds.
    @param ca: a PEM file of the authorities to trust, instead of the system's.
    @param certificate: a PEM file of the client's own certificate.
    @param key: a PEM file of its key, if that is not with it.
    @param hostname: what the server's certificate has to name, if not the host.
    @param outbox: a file for what is to outlive this process (L{scalemgr.client.outbox}).
    @param onOutcome: is told what became of what is in the outbox and nobody waits for.
    @param random: where keys come from.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        address: str,
        *,
        token: str | Callable[[], Any] | None = None,
        deadline: float = 30.0,
        ca: str | Path | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        hostname: str | None = None,
        outbox: str | Path | None = None,
        onOutcome: Callable[[Outcome], object] | None = None,
        random: Random | None = None,
    ) -> None:
        self._reactor = reactor
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
        self._fetched: str | None = None
        self._link: _Link | None = None
        self._timer: IDelayedCall | None = None
        self._redialing = Redialing(self._random)
        self._isRenewing = self._isDelivering = self._isStopped = False
        self._callback: Callable[[Event], object] | None = None
        self._following: Deferred[None] | None = None
        endpoint = ReadyEndpoint(reactor, self._address, CONNECT_S, self._prepare, self._lost)
        self._connections = ClientService(
            endpoint,
            Factory.forProtocol(lambda: _Link(self)),
            # Its own count begins anew with each connection, however short.
            retryPolicy=lambda _: self._redialing.afterS(self._now()),
            clock=reactor,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._address}>"

    # -- what callers want ------------------------------------------------------------------------------------

    def call(
        self,
        command: str,
        data: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> Deferred[Reply]:
        """
        Call any command by its name, with its C{data} as it is on the wire.

        @param idempotency_key: names the request; a command that is known to take one gets one anyhow. One that is
            not known (of a plugin) is repeated after a failure only if it has one.
        @param deadline: how long to wait, in seconds; C{None}: as the client.
        @return: a Deferred that fails with L{ClientError} (L{scalemgr.client.errors} says which). To cancel it is not
            to wait any more; it does not take the request back.
        """
        waiter: Deferred[Reply] = Deferred(lambda _: self._core.requests.forget(asked))
        try:
            asked = self._core.requests.ask(
                command, data or {}, self._now(), key=idempotency_key, deadlineS=deadline, waiter=waiter
            )
        except ClientError:
            return fail()
        self._turn()
        return waiter

    def _command(self, command: str, /, *, deadline: float | None = None, **given: Any) -> Any:
        try:
            data = parameters(command, given)
        except ClientError:
            return fail()
        return self.call(command, data, deadline=deadline).addCallback(lambda reply: answer(command, reply))

    def follow(
        self,
        callback: Callable[[Event], object],
        channels: Sequence[str] = EVENTS,
        *,
        from_seq: int | None = None,
        epoch: str | None = None,
        marks: bool = False,
    ) -> Deferred[None]:
        """
        Be called with every event, each once and in order, across breaks of the connection.

        @param callback: if it returns a Deferred, the next event waits for it. If it fails, that is the end.
        @param channels: the names of those that are wanted.
        @param from_seq: the last entry of the log that is known; C{None}: from now on.
        @param epoch: the log that it is of.
        @param marks: give C{replay:done}, too: all that was missed has come. Its C{seq} is in its C{data}.
        @return: a Deferred that fires when there will be no more: with C{ResyncRequired}, if they cannot be had from
            there; C{Refused}, if they are not for this token; what C{callback} failed with; C{None}, if the client is
            stopped. Cancel it to end.
        """
        follower = Follower(channels, from_seq, epoch, QUEUED_MAX, marks=marks)
        try:
            self._core.follow(follower)
        except ClientError:
            return fail()
        following: Deferred[None] = Deferred(lambda _: self._unfollow(follower))
        self._callback, self._following = callback, following
        self._turn()
        return following

    def unfinished(self) -> Deferred[list[Intent]]:
        """What is in the outbox and not certain yet, oldest first. Fails with C{OutboxInUse} if another has it."""
        found: Deferred[list[Intent]] = Deferred()
        if self._keeping is None:
            return fail(ClientError("there is no outbox, or the client is not running"))
        self._keeping.look(
            lambda result: found.errback(result) if isinstance(result, Exception) else found.callback(result)
        )
        return found

    # -- its life -----------------------------------------------------------------------------------------------

    def startService(self) -> None:
        if self.running or self._isStopped:
            return
        super().startService()
        if self._outbox is not None:
            self._keeping = Keeping(
                Path(self._outbox), self._core.requests, self._reactor.callFromThread, self._now, self._turn
            )
        self._connections.startService()
        self._turn()

    def stopService(self) -> Deferred[None]:
        """Hang up, for good. Calls that are not answered fail with what can be said of them."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._isStopped:
            return
        self._isStopped = True
        self._core.close()
        self._turn()
        await maybeDeferred(self._connections.stopService)
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self._keeping is not None:
            while self._core.requests.isSettling:
                looked: Deferred[Any] = Deferred()
                # An outbox that cannot be had is told as an exception, which is no failure of this.
                self._keeping.look(lambda _, looked=looked: looked.callback(None))  # type: ignore[misc]
                await looked
            stopped: Deferred[None] = Deferred()
            self._keeping.stop(stopped.callback)
            await stopped

    # -- the connection -----------------------------------------------------------------------------------------

    def _now(self) -> float:
        return float(self._reactor.seconds())

    async def _prepare(self) -> None:
        self._fetched = await self._fetchToken()
        # The outbox waits to know who we are, whether or not anybody is reached.
        self._turn()

    async def _fetchToken(self) -> str | None:
        token = await self._askForToken() if callable(self._token) else self._token
        self._core.identified(callerOf(token, self._address))
        return token

    async def _askForToken(self) -> str | None:
        assert callable(self._token)
        try:
            token: str | None = await maybeDeferred(self._token).addTimeout(CONNECT_S, self._reactor)
        except Exception as e:
            # Its text may have the token.
            raise ClientError(f"the token could not be fetched ({type(e).__name__})") from None
        return token

    def _lost(self, failure: Failure) -> None:
        self._link = None
        assert failure.value is not None
        reason = reasonOf(failure.value, failure.getErrorMessage())
        self._core.lost(reason.why, isFinal=reason.isFinal)
        self._turn()

    def connected(self, link: _Link) -> None:
        """There is a connection."""
        self._link = link
        self._redialing.connected(self._now())
        self._core.connected(self._fetched, self._now())
        self._turn()

    def received(self, data: bytes) -> None:
        """Bytes came."""
        self._core.received(data, self._now())
        self._turn()

    def disconnected(self, reason: Failure) -> None:
        """The connection is gone."""
        self._lost(reason)

    async def _renew(self) -> None:
        self._isRenewing = True
        try:
            token = await self._fetchToken()
        except (ClientError, OSError) as e:
            self._core.notRenewed(str(e), self._now())
        else:
            self._core.renew(token, self._now())
        finally:
            self._isRenewing = False
        self._turn()

    def _woken(self) -> None:
        self._timer = None
        self._core.woken(self._now())
        self._turn()

    def _turn(self) -> None:
        """Do what there is to do. What is told may ask for more, and so come here again."""
        core = self._core
        lines = core.toSend(self._now())
        if lines and self._link is not None:
            self._link.transport.write(lines)
        if self._keeping is not None:
            self._keeping.turn()
        if core.isBroken and self._link is not None:
            self._link.transport.abortConnection()
        if not self._isStopped:
            if core.tokenWanted and not self._isRenewing:
                Deferred.fromCoroutine(self._renew())
            self._setTimer(core.wakeAt)
        for told in core.requests.takeTold():
            self._tell(told)
        if core.hasEvents and not self._isDelivering:
            Deferred.fromCoroutine(self._deliver())

    def _setTimer(self, wakeAt: float | None) -> None:
        # A timer that is early does no harm, and is cheaper than one for each deadline.
        if wakeAt is None or (self._timer is not None and self._timer.getTime() <= wakeAt):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.callLater(max(0.0, wakeAt - self._now()), self._woken)

    def _tell(self, told: Told) -> None:
        waiter, result = told.waiter, told.result
        if waiter is None:
            if self._onOutcome is not None:
                maybeDeferred(self._onOutcome, outcomeOf(told)).addErrback(
                    lambda failure: self._log.failure("the callback for outcomes failed", failure)
                )
        elif waiter.called:
            # Cancelled by what another was told, or while the outbox noted what became of it.
            return
        elif isinstance(result, ClientError):
            waiter.errback(result)
        else:
            waiter.callback(result)

    # -- events ---------------------------------------------------------------------------------------------------

    async def _deliver(self) -> None:
        """Call back with what there is, one after the other."""
        self._isDelivering = True
        try:
            while (follower := self._core.follower) is not None and follower.hasMore:
                following = self._following
                assert following is not None
                for item in follower.take():
                    if following.called or self._core.follower is not follower:
                        break
                    if isinstance(item, ClientClosed):
                        following.callback(None)
                    elif isinstance(item, ClientError):
                        following.errback(item)
                    else:
                        await self._callBack(item, follower)
        finally:
            self._isDelivering = False
        self._turn()

    async def _callBack(self, event: Event, follower: Follower) -> None:
        callback, following = self._callback, self._following
        assert callback is not None
        assert following is not None
        try:
            result = callback(event)
            if isinstance(result, Deferred) or iscoroutine(result):
                await result
        except Exception:
            self._unfollow(follower)
            if not following.called:
                following.errback()

    def _unfollow(self, follower: Follower) -> None:
        self._core.unfollow(follower)
        self._turn()


class _Link(Protocol):
    """One connection, from when it is ready."""

    transport: Any

    def __init__(self, client: ManagerClient) -> None:
        self._client = client

    def connectionMade(self) -> None:
        self._client.connected(self)

    def dataReceived(self, data: bytes) -> None:
        self._client.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._client.disconnected(reason)
