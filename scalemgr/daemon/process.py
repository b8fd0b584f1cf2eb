"""What the daemon has from the process that it runs in, and a daemon in a test can do without."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from twisted.logger import ILogObserver

from ..config import Settings
from ..interfaces import IWatcher
from .reloading import IReloadable
from .systemd import Systemd

__all__ = ["Process"]


class Process(Struct, frozen=True):
    """
    A process, as C{tap.py} finds it.

    @ivar read: reads the settings again; C{None}: they stay as they are.
    @ivar onHangUp: has something called when the process is told to read its configuration again (SIGHUP).
    @ivar parts: what else can have other settings while it runs.
    @ivar watchers: are told of each request that was answered.
    @ivar observer: what the application that the daemon becomes a part of logs to; C{None}: whatever else it finds.
    @ivar systemd: is told how far the daemon is; C{None}: nobody is.
    @ivar handedOver: descriptors of sockets that listen already.
    """

    read: Callable[[], Settings] | None = None
    onHangUp: Callable[[Callable[[], object]], None] | None = None
    parts: tuple[IReloadable, ...] = ()
    watchers: tuple[IWatcher, ...] = ()
    observer: ILogObserver | None = None
    systemd: Systemd | None = None
    handedOver: tuple[int, ...] = ()
