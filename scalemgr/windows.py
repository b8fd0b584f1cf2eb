"""The window: where the site can be looked at, and what an operator is told of that."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

from .config import Web
from .doors import Doors, StartFailed, isLocal, shown
from .web.eyes import Eyes

__all__ = ["Windows"]

# Where the site of a demo is if the usual place is taken: two demos on a machine must not be in each other's way.
_ANYWHERE = "tcp:0:interface=127.0.0.1"


class Windows:
    """
    Where the site listens.

    @param demo: is it a demo's? Then only this machine's own addresses will do, and any of them.
    """

    def __init__(self, reactor: Any, *, demo: bool) -> None:
        self._doors = Doors(reactor, demo=demo)
        self._demo = demo
        self._isTls = False

    def open(self, description: str, eyes: Eyes) -> None:
        """
        Listen on a Twisted endpoint.

        @raise StartFailed: if it cannot be.
        """
        self._isTls = description.startswith(("ssl:", "tls:"))
        try:
            self._doors.open([description], eyes.site)
        except StartFailed:
            if not self._demo or description != Web().listen:
                raise
            self._doors.open([_ANYWHERE], eyes.site)
        eyes.guard.isLocal = all(isLocal(address) for address in self._doors.addresses())

    async def close(self) -> None:
        """Take no more connections."""
        await self._doors.close()

    def abandon(self) -> None:
        """The start failed: let go of what was opened."""
        self._doors.abandon()

    def addresses(self) -> list[IAddress]:
        """Where it listens."""
        return self._doors.addresses()

    def urls(self) -> list[str]:
        """The same, for a browser."""
        return [self._url(address) for address in self._doors.addresses()]

    def _url(self, address: IAddress) -> str:
        if not isinstance(address, (IPv4Address, IPv6Address)):
            return shown(address)
        host = f"[{address.host}]" if isinstance(address, IPv6Address) else address.host
        return f"{'https' if self._isTls else 'http'}://{host}:{address.port}/"
