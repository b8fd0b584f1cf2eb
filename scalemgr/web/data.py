"""What the console's page asks for: of whom, and how a question is read from the address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.web.server import Request

from ..commands.base import STAFF
from ..server.auth import Principal
from ..wire.errors import PermissionDenied
from .forms import Room
from .guard import Guard
from .resources import saidAsJson

__all__ = ["Data", "argument", "isCount", "number"]


class Data(Room):
    """Something that staff are told who are known."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    def answer(self, request: Request) -> Any:
        principal = self._guard.principalOf(request)
        if principal is None:
            return saidAsJson(request, 401, _denied("show a token first"))
        if principal.role not in STAFF:
            return saidAsJson(request, 403, _denied("the console is for managers, dealers and admins"))
        return self.told(request, principal)

    def told(self, request: Request, principal: Principal) -> Any:
        """What somebody is told who may know."""
        raise NotImplementedError


def _denied(why: str) -> dict[str, Any]:
    return PermissionDenied(why).data()


def argument(request: Request, name: bytes) -> str:
    """What the address says by this name, as it stands there; empty if nothing."""
    args: Mapping[bytes, list[bytes]] = request.args or {}
    return args.get(name, [b""])[-1].decode("utf-8", "replace")


def isCount(text: str) -> bool:
    """Is it a number, and no longer than one is here?"""
    return text.isascii() and text.isdigit() and len(text) <= 15


def number(request: Request, name: bytes) -> int | None:
    """
    The number that the address says by this name; C{None} if nothing.

    @raise ValueError: if it says something else.
    """
    text = argument(request, name).strip()
    if text and not isCount(text):
        raise ValueError(f"{name.decode()}: expected a number of at most 15 digits")
    return int(text) if text else None
