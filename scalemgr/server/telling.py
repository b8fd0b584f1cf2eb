"""What a watcher is told of each request that was answered: metrics and the log know requests by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..finance.records import Entry
from ..interfaces import IWatcher, Told
from ..wire.errors import ManagerError
from .asked import Asked

__all__ = ["Telling"]


class Telling:
    """
    The way to the watcher.

    @param watcher: who is told; C{None}: nobody is.
    @ivar seconds: the time, by the watcher's clock.
    """

    def __init__(self, watcher: IWatcher | None) -> None:
        self._watcher = watcher
        # An attribute, not a method: one call less for each request. Where nobody is told, it is always 0.
        self.seconds: Callable[[], float] = float if watcher is None else watcher.seconds

    def tell(
        self, asked: Asked, status: int, about: Mapping[str, Any] | Entry, error: ManagerError | None = None
    ) -> None:
        """
        A request was answered.

        @param about: what the answer says: of that, the watcher is told login and order.
        @param error: what was refused; C{None}: nothing was.
        """
        if self._watcher is None:
            return
        if isinstance(about, Entry):
            login, order = about.login, about.order
        else:
            login, order = asked.login, about.get("order", 0)
        context, principal = asked.context, asked.principal
        self._watcher.told(
            Told(
                "" if asked.command is None else asked.name,
                asked.extIDText,
                "" if principal is None else principal.id,
                login if type(login) is int else 0,
                order if type(order) is int else 0,
                status,
                self.seconds() - asked.since,
                error,
                context is not None and context.replayed,
                asked.traceparent,
                asked.waited,
                context is not None and context.submitted,
            )
        )
