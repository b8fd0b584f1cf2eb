"""Who has the views kept up with the log while a ledger is open, and asks how far they are.

L{Projector} is what a ledger sees. L{ThreadProjector} does the work in a thread, which is good for scripts and tests;
in a daemon it would take the interpreter from the reactor, so there is one in a process of its own, too: see
L{scalemgr.ledger.process}.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import ClassVar, Protocol

from .following import PAUSE_SECONDS, RETRY_SECONDS, STANDBY_SECONDS

__all__ = ["IFollower", "ISource", "Projector", "ThreadProjector"]


class IFollower(Protocol):
    """
    Follows a log, when it is told to. (Not zope's: it stays inside this folder.)

    @ivar reached: the last entry that is in.
    @ivar made: grows when the views may be others than before.
    @ivar failing: why it cannot go on now; empty: it can.
    @ivar idleSeconds: take a step after so long even if nothing is known of; C{None}: there is no need to.
    """

    reached: int
    made: int
    failing: str
    idleSeconds: float | None

    @property
    def isStandingBy(self) -> bool:
        """Does somebody else make the views, and this one looks how far that is?"""

    def step(self, suspected: bool = False, anew: bool = False) -> bool:
        """
        One turn: fold in what there is. C{False} if it failed, which is said once, until it no longer does.

        @param suspected: somebody could not read the views: look whether they are what they should be.
        @param anew: do not even look, make them again.
        """

    def close(self) -> None:
        """Let go of the log and the views."""


class ISource(Protocol):
    """
    A log and where its views are to be: what makes a follower, here or, as it is a C{Struct}, in another process.

    @cvar kind: what the other process knows it by.
    """

    kind: ClassVar[str]

    def follower(self, made: int) -> IFollower:
        """
        What follows that log from now on.

        @param made: what its C{made} begins at; 0: it is the first.
        @raise LedgerRefused: if there can be no views now.
        """


class Projector:
    """
    What is known of the views. Any thread may ask.

    @ivar reached: the last entry that is in.
    @ivar made: grows when the views may be others than before.
    @ivar restarts: how often what does the work has ended, and was started again.
    """

    def __init__(self, source: ISource) -> None:
        self.restarts = 0
        self._source = source
        self._state = threading.Condition()
        self.reached = self.made = 0
        self._failing = ""
        self._head = 0
        # How long somebody has waited, and where, and nothing came in.
        self._inVain = (-1, 0.0)

    def begin(self) -> None:
        """
        Open the views and follow the log from there on. C{reached} and C{made} are known then.

        @raise LedgerRefused: if there can be no views now.
        """
        raise NotImplementedError

    def wake(self, head: int) -> None:
        """The log has grown. Blocks for nothing and nobody."""
        raise NotImplementedError

    def suspect(self, seen: int, anew: bool = False) -> None:
        """
        Somebody could not read the views: look whether they are what they should be.

        @param seen: what C{made} was of those: if they have been made again since, there is nothing to look at.
        @param anew: do not even look, make them again.
        """
        raise NotImplementedError

    def stop(self, finish: bool = True) -> None:
        """
        End.

        @param finish: what is committed, as far as possible; else only what is begun.
        """
        raise NotImplementedError

    def waitFor(self, seq: int, seconds: float) -> bool:
        """Block until an entry is in; C{False} if it takes longer than this, or something is in the way."""
        with self._state:
            if self.reached < seq:
                self._want(seq)
                before = self.reached
                # Who has waited in vain has done so for all who come after, until something comes in: else each of
                # those who stand in line would have to wait as long for himself.
                at, waited = self._inVain
                waited = waited if at == before else 0.0
                self._state.wait_for(lambda: self.reached >= seq or self._failing, max(0.0, seconds - waited))
                if self.reached == before and not self._failing:
                    self._inVain = before, max(waited, seconds)
            return self.reached >= seq

    @property
    def failing(self) -> str:
        """Why the views cannot follow the log now; empty: they can."""
        return self._failing

    def _want(self, seq: int) -> None:
        """Somebody waits for an entry; called with the lock."""
        raise NotImplementedError

    def _set(self, reached: int, made: int, failing: str) -> None:
        """So far it is."""
        with self._state:
            self.reached, self.made, self._failing = reached, made, failing
            self._state.notify_all()


class ThreadProjector(Projector):
    """
    Follows the log in a thread.

    @param made: what C{made} begins at.
    @param tell: called in that thread after each turn that ends in another state.
    """

    def __init__(self, source: ISource, made: int = 0, tell: Callable[[], object] = lambda: None) -> None:
        super().__init__(source)
        self.made = made
        self._tell = tell
        self._wanted = 0
        self._suspected = self._anew = False
        self._stopping = self._finishing = False
        self._thread = threading.Thread(target=self._run, name="scalemgr projector", daemon=True)

    def begin(self) -> None:
        self._follower = self._source.follower(self.made)
        self._believe()
        self._thread.start()

    def wake(self, head: int) -> None:
        with self._state:
            self._head = max(self._head, head)
            self._state.notify_all()

    def suspect(self, seen: int, anew: bool = False) -> None:
        with self._state:
            if seen != self.made:
                return
            self._suspected = True
            self._anew = self._anew or anew
            self._state.notify_all()

    def want(self, seq: int) -> None:
        """Somebody waits for an entry: do not gather more."""
        with self._state:
            self._want(seq)

    def _want(self, seq: int) -> None:
        self._wanted = max(self._wanted, seq)
        self._state.notify_all()

    def stop(self, finish: bool = True, seconds: float | None = None) -> None:
        """
        End.

        @param finish: what is committed, as far as possible; else only what is begun.
        @param seconds: then do not wait for that any longer.
        """
        with self._state:
            self._stopping, self._finishing = True, finish
            self._state.notify_all()
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            while self._work():
                pass
        finally:
            self._follower.close()

    def _work(self) -> bool:
        """Wait for something to do and do it; C{False} if it is time to end."""
        with self._state:
            self._state.wait_for(
                lambda: self._stopping or self._suspected or self._head > self.reached, self._follower.idleSeconds
            )
            if self._stopping and not (self._finishing and self._head > self.reached):
                return False
            suspected, self._suspected = self._suspected, False
            anew, self._anew = self._anew, False
        begun, before = time.monotonic(), self.reached
        made = self._follower.made
        done = self._follower.step(suspected, anew)
        with self._state:
            if self._follower.made != made:
                # What was found meanwhile was of the file that they were made of.
                self._suspected = self._anew = False
            isNew = self._believe()
        if isNew:
            self._tell()
        with self._state:
            if self._finishing and self.reached == before and not suspected:
                # What was said to be there is not: a server has taken over that lacks it.
                return False
            if not done:
                return not self._state.wait_for(lambda: self._stopping, RETRY_SECONDS)
            if self._follower.isStandingBy:
                # To look more often brings nobody's entries in any sooner; and at the end, it is the others' to finish.
                pause = STANDBY_SECONDS if self._wanted > self.reached else PAUSE_SECONDS
                return not self._state.wait_for(lambda: self._stopping, pause)
            self._state.wait_for(
                lambda: self._stopping or self._suspected or self._wanted > self.reached,
                begun + PAUSE_SECONDS - time.monotonic(),
            )
        return True

    def _believe(self) -> bool:
        """What the follower says; is that anything new?"""
        before = self.reached, self.made, self.failing
        self._set(self._follower.reached, self._follower.made, self._follower.failing)
        return before != (self.reached, self.made, self.failing)
