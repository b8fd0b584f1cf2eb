"""What an answer leads to: a request is over, or asked again, or waits for another token.

L{stepOf} notes in the request what the answer says of it, and returns what is to be done; L{scalemgr.client.requests}
does it. What an answer means is L{scalemgr.client.asking}'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Union

from msgspec import Struct

from .asking import Asked, Meaning
from .declared import Kind
from .errors import ClientError, OutcomeUnknown
from .session import Reply

__all__ = ["Again", "Over", "Renew", "Step", "deniedStep", "stepOf", "wrongStep"]

_TOKENS_MAX = 2
# The longest that a server may tell a request to wait.
_AFTER_MAX_S = 60.0


class Over(Struct, frozen=True):
    """It is not asked again, and this is what its caller is told."""

    result: Reply | ClientError


class Again(Struct, frozen=True):
    """
    It is asked again.

    @ivar afterS: in how long, in seconds; C{None}: the longer the more often it was.
    @ivar left: what its caller is told now, to wait no longer; C{None}: the caller waits on.
    """

    afterS: float | None = None
    left: ClientError | None = None


class Renew(Struct, frozen=True):
    """It is asked again with another token, when there is one."""


Step = Union[Over, Again, Renew]


def stepOf(asked: Asked, meaning: Meaning, reply: Reply, *, renewsToken: bool) -> Step:
    """
    What is to be done after an answer.

    @param renewsToken: can there be another token?
    """
    if meaning is Meaning.DENIED:
        return deniedStep(asked, reply, renewsToken=renewsToken)
    return _STEPS[meaning](asked, reply)


def deniedStep(asked: Asked, reply: Reply, *, renewsToken: bool) -> Step:
    """The token is not accepted."""
    asked.why = _words(reply)
    if renewsToken and asked.denials < _TOKENS_MAX:
        asked.denials += 1
        return Renew()
    return wrongStep(asked, reply)


def wrongStep(asked: Asked, reply: Reply) -> Step:
    """This attempt was not taken, nor would another be."""
    error = asked.refusal(reply)
    if asked.row is not None and isinstance(error, OutcomeUnknown):
        # What is wrong may be mended.
        return Again(left=error)
    return Over(error)


def _done(asked: Asked, reply: Reply) -> Step:
    return Over(reply)


def _void(asked: Asked, reply: Reply) -> Step:
    # Of this attempt, and of those that the server had then. One that has not arrived yet may be booked still.
    asked.isDoubtful = asked.isLost
    asked.isVoid = not asked.isLost
    asked.why = _words(reply)
    if asked.kind is Kind.NAMED and (asked.deadline is not None or asked.isLost):
        return Again()
    return Over(asked.failure("the server withdrew it", isConnected=True))


def _pending(asked: Asked, reply: Reply) -> Step:
    order = reply.data.get("order")
    if type(order) is int:
        asked.order = order
    if asked.kind is Kind.QUESTION:
        return Over(asked.refusal(reply))
    asked.isDoubtful = True
    asked.why = _words(reply)
    if asked.kind is Kind.ONCE:
        return Over(asked.failure("it cannot be sent twice", isConnected=True))
    return Again()


def _busy(asked: Asked, reply: Reply) -> Step:
    asked.why = _words(reply)
    afterMs = reply.data.get("retry_after_ms")
    # At once, again and again, is what nobody means.
    if isinstance(afterMs, (int, float)) and afterMs > 0:
        return Again(min(afterMs / 1000, _AFTER_MAX_S))
    return Again()


_STEPS: Mapping[Meaning, Callable[[Asked, Reply], Step]] = {
    Meaning.DONE: _done,
    Meaning.REFUSED: wrongStep,
    Meaning.VOID: _void,
    Meaning.PENDING: _pending,
    Meaning.BUSY: _busy,
    Meaning.WRONG: wrongStep,
}


def _words(reply: Reply) -> str:
    return f"the server said {reply.status} {reply.data.get('error')}: {reply.data.get('message')}"
