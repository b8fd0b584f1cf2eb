"""The line itself: is it alive, where is the log, what was missed, and which events are wanted?

C{chanels} is the wire's spelling. It names events (C{trade:event}) and whatever else published clients subscribe
to, such as symbols, of which there are no quotes here; what each name does is said in L{scalemgr.finance.channels}.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ..finance.channels import NOTHING
from ..interfaces import About, IContext, Refusal
from ..wire.codes import RetCode
from .answers import Chosen, Pong
from .base import Answer, command
from .params import SAFE_INTEGER

__all__ = ["ping", "subscribe", "subscribeAll", "unsubscribe", "unsubscribeAll"]

Chanels = Annotated[list[str], Meta(min_length=1, max_length=1000, description="such as trade:event")]


class Nothing(Struct, frozen=True):
    """Nothing to say."""


@command("Ping", roles=frozenset(), about=About(Pong, beyond="all of it"))
def ping(context: IContext, params: Nothing) -> dict[str, Any]:
    """The server's time, and the name and the head of the log: tells a quiet log from a dead line."""
    epoch, seq = context.head()
    return {"time": context.clock.seconds(), "epoch": epoch, "seq": seq}


class Subscribe(Struct, frozen=True):
    """Which events, and from where on. Without C{from_seq}: live, from now on."""

    chanels: Chanels
    from_seq: Annotated[int, Meta(ge=0, le=SAFE_INTEGER, description="the last entry that is known")] | None = None
    epoch: Annotated[str, Meta(max_length=200, description="the log that from_seq counts in")] | None = None


@command(
    "Subscribe",
    about=About(
        Chosen,
        (Refusal(RetCode.RET_ERR_DUPLICATE), Refusal(RetCode.RET_NOT_FOUND, "RESYNC_REQUIRED", 410)),
        beyond="it chooses events, too; `from_seq`, `epoch`; the answer is not published",
    ),
)
def subscribe(context: IContext, params: Subscribe) -> Answer:
    """Choose the events that are named, or more of them; from_seq: get what was missed, then a mark (replay:done)."""

    def choose(_: None = None) -> dict[str, Any]:
        context.subscribe(params.from_seq, params.epoch, context.channels.subscribe(params.chanels))
        return _chosen(context)

    epoch, head = context.head()
    if params.from_seq is None or params.from_seq <= head or params.epoch not in (None, epoch):
        return choose()
    # It may be an entry that another gateway has told already.
    return context.caughtUp().addCallback(choose)


class Unsubscribe(Struct, frozen=True):
    """Which events no more."""

    chanels: Chanels


@command("Unsubscribe", about=About(Chosen, beyond="it chooses events, too; the answer is not published"))
def unsubscribe(context: IContext, params: Unsubscribe) -> dict[str, Any]:
    """Get the events that are named no more; who had never chosen gets all others."""
    context.subscribe(None, channels=context.channels.unsubscribe(params.chanels))
    return _chosen(context)


@command("SubscribeAll", about=About(Chosen, beyond="it chooses events, too; the answer is not published"))
def subscribeAll(context: IContext, params: Nothing) -> dict[str, Any]:
    """Get every event again, as a session does that has never chosen."""
    context.subscribe(None, channels=context.channels.subscribeAll())
    return _chosen(context)


@command("UnsubscribeAll", about=About(Chosen, beyond="it chooses events, too; the answer is not published"))
def unsubscribeAll(context: IContext, params: Nothing) -> dict[str, Any]:
    """Get no events at all, until Subscribe names some."""
    context.subscribe(None, channels=NOTHING)
    return _chosen(context)


def _chosen(context: IContext) -> dict[str, Any]:
    epoch, seq = context.head()
    return {"chanels": context.channels.names(context.principal.events), "epoch": epoch, "seq": seq}
