"""Is it alive, and is it ready?

C{/livez}: the reactor turns, or there would be no answer. C{/readyz}: all of these are well:

- C{draining}: it does not stop;
- C{ledger}: it can be reached, the last commit did what it should, none is stuck, and the disk can be written to. While
  nobody deposits nothing is committed, so the disk is looked at besides: its free space, its rights, and whether it
  answers at all; and after a commit that failed the runtime itself tries, until one succeeds;
- C{views}: what answers questions is up with the log, or nearly so;
- C{certificate}: that of the doors, if they have one, has not expired.
"""

from __future__ import annotations

from msgspec import Struct

from .seen import Seen

__all__ = ["BEHIND_MAX", "FREE_MIN", "LOOKED_S_MAX", "STUCK_S", "Check", "Health"]

#: How many bytes must be free: it takes some to finish what was taken.
FREE_MIN = 64 * 1024 * 1024
#: How long a commit may take, in seconds.
STUCK_S = 5.0
#: How long ago the disk may have been looked at, in seconds.
LOOKED_S_MAX = 20.0
#: How many entries the views may lack: half as many as would hold up deposits.
BEHIND_MAX = 250_000


class Check(Struct, frozen=True):
    """
    One thing that must be well.

    @ivar why: how it is, be it well or not.
    """

    name: str
    ok: bool
    why: str


class Health:
    """Looks whether all is well. It reads what is at hand, and waits for nothing."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def checks(self) -> list[Check]:
        """All of them."""
        return [self._draining(), self._ledger(), self._views(), self._certificate()]

    def _draining(self) -> Check:
        stopping = self._seen.dispatcher.stopping
        return Check("work", not stopping, "it stops, and takes no new work" if stopping else "it is taken")

    def _ledger(self) -> Check:
        why = self._trouble()
        free = self._seen.disk.storage.free
        well = "it can be written" + ("" if free is None else f", and {free:,} bytes are free")
        return Check("ledger", not why, why or well)

    def _trouble(self) -> str:
        """Why the ledger may not be writable; empty: it is."""
        runtime, disk = self._seen.house.runtime, self._seen.disk
        commits, storage = runtime.commits, disk.storage
        if not runtime.running and not self._seen.dispatcher.stopping:
            return "mainLoop has ended; start the daemon again"
        if away := self._seen.house.ledger.away:
            return f"it cannot be reached: {away}"
        if commits.failing:
            return f"the last commit failed: {commits.failing}"
        if commits.underWay > STUCK_S:
            return f"it has been at a commit for {commits.underWay:.0f} s; is its disk stuck?"
        if storage.refusal:
            return storage.refusal
        if storage.free is not None and storage.free < FREE_MIN:
            return f"only {storage.free:,} bytes are free in {storage.folder}; make room for at least {FREE_MIN:,}"
        if disk.age > LOOKED_S_MAX:
            return f"its disk has not answered for {disk.age:.0f} s"
        return ""

    def _views(self) -> Check:
        ledger = self._seen.house.ledger
        progress = ledger.progress
        behind = max(0, ledger.book.seq - progress.reached)
        if progress.failing:
            why = f"they cannot follow the log at entry {progress.reached}: {progress.failing}"
            return Check("views", ok=False, why=why)
        return Check("views", behind <= BEHIND_MAX, f"they lack {behind:,} entries; up to {BEHIND_MAX:,} is well")

    def _certificate(self) -> Check:
        expires = self._seen.certificateExpires()
        if expires is None:
            return Check("certificate", ok=True, why="there is none")
        left = expires - self._seen.house.clock.seconds()
        said = f"it ends in {left / 86400:.1f} days" if left > 0 else f"it ended {abs(left) / 86400:.1f} days ago"
        return Check("certificate", left > 0, said)
