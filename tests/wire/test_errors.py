"""What a client is told when the answer is no."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scalemgr.wire.codes import RetCode
from scalemgr.wire.errors import (
    ADD_BALANCE_ERROR,
    DuplicateRequest,
    InternalError,
    InvalidData,
    LedgerFailed,
    ManagerError,
    NoService,
    NotPermitted,
    Overloaded,
    PermissionDenied,
    Refused,
    ResyncRequired,
    ShuttingDown,
    SyncTimeout,
    TooFrequent,
    UnknownCommand,
)
from scalemgr.wire.messages import Json, encode, response

#: Each kind of answer, with its published status, name and number.
ANSWERS: list[tuple[ManagerError, int, str, int, str]] = [
    (InvalidData("no"), 400, "INVALID_DATA", 3, "RET_INVALID_DATA"),
    (PermissionDenied("no"), 401, "PERMISSION_DENIED", 401, "RET_UNAUTHORIZED"),
    (NotPermitted("no"), 403, "RET_NOT_ENOUGH_RIGHTS", 7, "RET_NOT_ENOUGH_RIGHTS"),
    (Refused("no", RetCode.RET_TRADE_NO_MONEY), 409, "RET_TRADE_NO_MONEY", 134, "RET_TRADE_NO_MONEY"),
    (UnknownCommand("no"), 404, "RET_INVALID_METHOD", 406, "RET_INVALID_METHOD"),
    (DuplicateRequest("no", order=7), 409, "RET_ERR_DUPLICATE", 26, "RET_ERR_DUPLICATE"),
    (ResyncRequired("no", "e", 7), 410, "RESYNC_REQUIRED", 404, "RET_NOT_FOUND"),
    (TooFrequent(250), 429, "RET_TOO_FREQUENT", int(RetCode.RET_TOO_FREQUENT), "RET_TOO_FREQUENT"),
    (Overloaded("no"), 429, "RET_TRADE_TOO_MANY_REQ", 141, "RET_TRADE_TOO_MANY_REQ"),
    (ShuttingDown(), 503, "RET_ERR_SHUTDOWN", 24, "RET_ERR_SHUTDOWN"),
    (NoService(), 503, "RET_ERR_NOSERVICE", 21, "RET_ERR_NOSERVICE"),
    (LedgerFailed("no", outcome="void"), 500, "RET_ERR_DISK", 15, "RET_ERR_DISK"),
    (InternalError("E1"), 500, "RET_ERROR", 2, "RET_ERROR"),
    (SyncTimeout("trade", 7, "void"), 504, "SYNC_TIMEOUT", 407, "RET_TIMEOUT"),
]
#: How each of them is named in a report.
NAMES = [type(row[0]).__name__ for row in ANSWERS]


def onTheWire(error: ManagerError) -> dict[str, Any]:
    """The C{data} that a client reads, in the order in which it is written."""
    answer = json.loads(response(Json('"a"'), error.status, encode(error.data())))
    data: dict[str, Any] = answer["data"]
    return data


@pytest.mark.parametrize(("error", "status", "name", "code", "reason"), ANSWERS, ids=NAMES)
def test_answerIsAsPublished(error: ManagerError, status: int, name: str, code: int, reason: str) -> None:
    """Every kind of refusal has its published status, its name, and the finer return code as number and name."""
    data = onTheWire(error)
    assert error.status == status
    assert (data["error"], data["code"], data["reason"]) == (name, code, reason)
    assert data["message"] == error.message == str(error)
    assert data["message"]


def test_everyKindIsListed() -> None:
    """A kind of refusal that is added gets its status checked."""
    assert {type(row[0]) for row in ANSWERS} >= set(ManagerError.__subclasses__())


def test_codeAloneDecides() -> None:
    """What is said with a return code alone has that code's name and status."""
    error = ManagerError("no", RetCode.RET_GROUP_NOT_FOUND)
    assert (error.status, error.error) == (404, "RET_GROUP_NOT_FOUND")


def test_publishedErrorKeepsItsFinerCode() -> None:
    """A finance refusal is 401 ADD_BALANCE_ERROR as published, with the reason beside it."""
    error = ManagerError("no", RetCode.RET_USER_NOT_FOUND, error=ADD_BALANCE_ERROR, status=401)
    assert error.status == 401
    assert onTheWire(error) == {
        "error": "ADD_BALANCE_ERROR",
        "message": "no",
        "code": 48,
        "reason": "RET_USER_NOT_FOUND",
    }


def test_fieldIsNamed() -> None:
    """Malformed data names the member that is wrong, for a person and for a program."""
    data = onTheWire(InvalidData("expected a number", field="amount"))
    assert data["field"] == "amount"
    assert data["message"] == "amount: expected a number"


def test_fieldIsLeftOutWhereThereIsNone() -> None:
    """A line that is wrong as a whole names no member."""
    assert "field" not in onTheWire(InvalidData("not JSON"))


def test_detailsAreItsOwn() -> None:
    """What one answer says besides does not appear in the next."""
    assert onTheWire(DuplicateRequest("no", order=7))["order"] == 7
    assert "order" not in onTheWire(DuplicateRequest("no"))


def test_codeOfOneDoesNotStay() -> None:
    """A code given to one refusal is not the code of the next of its kind."""
    Refused("no", RetCode.RET_TRADE_NO_MONEY)
    assert Refused("no").code is RetCode.RET_ERROR


@pytest.mark.parametrize("outcome", ["void", "pending"])
def test_timeoutIsAsPublishedFirst(outcome: str) -> None:
    """A time-out begins with the published members in the published order; ours follow."""
    data = onTheWire(SyncTimeout("trade", 1242279, outcome))
    assert list(data.items())[:4] == [
        ("error", "SYNC_TIMEOUT"),
        ("kind", "trade"),
        ("order", 1242279),
        ("outcome", outcome),
    ]


def test_timeoutSaysWhetherItCanStillHappen() -> None:
    """The two outcomes of a time-out are told apart by a person too, and there is no third."""
    assert SyncTimeout("trade", 7, "void").message != SyncTimeout("trade", 7, "pending").message
    with pytest.raises(KeyError):
        SyncTimeout("trade", 7, "perhaps")


def test_internalErrorTellsNothingElse() -> None:
    """A bug of ours shows a client where to find it in the log, and nothing of what it was."""
    data = onTheWire(InternalError("E1f-3"))
    assert data.keys() == {"error", "message", "code", "reason", "reference"}
    assert data["reference"] == "E1f-3"
    assert "E1f-3" in data["message"]
