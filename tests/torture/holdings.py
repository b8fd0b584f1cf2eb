"""What a client knows of that can be changed, taken back or decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from .asked import APPROVE, CREATE, MOVES

__all__ = ["Holdings", "Movement"]


class Movement(Struct, frozen=True):
    """A movement of money, or a request for one, as far as whoever names it has to know it."""

    order: int
    login: int
    cmd: int


class Holdings:
    """
    What it is sure of.

    @ivar movements: those that this client made, or approved.
    @ivar requests: everybody's requests for approval.
    @ivar logins: the accounts that this client opened.
    @ivar fresh: those of them that this client has not thought about yet.
    """

    def __init__(self) -> None:
        self.movements: list[Movement] = []
        self.requests: list[Movement] = []
        self.fresh: list[Movement] = []
        self.logins: list[int] = []
        self._known: dict[int, Movement] = {}

    def hear(self, trade: Mapping[str, Any]) -> None:
        """Somebody asks for approval. This comes over each session, and perhaps again after a break."""
        if trade["order"] not in self._known:
            request = Movement(trade["order"], trade["login"], trade["cmd"])
            self._known[request.order] = request
            self.requests.append(request)
            self.fresh.append(request)

    def done(self, kind: str, login: int, named: int, cmd: int, order: int) -> None:
        """A wish of this client is booked: with this order, which is the one that it named or a new one."""
        if kind in MOVES and order != named:
            self.movements.append(Movement(order, login, MOVES[kind]))
        elif kind == CREATE:
            self.hear({"order": order, "login": login, "cmd": cmd})
        elif kind == APPROVE and order in self._known:
            self.movements.append(self._known[order])
