"""From a request to its answer.

The one place where a token becomes a principal, a name becomes a command, C{data} becomes parameters,
C{__deferred} is intercepted, and what a command came to, or failed with, becomes a response
(L{scalemgr.server.answering}). It knows no socket and no ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..commands.params import convert
from ..finance.records import Entry
from ..interfaces import ICommand, IWatcher
from ..runtime.waiters import awaitedFrom
from ..wire.codes import RetCode
from ..wire.errors import (
    ExtIDInUse,
    ManagerError,
    NotPermitted,
    PermissionDenied,
    ShuttingDown,
    TokenRefused,
    TooFrequent,
)
from ..wire.messages import Json, Request
from .answering import Explaining, said
from .asked import Asked, ISession
from .auth import Authenticator, Principal
from .catalogue import byName, unknown
from .context import Context, House
from .rates import Rates
from .telling import Telling
from .tracing import traced

__all__ = ["Dispatcher"]


class Dispatcher:
    """
    The commands, and the way to them.

    @param commands: L{ICommand}s.
    @param watcher: is told of each request that is answered; C{None}: nobody is.
    @param rates: how often a caller may ask; C{None}: as often as it likes.
    @ivar house: what commands are given; may be replaced at any time.
    @raise CommandClash: if two have one name.
    """

    _log = Logger()

    def __init__(
        self,
        commands: Iterable[ICommand],
        house: House,
        auth: Authenticator,
        watcher: IWatcher | None = None,
        rates: Rates | None = None,
    ) -> None:
        self.commands = byName(commands)
        self.stopping = False
        self.house = house
        self._auth = auth
        self._rates = Rates(house.clock) if rates is None else rates
        # For commands: to ask a class for its Logger makes a new one each time.
        self._logger = self._log
        self._telling = Telling(watcher)
        self._explaining = Explaining(house.clock, self._logger)

    def dispatch(self, session: ISession, request: Request, again: bool = False) -> None:
        """
        Have a request answered: once, now or later.

        @param again: is one with its extID under way on the session? Then it may only be the same, by its key.
        """
        since, trace = self._telling.seconds(), request.traceparent
        # Looked for first: whatever it is refused for, it is told what was asked for.
        command = self.commands.get(request.command)
        # The command's own word for it, not another copy for each request.
        name = request.command if command is None else command.name
        asked = Asked(session, request.extIDText, name, command, since=since, traceparent=trace)
        try:
            principal = asked.principal = self._principal(session, request)
            if self.stopping:
                raise ShuttingDown
            if self._rates.isOn and (retryAfterMs := self._rates.take(principal.id)):
                raise TooFrequent(retryAfterMs)
            if command is None:
                unknown(request.command, self.commands)
            _check(command, principal, again)
            params = convert(request.data, command.params)
            asked.login = getattr(params, "login", 0) or 0
            context = asked.context = Context(
                self.house,
                session,
                principal,
                request.extID,
                request.extIDText,
                again,
                self._logger if not request.traceparent else traced(self._logger, request.traceparent),
            )
            result = command.run(context, params)
            # A dict is a Mapping; but to ask for that takes three times as long, and it nearly always is one.
            if not isinstance(result, (dict, Mapping)):
                waiting = _deferred(result, command).addCallback(self._intercept, asked)
            elif "__deferred" in result:
                asked.waited = True
                waiting = context.wait(awaitedFrom(result["__deferred"]))
            else:
                status, data = said(result, context)
                session.answer(request.extIDText, status, data)
                self._telling.tell(asked, status, result)
                return
        except Exception as e:
            if asked.context is not None:
                asked.context.abandon()
            self._explain(e, asked)
            return
        # One pair of callbacks and no more: what each costs is paid by every deposit.
        args = (asked,)
        waiting.addCallbacks(self._answer, self._failed, callbackArgs=args, errbackArgs=args)

    def refused(self, session: ISession, extIDText: Json, name: str, error: ManagerError) -> None:
        """
        A session has said no by itself, to a line that never came to be a request: let the watcher know.

        @param name: the command that it asks for, as far as it can be read.
        """
        asked = Asked(session, extIDText, name, self.commands.get(name), session.principal)
        asked.since = self._telling.seconds()
        if asked.command is not None:
            asked.name = asked.command.name
        self._telling.tell(asked, error.status, error.details, error)

    def _answer(self, result: Mapping[str, Any] | Entry, asked: Asked) -> None:
        """What a command came to, later."""
        context = asked.context
        assert context is not None
        try:
            status, data = said(result, context)
        except Exception as e:
            self._failed(Failure(e), asked)
            return
        try:
            asked.session.answer(asked.extIDText, status, data, replayed=context.replayed)
        except Exception:
            self._log.failure(_UNSENT)
        self._telling.tell(asked, status, result)

    def _failed(self, failure: Failure, asked: Asked) -> None:
        """A command failed, later."""
        error = failure.value
        assert error is not None
        if _isCalledOff(error) and not asked.session.isOpen():
            return  # A session that goes away changes nothing about what it asked for.
        assert asked.context is not None
        try:
            asked.context.abandon()
            self._explain(error, asked)
        except Exception:
            self._log.failure(_UNSENT)

    def _principal(self, session: ISession, request: Request) -> Principal:
        """Who asks: as the token says, else as the session's last one said."""
        known = session.principal
        if request.token is not None:
            principal = self._auth.principal(request.token)
            if known is not principal:
                session.authenticated(principal)
            return principal
        if known is None:
            raise PermissionDenied("a valid __token is needed")
        return self._auth.current(known)

    def _intercept(self, result: Mapping[str, Any], asked: Asked) -> Mapping[str, Any] | Deferred[Entry]:
        """The intermediate answer of a sync command is not sent; the event is, when it comes."""
        if not isinstance(result, Mapping):
            raise TypeError(f"{asked.name} came to a {type(result).__name__}, which is not a mapping")
        if "__deferred" not in result:
            return result
        asked.waited = True
        assert asked.context is not None
        return asked.context.wait(awaitedFrom(result["__deferred"]))

    def _explain(self, error: BaseException, asked: Asked) -> None:
        """Say no, or that there is a bug; and let the session know of what is about who asks."""
        if isinstance(error, TokenRefused):
            asked.session.tokenRefused(error.why)
        elif isinstance(error, PermissionDenied):
            asked.session.denied(error.message)
        explained, text = self._explaining.explain(error, asked)
        replayed = asked.context is not None and asked.context.replayed
        asked.session.answer(asked.extIDText, explained.status, text, replayed=replayed)
        self._telling.tell(asked, explained.status, explained.details, explained)


_UNSENT = "an answer could not be sent"


def _check(command: ICommand, principal: Principal, again: bool) -> None:
    """May this caller ask for it, now?"""
    if command.roles and principal.role not in command.roles:
        raise NotPermitted(f"{command.name} is not for your role")
    if principal.withheld and (withheld := command.flags & principal.withheld):
        raise NotPermitted(f"your token withholds {', '.join(sorted(withheld))}, which {command.name} takes")
    if again and "idempotency_key" not in command.params.__struct_fields__:
        raise ExtIDInUse


def _isCalledOff(error: BaseException) -> bool:
    """Is it only that nobody waits for the answer? Then the ledger was told to let it be, or was not asked yet."""
    return isinstance(error, CancelledError) or (
        isinstance(error, ManagerError) and error.code is RetCode.RET_ERR_CANCEL
    )


def _deferred(result: object, command: ICommand) -> Deferred[Any]:
    if isinstance(result, Deferred):
        return result
    if iscoroutine(result):
        return Deferred.fromCoroutine(result)
    raise TypeError(
        f"{command.name} returned a {type(result).__name__}, which is neither a mapping nor a Deferred of one"
    )
