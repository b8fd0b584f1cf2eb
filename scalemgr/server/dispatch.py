"""From a request to its answer.

The one place where a token becomes a principal, a name becomes a command, C{data} becomes parameters,
C{__deferred} is intercepted, and an exception becomes a response. It knows no socket and no ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import iscoroutine
from typing import Any, NoReturn, Protocol, TypeGuard

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..commands.params import convert
from ..finance.records import Entry
from ..interfaces import ICommand, IWatcher, Told
from ..runtime.waiters import awaitedFrom
from ..wire.codes import RetCode
from ..wire.errors import (
    ExtIDInUse,
    InternalError,
    ManagerError,
    NotPermitted,
    PermissionDenied,
    ShuttingDown,
    TokenRefused,
    TooFrequent,
    UnknownCommand,
)
from ..wire.messages import Json, Request, encode
from .auth import Authenticator, Principal
from .context import Context, House, ISubscriber
from .rates import Rates
from .tracing import traced

__all__ = ["CommandClash", "Dispatcher", "ISession", "checkCommands", "packageOf"]


class CommandClash(Exception):
    """Two commands have one name, or one is missing; the message says which, for the operator."""


class ISession(ISubscriber, Protocol):
    """What dispatch needs of a session. (Not zope's: it stays inside this folder.)"""

    principal: Principal | None

    def authenticated(self, principal: Principal) -> None:
        """It has shown a valid token."""

    def isOpen(self) -> bool:
        """Is anybody there to be answered?"""

    def denied(self, why: str) -> None:
        """It asked without a valid token."""

    def tokenRefused(self, why: str) -> None:
        """It showed a token that is not accepted."""

    def answer(self, extIDText: Json, status: int, data: Json, *, replayed: bool = False) -> None:
        """Send the one answer to a request, by its C{extID}."""


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
        self.commands = _byName(commands)
        self._watcher = watcher
        self.stopping = False
        self.house = house
        self._auth = auth
        self._rates = Rates(house.clock) if rates is None else rates
        # For commands: to ask a class for its Logger makes a new one each time.
        self._logger = self._log
        self._errors = 0

    def dispatch(self, session: ISession, request: Request, again: bool = False) -> None:
        """
        Have a request answered: once, now or later.

        @param again: is one with its extID under way on the session? Then it may only be the same, by its key.
        """
        asked = _Asked(session, request.extIDText, request.command, traceparent=request.traceparent)
        if self._watcher is not None:
            asked.since = self._watcher.seconds()
        try:
            principal = asked.principal = self._principal(session, request)
            if self.stopping:
                raise ShuttingDown
            if self._rates.isOn and (retryAfterMs := self._rates.take(principal.id)):
                raise TooFrequent(retryAfterMs)
            command = asked.command = self.commands.get(request.command) or self._unknown(request.command)
            # The command's own word for it, not another copy for each request.
            asked.name = command.name
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
                status, data = _said(result, context)
                session.answer(request.extIDText, status, data)
                self._tell(asked, status, result)
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
        if self._watcher is not None:
            asked = _Asked(session, extIDText, name, self.commands.get(name), since=self._watcher.seconds())
            asked.principal = session.principal
            if asked.command is not None:
                asked.name = asked.command.name
            self._tell(asked, error.status, error.details, error)

    def _answer(self, result: Mapping[str, Any] | Entry, asked: _Asked) -> None:
        """What a command came to, later."""
        context = asked.context
        assert context is not None
        try:
            status, data = _said(result, context)
        except Exception as e:
            self._failed(Failure(e), asked)
            return
        try:
            asked.session.answer(asked.extIDText, status, data, replayed=context.replayed)
        except Exception:
            self._log.failure(_UNSENT)
        self._tell(asked, status, result)

    def _failed(self, failure: Failure, asked: _Asked) -> None:
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

    def _unknown(self, name: str) -> NoReturn:
        similar = [known for known in self.commands if known.lower() == name.lower()]
        raise UnknownCommand(f"there is no command {name}" + (f"; did you mean {similar[0]}?" if similar else ""))

    def _principal(self, session: ISession, request: Request) -> Principal:
        """Who asks: as the token says, else as the session's last one said."""
        if request.token is not None:
            principal = self._auth.principal(request.token)
            if session.principal is not principal:
                session.authenticated(principal)
            return principal
        if session.principal is None:
            raise PermissionDenied("a valid __token is needed")
        return self._auth.current(session.principal)

    def _intercept(self, result: Mapping[str, Any], asked: _Asked) -> Mapping[str, Any] | Deferred[Entry]:
        """The intermediate answer of a sync command is not sent; the event is, when it comes."""
        if not isinstance(result, Mapping):
            raise TypeError(f"{asked.name} came to a {type(result).__name__}, which is not a mapping")
        if "__deferred" not in result:
            return result
        asked.waited = True
        assert asked.context is not None
        return asked.context.wait(awaitedFrom(result["__deferred"]))

    def _explain(self, error: BaseException, asked: _Asked) -> None:
        """The only place where an exception becomes a response."""
        command = asked.command
        if isinstance(error, TokenRefused):
            asked.session.tokenRefused(error.why)
        elif isinstance(error, PermissionDenied):
            asked.session.denied(error.message)
        if command is not None and command.denied is not None and _isDenial(error):
            # Of what the caller may not touch nothing is told, but whether this answer is for good.
            outcome = error.details.get("outcome")
            details = {} if outcome is None else {"outcome": outcome}
            if isinstance(error, NotPermitted):
                # That is about the caller alone.
                details["detail"] = error.message
            error = ManagerError(_DENIED, error.code, error=command.denied, status=401, **details)
        try:
            if not isinstance(error, ManagerError):
                raise error
            _status(error.status)
            text = encode(error.data())
        except BaseException:
            error = InternalError(self._report(Failure(), asked))
            text = encode(error.data())
        replayed = asked.context is not None and asked.context.replayed
        asked.session.answer(asked.extIDText, error.status, text, replayed=replayed)
        self._tell(asked, error.status, error.details, error)

    def _tell(
        self, asked: _Asked, status: int, about: Mapping[str, Any] | Entry, error: ManagerError | None = None
    ) -> None:
        """Let the watcher know."""
        if self._watcher is None:
            return
        if isinstance(about, Entry):
            login, order = about.login, about.order
        else:
            login, order = asked.login, about.get("order", 0)
        context, principal = asked.context, asked.principal
        self._watcher.told(
            Told(
                "" if asked.command is None else asked.name,
                asked.extIDText,
                "" if principal is None else principal.id,
                login if type(login) is int else 0,
                order if type(order) is int else 0,
                status,
                self._watcher.seconds() - asked.since,
                error,
                context is not None and context.replayed,
                asked.traceparent,
                asked.waited,
                context is not None and context.submitted,
            )
        )

    def _report(self, failure: Failure, asked: _Asked) -> str:
        """Log a bug of ours, or of a plugin; the reference under which it stands there."""
        self._errors += 1
        reference = f"E{int(self.house.clock.seconds()):x}-{self._errors}"
        principal = asked.principal
        log = traced(self._logger, asked.traceparent) if asked.traceparent else self._logger
        log.failure(
            "{reference}: {command!r} of {principal} with extID {extID} failed",
            failure,
            reference=reference,
            command=asked.name,
            principal=principal.id if principal is not None else None,
            extID=asked.extIDText,
        )
        return reference


class _Asked(Struct, eq=False):
    """
    What is kept of a request until it is answered. Not the request: its token and its data would be a third of the
    memory that a deposit takes while it waits.

    @ivar name: the command as it was asked for; once it is found, its own name.
    @ivar command: the command, once it is found.
    @ivar principal: who asks, once that is known.
    @ivar context: what it is given, once that is made.
    @ivar since: when it came, by the watcher's clock.
    @ivar login: the account that it is about, or 0.
    @ivar waited: does its answer wait for an event?
    @ivar traceparent: the trace that it is a part of, or empty.
    """

    session: ISession
    extIDText: Json
    name: str
    command: ICommand | None = None
    principal: Principal | None = None
    context: Context | None = None
    since: float = 0.0
    login: int = 0
    waited: bool = False
    traceparent: str = ""


_UNSENT = "an answer could not be sent"


def _check(command: ICommand, principal: Principal, again: bool) -> None:
    """May this caller ask for it, now?"""
    if command.roles and principal.role not in command.roles:
        raise NotPermitted(f"{command.name} is not for your role")
    if principal.withheld and (withheld := command.flags & principal.withheld):
        raise NotPermitted(f"your token withholds {', '.join(sorted(withheld))}, which {command.name} takes")
    if again and "idempotency_key" not in command.params.__struct_fields__:
        raise ExtIDInUse


# Refusals of a caller, or of what the caller may touch, and the published sentence for all of them.
_DENIALS = frozenset({RetCode.RET_NOT_ENOUGH_RIGHTS, RetCode.RET_ERR_PERMISSIONS, RetCode.RET_USER_NOT_FOUND})
_DENIED = "Invalid login or insufficient permissions"


def _byName(commands: Iterable[ICommand]) -> dict[str, ICommand]:
    table: dict[str, ICommand] = {}
    for command in commands:
        for name in (command.name, *command.aliases):
            other = table.setdefault(name, command)
            if other is not command:
                raise CommandClash(
                    f"two commands are named {name}: one of {packageOf(other)}, one of {packageOf(command)}"
                )
    return table


def _isCalledOff(error: BaseException) -> bool:
    """Is it only that nobody waits for the answer? Then the ledger was told to let it be, or was not asked yet."""
    return isinstance(error, CancelledError) or (
        isinstance(error, ManagerError) and error.code is RetCode.RET_ERR_CANCEL
    )


def _isDenial(error: BaseException) -> TypeGuard[ManagerError]:
    return isinstance(error, ManagerError) and error.code in _DENIALS


def checkCommands(commands: Iterable[ICommand], required: Iterable[str]) -> None:
    """
    See that the commands can be served together, and that those that must be there are.

    @raise CommandClash: if not.
    """
    missing = sorted(set(required) - _byName(commands).keys())
    if missing:
        raise CommandClash(f"the required commands {', '.join(missing)} were not found; see `scalemgr commands`")


def packageOf(command: ICommand) -> str:
    """The module that a command is from."""
    return str(getattr(command, "__module__", type(command).__module__))


def _deferred(result: object, command: ICommand) -> Deferred[Any]:
    if isinstance(result, Deferred):
        return result
    if iscoroutine(result):
        return Deferred.fromCoroutine(result)
    raise TypeError(
        f"{command.name} returned a {type(result).__name__}, which is neither a mapping nor a Deferred of one"
    )


def _said(result: Mapping[str, Any] | Entry, context: Context) -> tuple[int, Json]:
    """The status and the data of an answer."""
    if context.inUse:
        # Two different answers under one extID would be worse than none.
        raise ExtIDInUse
    if isinstance(result, Entry):
        return 200, result.data
    if "__status" not in result:
        return 200, encode(result)
    data = dict(result)
    return _status(data.pop("__status")), encode(data)


def _status(said: object) -> int:
    """
    What a command says that the status of its answer is.

    @raise TypeError: if it is none.
    """
    if not isinstance(said, int) or not 100 <= said < 600:
        raise TypeError("a status is a number from 100 to 599")
    return int(said)
