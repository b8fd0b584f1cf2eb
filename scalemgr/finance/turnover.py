"""How much each caller has moved in a day: what its caps are held against.

A movement counts for who caused it, by its absolute amount, whichever way it went: a deposit and its taking back are
two. It counts in the UTC day of its batch. That is folded from the log like all else in the book, so it is the same
after a start, and a request that had no effect (refused, withdrawn, failed) has no part in it.

Of the days on which something was moved the L{DAYS_MAX} latest are kept. A clock that goes back comes to a day whose
sum is still there; one that goes back further than they reach adds to the earliest of them. So it never frees what
was used up, and a clock that was ahead for a while does not take away the days until then.

Amounts are in trillionths of the currency's unit here, the finest that any currency may have. Groups with one
currency may differ in its decimals, if the configuration was changed between them; their amounts add up all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from .money import DIGITS_MAX

__all__ = ["DAYS_MAX", "DAY_MS", "Key", "Turnover", "trillionths"]

#: A day, in milliseconds. Days are counted from 1970, and begin at midnight UTC.
DAY_MS = 86_400_000
#: How many days are kept.
DAYS_MAX = 8

#: A day, a principal, and a currency.
Key = tuple[int, str, str]

_TRILLIONTHS: tuple[int, ...] = tuple(10 ** (DIGITS_MAX - digits) for digits in range(DIGITS_MAX + 1))


def trillionths(minor: int, digits: int) -> int:
    """Minor units of a currency with so many decimals in trillionths of its unit."""
    return minor * _TRILLIONTHS[digits]


class Turnover:
    """
    The sums.

    @ivar days: those that are kept, the latest first.
    @ivar sums: what was moved, in trillionths; of a draft, only what is not as in its base.
    @param base: of a draft, what it is on top of, reads, and does not change.
    """

    __slots__ = ("_base", "days", "sums")

    def __init__(self, base: Turnover | None = None) -> None:
        self._base = base
        self.days: tuple[int, ...] = () if base is None else base.days
        self.sums: dict[Key, int] = {}

    @classmethod
    def fromSums(cls, sums: Mapping[Key, int]) -> Turnover:
        """What has these L{sums}."""
        turnover = cls()
        turnover.sums = dict(sums)
        turnover.days = tuple(sorted({day for day, _, _ in sums}, reverse=True))
        return turnover

    def of(self, principal: str, timeMs: int, currency: str) -> int:
        """What a caller has moved of a currency on the day of this time, in trillionths."""
        return self._sum((self._counted(timeMs // DAY_MS), principal, currency))

    def add(self, principal: str, timeMs: int, currency: str, moved: int) -> None:
        """A caller has moved so many trillionths more."""
        day = timeMs // DAY_MS
        if day not in self.days:
            day = self._begin(day)
        key = day, principal, currency
        self.sums[key] = self._sum(key) + moved

    def absorb(self, draft: Turnover) -> None:
        """Take over what a draft of this changed."""
        self.sums.update(draft.sums)
        if draft.days is not self.days:
            self._keep(draft.days)

    def _sum(self, key: Key) -> int:
        found = self.sums.get(key)
        if found is None:
            return 0 if self._base is None else self._base._sum(key)
        return found

    def _counted(self, day: int) -> int:
        """The day in which it counts what is moved on this one."""
        days = self.days
        return days[-1] if len(days) == DAYS_MAX and day < days[-1] else day

    def _begin(self, day: int) -> int:
        """Keep a day, unless it is too early for that; the day in which its movements count."""
        counted = self._counted(day)
        if counted == day:
            self._keep(tuple(sorted((*self.days, day), reverse=True)[:DAYS_MAX]))
        return counted

    def _keep(self, days: tuple[int, ...]) -> None:
        self.days = days
        self.sums = {key: moved for key, moved in self.sums.items() if key[0] in days}
