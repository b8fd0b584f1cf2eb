"""What a client is told when the answer is no.

There are two kinds of failure, told apart by type:

- a L{ManagerError} is an answer. Its C{status} and L{data <ManagerError.data>} go to the client as they are;
- anything else that is raised is a bug of ours. It is logged with its traceback, and the client gets an
  L{InternalError} with a reference into the log and no details.

Every answer carries C{error} (the published name), C{message} (for people), and, beyond what is
published, C{code} and C{reason}: the number and the name of the L{RetCode}, finer than C{error}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .codes import RetCode

__all__ = [
    "ADD_BALANCE_ERROR",
    "DuplicateRequest",
    "ExtIDInUse",
    "InternalError",
    "InvalidData",
    "LedgerFailed",
    "ManagerError",
    "NoService",
    "NotPermitted",
    "Overloaded",
    "PermissionDenied",
    "Refused",
    "ResyncRequired",
    "ShuttingDown",
    "SyncTimeout",
    "TokenRefused",
    "TooFrequent",
    "UnknownCommand",
]

#: The published C{error} of a finance command that refuses a caller or an account (401).
ADD_BALANCE_ERROR = "ADD_BALANCE_ERROR"


class ManagerError(Exception):
    """
    Something a client is told.

    @ivar code: the finer reason, a published return code.
    @ivar status: the HTTP-like status of the response.
    @ivar error: the published name of the error.
    @ivar message: one sentence for the person who reads the client's log.
    @ivar details: further members of C{data}, JSON values.
    """

    code = RetCode.RET_ERROR

    def __init__(
        self,
        message: str,
        code: RetCode | None = None,
        *,
        error: str | None = None,
        status: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.message = message
        self.status = self.code.status if status is None else status
        self.error = self.code.name if error is None else error
        self.details = details

    def data(self) -> dict[str, Any]:
        """The C{data} of the response."""
        return {
            "error": self.error,
            "message": self.message,
            "code": self.code,
            "reason": self.code.name,
            **self.details,
        }

    @classmethod
    def fromData(cls, data: Mapping[str, Any]) -> ManagerError:
        """The refusal whose L{data} this was; its status is that of its code."""
        details = dict(data)
        error, message, code = details.pop("error"), details.pop("message"), RetCode(details.pop("code"))
        del details["reason"]
        return ManagerError(message, code, error=error, **details)


class InvalidData(ManagerError):
    """The request is malformed: 400 C{INVALID_DATA}. C{field} names the member that is wrong, where one is."""

    code = RetCode.RET_INVALID_DATA

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message if field is None else f"{field}: {message}", error="INVALID_DATA")
        if field is not None:
            self.details["field"] = field


class PermissionDenied(ManagerError):
    """No token, or one that is not accepted: 401 C{PERMISSION_DENIED}."""

    code = RetCode.RET_UNAUTHORIZED

    def __init__(self, message: str) -> None:
        super().__init__(message, error="PERMISSION_DENIED")


class TokenRefused(PermissionDenied):
    """
    A token that is not accepted: 401 C{PERMISSION_DENIED}, with one sentence for all that can be wrong with it, so that
    nobody learns from it what is wrong with a forged one. An honest client knows what its token says.

    @ivar why: what is wrong, for our own log. What the peer chose of it is short and escaped.
    """

    def __init__(self, why: str) -> None:
        super().__init__("the token is not valid here, or no longer is")
        self.why = why


class NotPermitted(ManagerError):
    """The caller is known, but this is not for its role: 403 C{RET_NOT_ENOUGH_RIGHTS}."""

    code = RetCode.RET_NOT_ENOUGH_RIGHTS


class Refused(ManagerError):
    """A business rule says no. The code says which, and its status is the published one."""


class UnknownCommand(ManagerError):
    """No such command: 404 C{RET_INVALID_METHOD}."""

    code = RetCode.RET_INVALID_METHOD


class DuplicateRequest(ManagerError):
    """The C{extID} or key is in use for something else: 409 C{RET_ERR_DUPLICATE}."""

    code = RetCode.RET_ERR_DUPLICATE


class ResyncRequired(ManagerError):
    """
    The log has not what the client wants to go on from: 410 C{RESYNC_REQUIRED}. C{epoch} and C{seq} say which
    log this is, and where it is; the client has to read anew what it keeps of it.
    """

    code = RetCode.RET_NOT_FOUND

    def __init__(self, message: str, epoch: str, seq: int) -> None:
        super().__init__(message, error="RESYNC_REQUIRED", status=410, epoch=epoch, seq=seq)


class ExtIDInUse(DuplicateRequest):
    """Two requests of a session that are under way cannot have one C{extID}, unless one is a repeat of the other."""

    def __init__(self) -> None:
        super().__init__("this extID is in use by a request that is still under way on this session")


class Overloaded(ManagerError):
    """A bound of the daemon is reached; nothing was done: 429 C{RET_TRADE_TOO_MANY_REQ}."""

    code = RetCode.RET_TRADE_TOO_MANY_REQ


class TooFrequent(ManagerError):
    """
    The caller asks more often than it may; nothing was done: 429 C{RET_TOO_FREQUENT}. C{retry_after_ms} says when it
    may ask again.
    """

    code = RetCode.RET_TOO_FREQUENT

    def __init__(self, retryAfterMs: int) -> None:
        super().__init__(
            f"you ask more often than you may; nothing was done: ask again in {retryAfterMs} ms",
            retry_after_ms=retryAfterMs,
        )


class ShuttingDown(ManagerError):
    """The daemon is stopping and takes no new work; nothing was done: 503 C{RET_ERR_SHUTDOWN}."""

    code = RetCode.RET_ERR_SHUTDOWN

    def __init__(self) -> None:
        super().__init__("the server is shutting down; nothing was done")


class NoService(ManagerError):
    """
    What the ledger is kept in cannot be reached, so no new work is taken; nothing was done: 503 C{RET_ERR_NOSERVICE}.
    """

    code = RetCode.RET_ERR_NOSERVICE

    def __init__(self) -> None:
        super().__init__("the ledger cannot be reached; nothing was done, try again later")


class LedgerFailed(ManagerError):
    """The ledger could not do it: 500 C{RET_ERR_DISK}. C{outcome} says whether it can still have happened."""

    code = RetCode.RET_ERR_DISK


class InternalError(ManagerError):
    """A bug of ours: 500 C{RET_ERROR}, with a C{reference} to find it in the log."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"internal error; the server's log has it as {reference}", reference=reference)


class SyncTimeout(ManagerError):
    """
    No matching event in time: 504 C{SYNC_TIMEOUT}.

    C{error}, C{kind} and C{order} are as published and come first. C{outcome} is ours: C{"void"}, it was
    withdrawn and will never apply; C{"pending"}, it was being committed and may have applied.
    """

    code = RetCode.RET_TIMEOUT

    def __init__(self, kind: str, order: int, outcome: str, message: str | None = None) -> None:
        super().__init__(MEANS[outcome] if message is None else message, error="SYNC_TIMEOUT")
        self.kind = kind
        self.order = order
        self.outcome = outcome

    def data(self) -> dict[str, Any]:
        return {
            "error": self.error,
            "kind": self.kind,
            "order": self.order,
            "outcome": self.outcome,
            "message": self.message,
            "code": self.code,
            "reason": self.code.name,
        }


#: What an outcome means, for people.
MEANS = {
    "void": "withdrawn before it was booked: it was not applied and never will be",
    "pending": "the time was up before it was certain: it may have been applied, or may yet be; repeat it to know",
    "nameless": "the time was up before it was certain: it may have been applied, or may yet be; it had no name, so "
    "a repeat would be another request: look for the order instead",
}
