"""The window: where the site can be looked at, and what an operator is told of that."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from ..config import Settings, Web
from ..web.eyes import Eyes
from .doors import Door, Doors, StartFailed, isLocal, shown
from .reloading import Apply
from .speakers import Speakers

__all__ = ["Windows"]

# Where the site of a demo is if the usual place is taken: two demos on a machine must not be in each other's way.
_ANYWHERE = "tcp:0:interface=127.0.0.1"


class Windows:
    """
    Where the site listens.

    @param speakers: what those that speak TLS do it with.
    @param demo: is it a demo's? Then only this machine's own addresses will do, and any of them.
    """

    def __init__(self, reactor: Any, speakers: Speakers, *, demo: bool) -> None:
        self._doors = Doors(reactor, speakers, demo=demo)
        self._demo = demo

    def open(self, settings: Settings, eyes: Eyes) -> None:
        """
        Listen where the settings say.

        @raise StartFailed: if it cannot be.
        """
        description, allowPlain = settings.web.listen, settings.access.allow_plain
        try:
            self._doors.open([description], eyes.site, allowPlain=allowPlain)
        except StartFailed:
            if not self._demo or description != Web().listen:
                raise
            self._doors.open([_ANYWHERE], eyes.site)
        eyes.guard.isLocal = all(isLocal(address) for address in self._doors.addresses())

    def prepare(self, settings: Settings) -> Apply:
        """See that what is open may be open: C{IReloadable}."""
        return self._doors.prepare(settings)

    async def close(self) -> None:
        """Take no more connections."""
        await self._doors.close()

    def abandon(self) -> None:
        """The start failed: let go of what was opened."""
        self._doors.abandon()

    def addresses(self) -> list[IAddress]:
        """Where it listens."""
        return self._doors.addresses()

    def announce(self, log: Logger) -> None:
        """
        Tell an operator where it is, for a browser.

        @param log: the daemon's, which says so of itself.
        """
        for door in self._doors:
            log.info("console at {url}", url=_url(door))


def _url(door: Door) -> str:
    address = door.port.getHost()
    if not isinstance(address, (IPv4Address, IPv6Address)):
        return shown(address)
    host = f"[{address.host}]" if isinstance(address, IPv6Address) else address.host
    return f"{'http' if door.speaker is None else 'https'}://{host}:{address.port}/"
