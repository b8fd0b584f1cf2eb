"""What the clients of a campaign want: deposits of all kinds, some of them foolish on purpose."""

from __future__ import annotations

import time
from random import Random

from msgspec import Struct

from .journal import Sent

__all__ = ["UNKNOWN_LOGINS", "Mix", "Wish"]

#: Nobody has these.
UNKNOWN_LOGINS = range(999_001, 999_010)

_COMMENTS = (None, None, None, "gateway", 'Müller\'s "deposit", [1,]', "")
_CENTS_MAX = 50_000_00


class Wish(Struct):
    """
    A deposit under a key.

    @ivar by: where the key is put, C{extID} or C{idempotency_key}.
    @ivar certain: has it been answered for good?
    @ivar inFlight: attempts that are under way.
    @ivar due: when to try again, in seconds of the monotonic clock.
    @ivar twice: is it to be sent on two sessions at once?
    """

    key: str
    by: str
    login: int
    cents: int
    comment: str | None
    certain: bool = False
    inFlight: int = 0
    due: float = 0.0
    twice: bool = False


class Mix:
    """
    Draws wishes and attempts.

    @param prefix: what the keys of this client begin with.
    @param logins: the accounts there are.
    @param share: this client's number, and how many there are: no two clients draw one amount.
    """

    def __init__(self, random: Random, prefix: str, logins: list[int], share: tuple[int, int]) -> None:
        self._random = random
        self._prefix = prefix
        self._logins = logins
        self._share = share
        self._drawn: set[int] = set()
        self._count = 0

    def wishes(self) -> list[Wish]:
        """Something new: one deposit, or two that claim one key."""
        self._count += 1
        chance = self._random.random
        by = "extID" if chance() < 0.5 else "idempotency_key"
        login = self._random.choice(UNKNOWN_LOGINS if chance() < 0.05 else self._logins)
        comment = self._random.choice(_COMMENTS)
        wish = Wish(f"{self._prefix}-{self._count}", by, login, self._cents(), comment, twice=chance() < 0.1)
        return [wish, self.other(wish)] if chance() < 0.04 else [wish]

    def other(self, wish: Wish) -> Wish:
        """Something else under the same key."""
        return Wish(wish.key, wish.by, wish.login, self._cents(), wish.comment)

    def attempt(self, n: int, wish: Wish) -> Sent:
        """One way to ask for a wish: the form and the patience may be others each time."""
        roll = self._random.random()
        return Sent(
            n,
            "BalanceIn" if self._random.random() < 0.3 else "BalanceInSync",
            wish.key,
            wish.by,
            wish.login,
            wish.cents,
            wish.comment,
            100 if roll < 0.15 else self._random.randint(100, 2000) if roll < 0.3 else None,
            int(time.time() * 1000),
        )

    def question(self, n: int, wish: Wish) -> Sent:
        """What has become of a wish?"""
        return Sent(n, "GetRequest", wish.key, wish.by, ms=int(time.time() * 1000))

    def _cents(self) -> int:
        """Drawn once only, by this client or by any other."""
        mine, all_ = self._share
        while (cents := self._random.randint(0, _CENTS_MAX) * all_ + mine + 1) in self._drawn:
            pass
        self._drawn.add(cents)
        return cents
