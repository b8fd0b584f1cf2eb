"""What an answer means to the one who asked."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
from msgspec import Raw, Struct

__all__ = ["CERTAIN", "Answer", "Kind", "understand"]


class Kind(Enum):
    """What the asker knows now."""

    DONE = "done"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    VOID = "void"
    PENDING = "pending"
    BUSY = "busy"
    STATE = "state"
    ODD = "odd"


#: There is no need to ask again. An answer that nobody expected will be found by the checks.
CERTAIN = frozenset({Kind.DONE, Kind.REFUSED, Kind.DUPLICATE, Kind.ODD})


class Answer(Struct, frozen=True):
    """
    An answer.

    @ivar data: its C{data}, byte for byte.
    @ivar order: C{data.order}, or 0.
    @ivar replayed: does it say that it repeats an earlier outcome?
    @ivar state: of a L{Kind.STATE}: C{data.state}.
    @ivar trade: of a L{Kind.STATE}: C{data.data}, byte for byte, or C{None}.
    """

    kind: Kind
    status: int
    data: str
    order: int = 0
    replayed: bool = False
    state: str = ""
    trade: str | None = None


class _Envelope(Struct):
    status: int
    data: Raw
    replayed: bool = False


class _Data(Struct):
    order: Any = 0
    error: str = ""
    outcome: str = ""
    state: Any = ""
    # Not a union with None: that would take nothing but null.
    data: Raw = Raw()


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_DATA = msgspec.json.Decoder(_Data)


def understand(command: str, line: str, looksUp: bool = False) -> Answer:
    """
    What this line says as an answer to this command.

    @param looksUp: does it name a movement to change? That has to be looked up before anything is done, and if
        it cannot be, nothing is said of what became of the key.
    """
    envelope = _ENVELOPE.decode(line)
    data = _DATA.decode(envelope.data)
    kind = _kind(command, envelope.status, data, looksUp)
    return Answer(
        kind,
        envelope.status,
        bytes(envelope.data).decode(),
        data.order if isinstance(data.order, int) else 0,
        envelope.replayed,
        data.state if kind is Kind.STATE and isinstance(data.state, str) else "",
        bytes(data.data).decode() if kind is Kind.STATE and bytes(data.data) else None,
    )


def _kind(command: str, status: int, data: _Data, looksUp: bool) -> Kind:
    if status in (429, 503):
        return Kind.BUSY
    if command == "GetRequest":
        # It may fail when the ledger does; then it has said nothing. That is no bug of the daemon.
        if data.error == "RET_ERROR":
            return Kind.ODD
        return {200: Kind.STATE, 500: Kind.BUSY, 504: Kind.BUSY}.get(status, Kind.ODD)
    if status in (500, 504) and data.outcome in ("void", "pending"):
        return Kind(data.outcome)
    if command == "DeleteUsersList" and (status, data.error, data.outcome) in _CLOSED:
        return _CLOSED[status, data.error, data.outcome]
    if looksUp and (status, data.error, data.outcome) in _NOT_FOUND_OUT:
        return Kind.BUSY
    return _BY_ERROR.get((status, data.error, data.outcome), Kind.ODD)


_REFUSED = "refused"
_BY_ERROR = {
    (200, "", ""): Kind.DONE,
    (400, "RET_TRADE_INCORRECT_ORDER", _REFUSED): Kind.REFUSED,
    (400, "RET_TRADE_INCORRECT_STATE", _REFUSED): Kind.REFUSED,
    (401, "ADD_BALANCE_ERROR", _REFUSED): Kind.REFUSED,
    (404, "RET_GROUP_NOT_FOUND", _REFUSED): Kind.REFUSED,
    (404, "RET_USER_NOT_FOUND", _REFUSED): Kind.REFUSED,
    (404, "TRADE_NOT_FOUND", _REFUSED): Kind.REFUSED,
    (409, "DELETE_GROUP_ERROR", _REFUSED): Kind.REFUSED,
    (409, "RET_DUPLICATE_RECORD", _REFUSED): Kind.REFUSED,
    (409, "RET_TRADE_NO_MONEY", _REFUSED): Kind.REFUSED,
    (409, "RET_USR_HAS_TRADES", _REFUSED): Kind.REFUSED,
    (409, "RET_ERR_DUPLICATE", ""): Kind.DUPLICATE,
}
# Of a list of accounts some, or none, could be closed: why the first could not is the refusal.
_CLOSED = {
    (207, "", ""): Kind.DONE,
    (409, "RET_USER_NOT_FOUND", _REFUSED): Kind.REFUSED,
    (409, "RET_USR_HAS_TRADES", _REFUSED): Kind.REFUSED,
}
_NOT_FOUND_OUT = {(500, "RET_ERR_DISK", ""), (500, "RET_ERR_TIMEOUT", "")}
