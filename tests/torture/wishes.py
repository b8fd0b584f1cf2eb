"""What the clients of a campaign want: everything that moves money or asks for it, some of it foolish on purpose."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from .asked import APPROVE, CREATE, CREDIT, DECLINE, MOVES, OFFICE, TAKES_BACK, UNKNOWN_LOGINS, UNKNOWN_ORDERS
from .holdings import Holdings, Movement
from .journal import Sent
from .office import CLIENT_GROUPS

__all__ = ["Mix", "Wish"]

_SAID = ("gateway", 'Müller\'s "deposit", [1,]', "")
_COMMENTS = (None, None, None, *_SAID)
_CENTS_MAX = 50_000_00
_COMMANDS = {cmd: command for command, cmd in MOVES.items()}
_OUT = frozenset({MOVES["BalanceOut"], MOVES["CreditOut"]})


class Wish(Struct):
    """
    Something under a key.

    @ivar number: its own.
    @ivar by: where the key is put, C{extID} or C{idempotency_key}.
    @ivar kind: the command, in its plain form. With C{login} and all up to C{logins}: what is asked for, as in L{Sent}.
    @ivar certain: has it been answered for good?
    @ivar inFlight: attempts that are under way.
    @ivar due: when to try again, in seconds of the monotonic clock.
    @ivar twice: is it to be sent on two sessions at once?
    """

    number: int
    key: str
    by: str
    kind: str
    login: int = 0
    cents: int = 0
    comment: str | None = None
    order: int = 0
    cmd: int = 0
    name: str = ""
    mark: int = 0
    logins: tuple[int, ...] = ()
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
    @param holdings: what the client can name.
    """

    def __init__(
        self, random: Random, prefix: str, logins: list[int], share: tuple[int, int], holdings: Holdings
    ) -> None:
        self._random = random
        self._prefix = prefix
        self._logins = logins
        self._share = share
        self._holdings = holdings
        self._drawn: set[int] = set()
        self._keys = self._numbers = 0

    def wishes(self) -> list[Wish]:
        """Something new: one wish, or two that claim one key, or two that want one thing under two keys."""
        wish = self._thought() or self._draw()()
        wish.twice = self._chance(0.1)
        if self._chance(0.04):
            return [wish, self.other(wish)]
        if not wish.cents and self._chance(0.2):
            return [wish, self.again(wish)]
        return [wish]

    def other(self, wish: Wish) -> Wish:
        """Something else under the same key: another amount; instead of what has none, a deposit."""
        if not wish.cents:
            return replace(self._movement("BalanceIn"), key=wish.key, by=wish.by, comment=wish.comment)
        cents = self._cents() if wish.cents > 0 else -self._cents()
        return replace(self._fresh(wish), key=wish.key, by=wish.by, cents=cents)

    def again(self, wish: Wish) -> Wish:
        """The same once more under a new key: a decision is asked for again, or the other one."""
        key, number = self._key(), self._number()
        wish = replace(self._fresh(wish), key=key, number=number)
        if wish.kind in (APPROVE, DECLINE) and self._chance(0.4):
            kind = DECLINE if wish.kind == APPROVE else APPROVE
            return replace(wish, kind=kind, comment=None)
        return wish

    def attempt(self, n: int, wish: Wish) -> Sent:
        """One way to ask for a wish: the form and the patience may be others each time."""
        roll = self._random.random()
        return Sent(
            n,
            wish.kind if wish.kind in OFFICE or self._chance(0.3) else f"{wish.kind}Sync",
            wish.key,
            wish.by,
            wish.login,
            wish.cents,
            wish.comment,
            100 if roll < 0.15 else self._random.randint(100, 2000) if roll < 0.3 else None,
            int(time.time() * 1000),
            wish.order,
            wish.cmd,
            wish.name,
            wish.mark,
            wish.logins,
        )

    def question(self, n: int, wish: Wish) -> Sent:
        """What has become of a wish?"""
        return Sent(n, "GetRequest", wish.key, wish.by, ms=int(time.time() * 1000))

    # -- what is wanted ---------------------------------------------------------------------------------

    def _draw(self) -> Callable[[], Wish]:
        draws = {self._movement: 58, self._change: 12, self._takeBack: 14, self._create: 10, self._decideAny: 6}
        draws |= {self._group: 2, self._account: 3}
        return self._random.choices(list(draws), list(draws.values()))[0]

    def _thought(self) -> Wish | None:
        """A decision on something that was just asked for, which others may decide at the same time."""
        while self._holdings.fresh:
            request = self._holdings.fresh.pop(0)
            if self._chance(0.45):
                return self._decide(request.order)
        return None

    def _movement(self, kind: str = "") -> Wish:
        kind = kind or self._random.choices(list(MOVES), (26, 10, 22, 8))[0]
        return self._new(kind, self._login(), self._signed(MOVES[kind]), self._comment(kind))

    def _change(self) -> Wish:
        """Another amount for a movement of one's own; now and then it is another's, or no such movement at all."""
        known = self._known()
        if known is None:
            return self._movement()
        cmd = known.cmd if self._chance(0.95) else self._random.choice(list(_COMMANDS))
        kind, login = _COMMANDS[cmd], known.login if self._chance(0.95) else self._random.choice(self._logins)
        return self._new(kind, login, self._signed(cmd), self._comment(kind), self._order(known))

    def _takeBack(self) -> Wish:
        known = self._known()
        if known is None:
            return self._movement()
        right = "DeleteCredit" if known.cmd in CREDIT else "DeleteBalance"
        kind = right if self._chance(0.95) else self._random.choice(list(TAKES_BACK))
        return self._new(kind, order=self._order(known))

    def _create(self) -> Wish:
        cmd = self._random.choice(list(_COMMANDS))
        # What awaits approval keeps an account open even if nothing is on it.
        return self._new(CREATE, self._login(own=0.3), self._signed(cmd), self._random.choice(_SAID), cmd=cmd)

    def _decideAny(self) -> Wish:
        """A decision on anything that was ever asked for, or on a movement that nobody asked for."""
        known = self._holdings.requests if self._chance(0.9) else self._holdings.movements
        return self._decide(self._order(self._random.choice(known))) if known else self._movement()

    def _decide(self, order: int) -> Wish:
        if self._chance(0.6):
            return self._new(APPROVE, order=order)
        return self._new(DECLINE, comment=self._random.choice(_COMMENTS), order=order)

    def _group(self) -> Wish:
        """One of a few, of which every client wants something else."""
        kind = self._random.choice(("AddGroup", "UpdateGroup", "DeleteGroup"))
        mark = 0 if kind == "DeleteGroup" else self._cents()
        return replace(self._new(kind), name=self._random.choice(CLIENT_GROUPS), mark=mark)

    def _account(self) -> Wish:
        """A new account, which is slow to make; or one or some of one's own are closed, if nothing is on them."""
        mine = self._holdings.logins
        if self._chance(0.08):
            group = self._random.choice((*CLIENT_GROUPS, "real-usd", "real-usd"))
            return replace(self._new("MngAddAccount"), name=group, mark=self._cents())
        if not mine:
            return self._movement()
        mine = mine[-5:] if self._chance(0.8) else mine
        if self._chance(0.5):
            return self._new("MngDeleteAccount", self._random.choice(mine))
        logins = [self._random.choice(mine if self._chance(0.9) else UNKNOWN_LOGINS) for _ in range(3)]
        return replace(self._new("DeleteUsersList"), logins=tuple(dict.fromkeys(logins)))

    # -- what it is made of -----------------------------------------------------------------------------

    def _new(
        self, kind: str, login: int = 0, cents: int = 0, comment: str | None = None, order: int = 0, cmd: int = 0
    ) -> Wish:
        by = "extID" if self._chance(0.5) else "idempotency_key"
        return Wish(self._number(), self._key(), by, kind, login, cents, comment, order, cmd)

    def _fresh(self, wish: Wish) -> Wish:
        """The same, of which nothing is under way."""
        return replace(wish, number=self._number(), certain=False, inFlight=0, due=0.0, twice=False)

    def _known(self) -> Movement | None:
        """A movement of one's own; rather one of the last."""
        movements = self._holdings.movements
        if not movements:
            return None
        return self._random.choice(movements[-50:] if self._chance(0.7) else movements)

    def _order(self, known: Movement) -> int:
        return known.order if self._chance(0.96) else self._random.choice(UNKNOWN_ORDERS)

    def _login(self, own: float = 0.03) -> int:
        """Any account; with this chance, if there is one, an account of one's own."""
        if self._holdings.logins and self._chance(own):
            return self._random.choice(self._holdings.logins[-5:])
        return self._random.choice(UNKNOWN_LOGINS if self._chance(0.04) else self._logins)

    def _comment(self, kind: str) -> str | None:
        """Credit is not granted or taken without one."""
        return self._random.choice(_SAID if MOVES[kind] in CREDIT else _COMMENTS)

    def _signed(self, cmd: int) -> int:
        return -self._cents() if cmd in _OUT else self._cents()

    def _cents(self) -> int:
        """Drawn once only, by this client or by any other."""
        mine, all_ = self._share
        while (cents := self._random.randint(0, _CENTS_MAX) * all_ + mine + 1) in self._drawn:
            pass
        self._drawn.add(cents)
        return cents

    def _key(self) -> str:
        self._keys += 1
        return f"{self._prefix}-{self._keys}"

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _chance(self, of: float) -> bool:
        return self._random.random() < of
