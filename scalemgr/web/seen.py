"""What the web room looks at: the rooms above it, as they are joined."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime

from ..server.auth import Authenticator
from ..server.context import House
from ..server.dispatch import Dispatcher
from ..server.factory import ManagerFactory
from .counting import Counting
from .disk import Disk

__all__ = ["Seen", "noCertificate"]


def noCertificate() -> float | None:
    """When the certificate of a daemon that has none ends."""
    return None


class Seen(Struct, frozen=True):
    """
    The rooms. All of it is read in the reactor's thread, and none of it changed.

    @ivar timer: what is waited by; its C{seconds} are of a clock that is never set.
    @ivar certificateExpires: when the certificate of the doors ends, in unix seconds; C{None}: there is none.
    """

    timer: IReactorTime
    dispatcher: Dispatcher
    auth: Authenticator
    factory: ManagerFactory
    counting: Counting
    disk: Disk
    certificateExpires: Callable[[], float | None] = noCertificate

    @property
    def house(self) -> House:
        """What commands share: another one after each time that the configuration was read again."""
        return self.dispatcher.house
