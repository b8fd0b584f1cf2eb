"""What is said to sessions in one go leaves in one write each.

To hand something to a transport costs as much as to make it, whether it is one line or hundreds: so while a chunk is
worked off, or a batch is told, what there is to say gathers with each session, and leaves at the end.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from twisted.logger import Logger

__all__ = ["IOutgoing", "Outbox"]


class IOutgoing(Hashable, Protocol):
    """A session that has something to say. (Not zope's: it stays inside this folder.)"""

    def flush(self) -> None:
        """Say it."""


class Outbox:
    """
    A context manager, which may be entered again within itself: what is said in it leaves at the end of the outermost.

    @ivar isOpen: does what is said gather now?
    """

    _log = Logger()

    def __init__(self) -> None:
        self.isOpen = False
        self._depth = 0
        # A dict for its order.
        self._sessions: dict[IOutgoing, None] = {}

    def add(self, session: IOutgoing) -> None:
        """This one has something to say."""
        self._sessions[session] = None

    def __enter__(self) -> None:
        self._depth += 1
        self.isOpen = True

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        # To say something may make others say something: that need not gather any more.
        self.isOpen = False
        sessions, self._sessions = self._sessions, {}
        for session in sessions:
            try:
                session.flush()
            except Exception:
                self._log.failure("what a session was to be told could not be sent")
