"""One request, from the caller's wish to its answer, and what an answer means for it.

The table of docs/promises.md, in code: L{meaningOf}. What is done about it is L{scalemgr.client.core}'s.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct

from ..wire.codes import RetCode
from ..wire.messages import Json
from .declared import COMMANDS, Kind
from .errors import UNTAKEN, ClientError, NotApplied, OutcomeUnknown, Refused, Unanswered, Unreachable
from .session import Reply

__all__ = ["Asked", "Intent", "Meaning", "Told", "meaningOf"]

#: How long the server waits for the event of a Sync command if it is not told otherwise, in seconds.
SERVER_TIMEOUT_S = 5.0

#: The least that it may be told, in milliseconds: less is refused as wrong.
SERVER_TIMEOUT_LEAST_MS = 100


class Meaning(Enum):
    """What an answer says of the request."""

    #: It is booked, or here is what was asked for.
    DONE = "done"
    #: A rule said no for good, or the key is another request's.
    REFUSED = "refused"
    #: Nothing was booked under its key, and this attempt never will be.
    VOID = "void"
    #: It may have been booked, or may yet be.
    PENDING = "pending"
    #: This attempt was not taken, but another may be, later.
    BUSY = "busy"
    #: This attempt was not taken: the token is not accepted (any more).
    DENIED = "denied"
    #: This attempt was not taken, nor would another be.
    WRONG = "wrong"


def meaningOf(reply: Reply) -> Meaning:
    """What an answer says, by docs/promises.md."""
    status, data = reply.status, reply.data
    if 200 <= status < 300:
        return Meaning.DONE
    outcome = data.get("outcome")
    if isinstance(outcome, str) and outcome in _OUTCOMES:
        return _OUTCOMES[outcome]
    if status == 409 and data.get("code") == RetCode.RET_ERR_DUPLICATE:
        # With an order: of the other request that has the key. Without: it is under way on this session.
        return Meaning.REFUSED if "order" in data else Meaning.BUSY
    if status in (429, 503):
        return Meaning.BUSY
    if status == 401 and data.get("error") == "PERMISSION_DENIED":
        return Meaning.DENIED
    return Meaning.PENDING if status >= 500 else Meaning.WRONG


_OUTCOMES = {"refused": Meaning.REFUSED, "void": Meaning.VOID, "pending": Meaning.PENDING}


class Asked:
    """
    A request that is not answered yet.

    @ivar waiter: whatever the driver tells the answer to; C{None}: nobody waits (any more), but the outbox has it.
    @ivar key: its C{idempotency_key}, or C{None}.
    @ivar text: its C{data}.
    @ivar caller: as whom it was first sent, or kept; C{None}: as nobody yet.
    @ivar deadline: when the caller wants to be told, on the driver's clock; C{None}: nobody does.
    @ivar extID: the one that it has on every connection, or C{None}: each attempt gets another.
    @ivar row: its place in the outbox, or C{None}: it is not kept.
    @ivar sentAs: the extID of the attempt that was sent and is not answered, or C{None}.
    @ivar isDoubtful: did an attempt end without a certain answer?
    @ivar isVoid: did the server say that nothing was booked under its key? (Unless it is in doubt again.)
    @ivar isLost: may one be on its way still, on a connection that is gone, or of an earlier call with the same key?
    @ivar attempts: how many were answered with "not now".
    @ivar denials: how many tokens it was refused with.
    @ivar token: with what the last attempt was sent.
    @ivar why: what there is to say about why there is no answer, for people.
    @ivar order: the trade that it would be, if the server named one, else 0.
    """

    __slots__ = (
        "attempts",
        "caller",
        "command",
        "deadline",
        "denials",
        "extID",
        "isDoubtful",
        "isLost",
        "isOver",
        "isVoid",
        "key",
        "kind",
        "order",
        "row",
        "sentAs",
        "text",
        "token",
        "waiter",
        "why",
    )

    def __init__(self, command: str, text: Json, key: str | None, kind: Kind, deadline: float | None) -> None:
        self.command = command
        self.text = text
        self.key = key
        self.kind = kind
        self.deadline = deadline
        self.waiter: Any = None
        self.caller: str | None = None
        self.extID: str | None = None
        self.row: int | None = None
        self.sentAs: str | None = None
        self.isDoubtful = self.isLost = self.isOver = self.isVoid = False
        self.attempts = self.denials = self.order = 0
        self.token: str | None = None
        self.why = ""

    @property
    def mayBeBooked(self) -> bool:
        """Can it have been booked, for all that is known?"""
        return self.kind is not Kind.QUESTION and (self.sentAs is not None or self.isDoubtful)

    def lose(self, why: str) -> None:
        """An attempt may be on its way still, and arrive long after others were answered."""
        self.isDoubtful = self.isLost = True
        self.why = why

    def data(self, now: float) -> Json:
        """
        What an attempt is sent with. If the caller's time is up before the server's would be, the server is told: so
        it can withdraw the request and say so, and the caller is not left in doubt.
        """
        declared = COMMANDS.get(self.command)
        if self.deadline is None or declared is None or "timeout_ms" not in declared.params.__struct_fields__:
            return self.text
        left = self.deadline - now
        if left > SERVER_TIMEOUT_S or '"timeout_ms":' in self.text:
            return self.text
        # The answer needs some of it for its way.
        return Json(f'{self.text[:-1]},"timeout_ms":{max(SERVER_TIMEOUT_LEAST_MS, int(left * 800))}}}')

    def refusal(self, reply: Reply) -> ClientError:
        """Why it is not asked again: with an answer that says that this attempt was not taken, or not for good."""
        refused = Refused(self.command, self.key, reply.status, reply.data)
        if meaningOf(reply) is Meaning.REFUSED or not self.isDoubtful or self.kind is Kind.QUESTION:
            return refused
        # Of an earlier attempt it says nothing.
        says = f"{refused.status} {refused.error}: {refused.message}"
        reason = f"an earlier attempt had no certain answer ({self.why}), and now the server says {says}"
        return OutcomeUnknown(self.command, self.key, reason, self.order)

    def failure(self, why: str, *, isConnected: bool) -> ClientError:
        """What to tell a caller who is to wait no longer."""
        reason = f"{why} ({self.why})" if self.why else why
        if self.mayBeBooked:
            return OutcomeUnknown(self.command, self.key, reason, self.order)
        outcome = Meaning.VOID.value if self.isVoid else UNTAKEN
        if not isConnected:
            return Unreachable(self.command, self.key, reason, outcome)
        if self.kind is Kind.QUESTION:
            return Unanswered(self.command, self.key, reason)
        return NotApplied(self.command, self.key, reason, outcome)


class Told(Struct, frozen=True):
    """
    What became of a request.

    @ivar waiter: who is told; C{None}: nobody waits, but the outbox had it.
    """

    asked: Asked
    waiter: Any
    result: Reply | ClientError


class Intent(Struct, frozen=True):
    """
    What the outbox has of a request.

    @ivar row: its place there.
    @ivar text: its C{data} as JSON.
    @ivar made: when it was put there, unix seconds.
    @ivar caller: whose it is (L{scalemgr.client.identity}); C{None}: it is of before that was kept.
    """

    row: int
    command: str
    key: str
    text: str
    made: float
    caller: str | None = None
