"""From what a command came to, be it an exception, to the status and the data of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..finance.records import Entry
from ..wire.codes import RetCode
from ..wire.errors import ExtIDInUse, InternalError, ManagerError, NotPermitted
from ..wire.messages import Json, encode
from .asked import Asked
from .context import Context
from .tracing import traced

__all__ = ["Explaining", "said"]

# Refusals of a caller, or of what the caller may touch, and the published sentence for all of them.
_DENIALS = frozenset({RetCode.RET_NOT_ENOUGH_RIGHTS, RetCode.RET_ERR_PERMISSIONS, RetCode.RET_USER_NOT_FOUND})
_DENIED = "Invalid login or insufficient permissions"


class Explaining:
    """
    The only place where an exception becomes a response.

    @param log: where bugs go, ours and those of plugins.
    """

    def __init__(self, clock: IReactorTime, log: Logger) -> None:
        self._clock = clock
        self._log = log
        self._errors = 0

    def explain(self, error: BaseException, asked: Asked) -> tuple[ManagerError, Json]:
        """What a caller is told of an exception, and that as data. Of a bug it is told where in the log it stands."""
        command = asked.command
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
            return error, encode(error.data())
        except BaseException:
            error = InternalError(self._report(Failure(), asked))
            return error, encode(error.data())

    def _report(self, failure: Failure, asked: Asked) -> str:
        """Log a bug of ours, or of a plugin; the reference under which it stands there."""
        self._errors += 1
        reference = f"E{int(self._clock.seconds()):x}-{self._errors}"
        principal = asked.principal
        log = traced(self._log, asked.traceparent) if asked.traceparent else self._log
        log.failure(
            "{reference}: {command!r} of {principal} with extID {extID} failed",
            failure,
            reference=reference,
            command=asked.name,
            principal=principal.id if principal is not None else None,
            extID=asked.extIDText,
        )
        return reference


def _isDenial(error: BaseException) -> TypeGuard[ManagerError]:
    return isinstance(error, ManagerError) and error.code in _DENIALS


def said(result: Mapping[str, Any] | Entry, context: Context) -> tuple[int, Json]:
    """
    The status and the data of an answer.

    @raise ExtIDInUse: if the request may not be answered like this, for another with its C{extID} is under way.
    @raise TypeError: if what a command says is no status.
    """
    if context.inUse:
        # Two different answers under one extID would be worse than none.
        raise ExtIDInUse
    if isinstance(result, Entry):
        return 200, result.data
    if "__status" not in result:
        return 200, encode(result)
    data = dict(result)
    return _status(data.pop("__status")), encode(data)


def _status(given: object) -> int:
    """
    What a command says that the status of its answer is.

    @raise TypeError: if it is none.
    """
    if not isinstance(given, int) or not 100 <= given < 600:
        raise TypeError("a status is a number from 100 to 599")
    return int(given)
