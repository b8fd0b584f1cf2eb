"""From a request to its answer.

The one place where a token becomes a principal, a name becomes a command, C{data} becomes parameters,
C{__deferred} is intercepted, and an exception becomes a response. It knows no socket and no ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import iscoroutine
from typing import Any, NoReturn, Protocol, TypeGuard

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..commands.params import convert
from ..finance.records import Entry
from ..interfaces import ICommand
from ..runtime.waiters import awaitedFrom
from ..wire.codes import RetCode
from ..wire.errors import (
    ExtIDInUse,
    InternalError,
    ManagerError,
    NotPermitted,
    PermissionDenied,
    ShuttingDown,
    UnknownCommand,
)
from ..wire.messages import Json, Request, encode
from .auth import Authenticator, Principal
from .context import Context, House, ISubscriber

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

    def answer(self, request: Request, status: int, data: Json, *, replayed: bool = False) -> None:
        """Send the one answer to a request."""


class Dispatcher:
    """
    The commands, and the way to them.

    @param commands: L{ICommand}s.
    @raise CommandClash: if two have one name.
    """

    _log = Logger()

    def __init__(self, commands: Iterable[ICommand], house: House, auth: Authenticator) -> None:
        self.commands = _byName(commands)
        self.stopping = False
        self._house = house
        self._auth = auth
        # For commands: to ask a class for its Logger makes a new one each time.
        self._logger = self._log
        self._errors = 0

    def dispatch(self, session: ISession, request: Request, again: bool = False) -> None:
        """
        Have a request answered: once, now or later.

        @param again: is one with its extID under way on the session? Then it may only be the same, by its key.
        """
        command = context = None
        try:
            principal = self._principal(session, request)
            if self.stopping:
                raise ShuttingDown
            command = self.commands.get(request.command) or self._unknown(request.command)
            _check(command, principal, again)
            params = convert(request.data, command.params)
            context = Context(self._house, session, principal, request.extID, request.extIDText, again, self._logger)
            result = command.run(context, params)
            if not isinstance(result, (dict, Mapping)):
                waiting = _deferred(result, command).addCallback(self._intercept, context, request)
            elif "__deferred" in result:
                waiting = context.wait(awaitedFrom(result["__deferred"]))
            else:
                session.answer(request, *_said(result, context))
                return
        except Exception as e:
            if context is not None:
                context.abandon()
            self._explain(e, session, request, command, context)
            return
        # One pair of callbacks and no more: what each costs is paid by every deposit.
        who = (session, request, command, context)
        waiting.addCallbacks(self._answer, self._failed, callbackArgs=who, errbackArgs=who)

    def _answer(
        self,
        result: Mapping[str, Any] | Entry,
        session: ISession,
        request: Request,
        command: ICommand,
        context: Context,
    ) -> None:
        """What a command came to, later."""
        try:
            status, data = _said(result, context)
        except Exception as e:
            self._failed(Failure(e), session, request, command, context)
            return
        try:
            session.answer(request, status, data, replayed=context.replayed)
        except Exception:
            self._log.failure(_UNSENT)

    def _failed(
        self, failure: Failure, session: ISession, request: Request, command: ICommand, context: Context
    ) -> None:
        """A command failed, later."""
        if isinstance(failure.value, CancelledError) and not session.isOpen():
            return  # A session that goes away changes nothing about what it asked for.
        try:
            context.abandon()
            assert failure.value is not None
            self._explain(failure.value, session, request, command, context)
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

    def _intercept(
        self, result: Mapping[str, Any], context: Context, request: Request
    ) -> Mapping[str, Any] | Deferred[Entry]:
        """The intermediate answer of a sync command is not sent; the event is, when it comes."""
        if not isinstance(result, Mapping):
            raise TypeError(f"{request.command} came to {result!r}, which is not a mapping")
        if "__deferred" not in result:
            return result
        return context.wait(awaitedFrom(result["__deferred"]))

    def _explain(
        self,
        error: BaseException,
        session: ISession,
        request: Request,
        command: ICommand | None,
        context: Context | None,
    ) -> None:
        """The only place where an exception becomes a response."""
        if isinstance(error, PermissionDenied):
            session.denied(error.message)
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
            text = encode(error.data())
        except BaseException:
            error = InternalError(self._report(Failure(), session, request))
            text = encode(error.data())
        session.answer(request, error.status, text, replayed=context is not None and context.replayed)

    def _report(self, failure: Failure, session: ISession, request: Request) -> str:
        """Log a bug of ours, or of a plugin; the reference under which it stands there."""
        self._errors += 1
        reference = f"E{int(self._house.clock.seconds()):x}-{self._errors}"
        self._log.failure(
            "{reference}: {command!r} of {principal} with extID {extID} failed",
            failure,
            reference=reference,
            command=request.command,
            principal=session.principal.id if session.principal is not None else None,
            extID=request.extIDText,
        )
        return reference


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
    raise TypeError(f"{command.name} returned {result!r}, which is neither a mapping nor a Deferred of one")


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
    return data.pop("__status"), encode(data)
