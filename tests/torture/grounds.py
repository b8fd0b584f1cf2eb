"""Where the ledger of a campaign is: what it is called, what is done to it, and what it has in the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random

from .daemon import Daemon
from .havoc import Havoc
from .history import Entry

__all__ = ["Ground"]


class Ground(ABC):
    """
    It is there for as long as the block lasts whose context manager made it.

    @ivar url: what the daemons are told.
    @ivar foreseen: what a traceback in a daemon's log may end with.
    @ivar mayBeAway: can it be that the log cannot be read for a while?
    """

    url: str
    foreseen: tuple[str, ...]
    mayBeAway: bool

    @abstractmethod
    def havoc(self, daemons: Sequence[Daemon], random: Random) -> Havoc:
        """What will be done to it, and to the daemons."""

    @abstractmethod
    def log(self) -> list[Entry]:
        """All that it has, while it is well."""
