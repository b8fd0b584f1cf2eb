"""The line itself: is it alive, where is the log, and what was missed?"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ..finance.records import BROADCAST
from ..interfaces import IContext
from .base import command
from .params import SAFE_INTEGER

__all__ = ["ping", "subscribe"]


class Ping(Struct, frozen=True):
    """Nothing to say."""


@command("Ping", roles=frozenset())
def ping(context: IContext, params: Ping) -> dict[str, Any]:
    """The server's time, and the name and the head of the log: tells a quiet log from a dead line."""
    epoch, seq = context.head()
    return {"time": context.clock.seconds(), "epoch": epoch, "seq": seq}


class Subscribe(Struct, frozen=True):
    """Which events (C{chanels} is the wire's spelling), and from where on. Without C{from_seq}: live, as ever."""

    chanels: Annotated[list[str], Meta(min_length=1, max_length=1000, description="such as trade:event")]
    from_seq: Annotated[int, Meta(ge=0, le=SAFE_INTEGER, description="the last entry that is known")] | None = None
    epoch: Annotated[str, Meta(max_length=200, description="the log that from_seq counts in")] | None = None


@command("Subscribe")
def subscribe(context: IContext, params: Subscribe) -> dict[str, Any]:
    """Get what was missed, then a mark (replay:done), then live events: every event, whichever are named."""
    if params.from_seq is not None or params.epoch is not None:
        context.subscribe(params.from_seq, params.epoch)
    epoch, seq = context.head()
    # What else published clients subscribe to, quotes of symbols, there is none of here.
    return {"chanels": [name for name in params.chanels if name in BROADCAST], "epoch": epoch, "seq": seq}
