"""What a call can come to, other than its answer: a small tree, and what a caller has to know to act on it.

::

    ClientError
        NotApplied           certain: nothing was booked by this call
            Refused          ... because the server said no: status, error, code, order
            Unreachable      ... because no server was reached in time
            Unanswered       a question (which books nothing) had no answer in time
            BadParameters    it is wrong as it stands; nothing was sent
        OutcomeUnknown       it may have been booked: ask again, with this key
        ResyncRequired       the events that were asked for are not to be had any more
        UnexpectedAnswer     it was done, but what came back is not what is declared
        OutboxInUse          another process, or another client, has the outbox
        ClientClosed         the client was closed before

C{NotApplied} speaks of this call. Of an earlier one with the same key, which another client or another process made,
it says nothing, unless its C{outcome} is C{"refused"} or C{"void"}: those are the server's words about the key. (The
client itself, and an outbox, remember theirs: then it is C{OutcomeUnknown}.)

So C{except NotApplied} is every call that cannot have moved money, and C{except OutcomeUnknown} all that may have. The
texts are for people: they say which request it was, under which key, and what to do. No token is ever in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..wire.codes import RetCode

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


#: What is known of a key after a call that was not taken, and of which nobody said more.
UNTAKEN = "untaken"


class ClientError(Exception):
    """Anything that a client raises."""


class NotApplied(ClientError):
    """
    Nothing was booked by this call, for certain.

    @ivar command: its name.
    @ivar key: its C{idempotency_key}, which may be used again for the same request; C{None}: it had none.
    @ivar reason: why not, for people.
    @ivar outcome: what is known of the key. C{"untaken"}: only that this call was not taken; of an earlier one with the
        same key that says nothing. C{"void"}: the server said that nothing was booked under it. C{"refused"}: the
        server said no for good, and the same key gets the same again.
    """

    _was = "was not taken"

    def __init__(self, command: str, key: str | None, reason: str, outcome: str = UNTAKEN) -> None:
        self.command = command
        self.key = key
        self.reason = reason
        self.outcome = outcome
        super().__init__(self._text())

    def _text(self) -> str:
        if self.key is None:
            return f"{self.command} {self._was}: {self.reason}"
        named = f'{self.command} with idempotency_key="{self.key}"'
        if self.outcome == UNTAKEN:
            return f"this attempt at {named} {self._was}: {self.reason}"
        return f"{named} was not applied: {self.reason}"


class Refused(NotApplied):
    """
    The server said no.

    @ivar status: as HTTP has them.
    @ivar error: the published name, such as C{ADD_BALANCE_ERROR}.
    @ivar code: the finer reason, a C{RET_*} number; 0: none was given. C{reason} is its name.
    @ivar message: the server's sentence.
    @ivar order: the trade that it is about, or 0.
    @ivar outcome: C{"refused"}: a rule said no for good, and the same key gets the same again; else mend what is wrong,
        and then the same key may be used. (But not after C{RET_ERR_DUPLICATE}: it is another request's.)
    @ivar data: all that was answered.
    """

    _was = "was refused"

    def __init__(self, command: str, key: str | None, status: int, data: Mapping[str, Any]) -> None:
        self.status = status
        self.data = dict(data)
        self.error = str(data.get("error", ""))
        self.message = str(data.get("message", ""))
        self.code = integer(data.get("code"))
        self.order = integer(data.get("order"))
        outcome = str(data.get("outcome") or UNTAKEN)
        text = f"{status} {self.error}"
        reason = str(data.get("reason", ""))
        if reason not in ("", self.error):
            text += f" ({reason})"
        if self.message:
            text += f": {self.message}"
        if self.isAnothers:
            text += f" (the key is that of order {self.order})" if self.order else " (which was refused)"
        if outcome == "refused" and key is not None:
            text += "; that is final for this key: to try again, use a new one"
        super().__init__(command, key, text, outcome)
        self.reason = reason

    @property
    def isAnothers(self) -> bool:
        """Was the key used for another request? (C{order} is its.)"""
        return self.status == 409 and self.code == RetCode.RET_ERR_DUPLICATE and "order" in self.data


class Unreachable(NotApplied):
    """No server was reached in time (or none said a word, or it ended without taking it), and so this was not taken."""


class Unanswered(NotApplied):
    """A question had no answer in time. It books nothing, whatever became of it."""

    _was = "was not answered"


class BadParameters(NotApplied, ValueError):
    """
    A call is wrong as it stands; nothing was sent. C{key} is C{None}, whatever it was.

    @ivar reason: what is wrong, all of the text.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("", None, reason)

    def _text(self) -> str:
        return self.reason


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


def integer(value: object) -> int:
    """A number that a server has sent; 0: it has sent none."""
    return value if type(value) is int else 0
