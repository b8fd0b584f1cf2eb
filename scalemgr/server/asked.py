"""A request that is yet to be answered, and what is known of the session that it came from."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from ..interfaces import ICommand
from ..wire.messages import Json
from .auth import Principal
from .context import Context, ISubscriber

__all__ = ["Asked", "ISession"]


class ISession(ISubscriber, Protocol):
    """What dispatch needs of a session. (Not zope's: it stays inside this folder.)"""

    @property
    def principal(self) -> Principal | None:
        """Who it speaks for, if it has shown a valid token."""

    def authenticated(self, principal: Principal) -> None:
        """It has shown a valid token."""

    def isOpen(self) -> bool:
        """Is anybody there to be answered?"""

    def denied(self, why: str) -> None:
        """It asked without a valid token."""

    def tokenRefused(self, why: str) -> None:
        """It showed a token that is not accepted."""

    def answer(self, extIDText: Json, status: int, data: Json, *, replayed: bool = False) -> None:
        """Send the one answer to a request, by its C{extID}."""


class Asked(Struct, eq=False):
    """
    What is kept of a request until it is answered. Not the request: its token and its data would be a third of the
    memory that a deposit takes while it waits.

    @ivar name: the command's own name; if there is no such command, as it was asked for.
    @ivar command: what it asks for; C{None}: there is no such command.
    @ivar principal: who asks, once that is known.
    @ivar context: what it is given, once that is made.
    @ivar since: when it came, by the watcher's clock.
    @ivar login: the account that it is about, or 0.
    @ivar waited: does its answer wait for an event?
    @ivar traceparent: the trace that it is a part of, or empty.
    """

    session: ISession
    extIDText: Json
    name: str
    command: ICommand | None = None
    principal: Principal | None = None
    context: Context | None = None
    since: float = 0.0
    login: int = 0
    waited: bool = False
    traceparent: str = ""
