"""What a call can come to, other than its answer: a small tree, and what a caller has to know to act on it.

::

    ClientError
        NotApplied           certain: nothing was booked for this call
            Refused          ... because the server said no: status, error, code, order
            Unreachable      ... because there was no connection in time
            Unanswered       a question (which books nothing) had no answer in time
        OutcomeUnknown       it may have been booked: ask again, with this key
        BadParameters        it is wrong as it stands; nothing was sent
        ResyncRequired       the events that were asked for are not to be had any more
        UnexpectedAnswer     it was done, but what came back is not what is declared
        OutboxInUse          another process, or another client, has the outbox
        ClientClosed         the client was closed before

(Of an earlier call with the same key, which another client or another process made, C{NotApplied} says nothing, unless
it is C{Refused} with an C{outcome}. The client itself, and an outbox, remember theirs: then it is C{OutcomeUnknown}.)

So C{except NotApplied} is all that cannot have moved money, and C{except OutcomeUnknown} all that may have. The
texts are for people: they say which request it was, under which key, and what to do. No token is ever in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "BadParameters",
    "ClientClosed",
    "ClientError",
    "NotApplied",
    "OutboxInUse",
    "OutcomeUnknown",
    "Refused",
    "ResyncRequired",
    "Unanswered",
    "UnexpectedAnswer",
    "Unreachable",
]


class ClientError(Exception):
    """Anything that a client raises."""


class NotApplied(ClientError):
    """
    Nothing was booked for this call, for certain.

    @ivar command: its name.
    @ivar key: its C{idempotency_key}, which may be used again for the same request; C{None}: it had none.
    @ivar reason: why not, for people.
    """

    def __init__(self, command: str, key: str | None, reason: str) -> None:
        super().__init__(f"{_named(command, key)} was not applied: {reason}")
        self.command = command
        self.key = key
        self.reason = reason


class Refused(NotApplied):
    """
    The server said no.

    @ivar status: as HTTP has them.
    @ivar error: the published name, such as C{ADD_BALANCE_ERROR}.
    @ivar code: the finer reason, a C{RET_*} number; 0: none was given. C{reason} is its name.
    @ivar message: the server's sentence.
    @ivar order: the trade that it is about, or 0.
    @ivar outcome: C{"refused"}: a rule said no for good, and the same key gets the same again; else empty: mend what
        is wrong, and then the same key may be used.
    @ivar data: all that was answered.
    """

    def __init__(self, command: str, key: str | None, status: int, data: Mapping[str, Any]) -> None:
        self.status = status
        self.data = dict(data)
        self.error = str(data.get("error", ""))
        self.message = str(data.get("message", ""))
        self.code = integer(data.get("code"))
        self.order = integer(data.get("order"))
        self.outcome = str(data.get("outcome", ""))
        text = f"{status} {self.error}"
        reason = str(data.get("reason", ""))
        if reason not in ("", self.error):
            text += f" ({reason})"
        if self.message:
            text += f": {self.message}"
        if self.outcome == "refused" and key is not None:
            text += "; that is final for this key: to try again, use a new one"
        super().__init__(command, key, text)
        self.reason = reason


class Unreachable(NotApplied):
    """There was no connection in time, and so nothing was sent."""


class Unanswered(NotApplied):
    """A question had no answer in time. It books nothing, whatever became of it."""


class OutcomeUnknown(ClientError):
    """
    It may have been booked, or may yet be: not even repeats had a certain answer in time.

    @ivar command: its name.
    @ivar key: ask again with this C{idempotency_key} and the same data, and it is booked once; C{None}: it had none,
        so to ask again would be another request: look for what it would have done instead.
    @ivar order: the trade that it would be, if the server has named one, else 0.
    @ivar reason: why it is not known, for people.
    """

    def __init__(self, command: str, key: str | None, reason: str, order: int = 0) -> None:
        do = (
            f'ask again with idempotency_key="{key}" and the same data to know'
            if key is not None
            else "it had no key, so do not repeat it: look for what it would have done"
        )
        trade = f" (order {order})" if order else ""
        super().__init__(f"whether {command}{trade} was applied is not known: {reason}; {do}")
        self.command = command
        self.key = key
        self.order = order
        self.reason = reason


class BadParameters(ClientError, ValueError):
    """A call is wrong as it stands; nothing was sent."""


class ResyncRequired(ClientError):
    """
    The log is another one than the events were read from, or knows less: what was kept of it has to be read anew.

    @ivar epoch: the name of the log as it is.
    @ivar seq: its last entry: go on from there.
    """

    def __init__(self, message: str, epoch: str, seq: int) -> None:
        super().__init__(f"{message}; read anew what you keep, then go on with from_seq={seq}, epoch={epoch!r}")
        self.epoch = epoch
        self.seq = seq


class UnexpectedAnswer(ClientError):
    """
    It was done, but what came back is not what the command declares; a token may withhold some of it.

    @ivar status: of the answer.
    @ivar data: the answer.
    """

    def __init__(self, command: str, status: int, data: Mapping[str, Any], why: str) -> None:
        super().__init__(f"{command} was done (status {status}), but its answer is not as declared: {why}; see .data")
        self.command = command
        self.status = status
        self.data = dict(data)


class OutboxInUse(ClientError):
    """Only one client of one process has an outbox at a time."""


class ClientClosed(ClientError):
    """The client was closed before the call was made."""


def _named(command: str, key: str | None) -> str:
    return command if key is None else f'{command} with idempotency_key="{key}"'


def integer(value: object) -> int:
    """A number that a server has sent; 0: it has sent none."""
    return value if type(value) is int else 0
