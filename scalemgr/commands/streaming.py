"""The line itself: is it alive, and where is the log?"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ..interfaces import IContext
from .base import command

__all__ = ["ping"]


class Ping(Struct, frozen=True):
    """Nothing to say."""


@command("Ping", roles=frozenset())
def ping(context: IContext, params: Ping) -> dict[str, Any]:
    """The server's time, and the name and the head of the log: tells a quiet log from a dead line."""
    epoch, seq = context.head()
    return {"time": context.clock.seconds(), "epoch": epoch, "seq": seq}
