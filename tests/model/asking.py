"""All that can be asked: one half of the rules of the state machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from .client import Client
from .contents import Content, Move
from .drawn import (
    DECISIONS,
    DEPOSITS,
    MOVEMENTS,
    OFFICES,
    REQUESTS,
    RIVALS,
    TAKINGS_BACK,
    WHICH_MAX,
    change,
    decision,
    takingBack,
)
from .world import World

P = ParamSpec("P")

# Few, so that they are used again; and one that nobody has used.
KEY = st.sampled_from(["a", "b", "c", "d", "new", "new", "new"])
ANY_KEY = KEY | st.none()
MOVE = st.sampled_from([*DEPOSITS, *MOVEMENTS])
TIMEOUT = st.sampled_from([None, 100, 100, 1000])
# Is the key the extID? How long may it take? And what happens next?
How = tuple[bool, int | None, str]
HOW: st.SearchStrategy[How] = st.tuples(st.booleans(), TIMEOUT, st.sampled_from(["", "turn", "turn", "time"]))
WHICH = st.integers(0, 9)
MANY = st.integers(0, WHICH_MAX - 1)
# What is chosen: few kinds, so that they meet, and what is the name of no event.
_NAMES = ["trade:event", "trade:event", "balance:event", "user:event", "group:event", "EURUSD"]
NAMES = st.frozensets(st.sampled_from(_NAMES), min_size=1)
CHOICE = st.sampled_from(["Subscribe", "Subscribe", "Unsubscribe", "SubscribeAll", "UnsubscribeAll"])


def step(act: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Any, P], None]:
    """Something happens, and then everything that holds always is looked at."""

    @wraps(act)
    def stepped(machine: Any, *args: P.args, **kwargs: P.kwargs) -> None:
        machine.sound = False
        machine.age += 1
        act(machine, *args, **kwargs)
        machine.world.observe()
        machine.sound = True

    return stepped  # type: ignore[return-value]


class Asking(RuleBasedStateMachine):
    """What the clients of a world ask."""

    world: World

    def _client(self, which: int) -> Client:
        clients = self.world.clients
        return clients[which % len(clients)] if clients else self.world.connect("crm")

    def _key(self, key: str | None) -> str | None:
        """A key as it is used."""
        return f"new-{len(self.world.model.attempts)}" if key == "new" else key

    @rule(who=WHICH, key=ANY_KEY, content=st.sampled_from(DEPOSITS), sync=st.booleans(), how=HOW)
    @step
    def deposit(self, who: int, key: str | None, content: Content, sync: bool, how: How) -> None:
        """Somebody asks for a deposit, perhaps without a key."""
        self._ask(self._client(who), key, content, sync, how)

    @rule(who=WHICH, key=ANY_KEY, content=st.sampled_from(MOVEMENTS), sync=st.booleans(), how=HOW)
    @step
    def move(self, who: int, key: str | None, content: Content, sync: bool, how: How) -> None:
        """Somebody asks for another movement."""
        self._ask(self._client(who), key, content, sync, how)

    @rule(who=WHICH, key=ANY_KEY, content=st.sampled_from(REQUESTS), sync=st.booleans(), how=HOW)
    @step
    def request(self, who: int, key: str | None, content: Content, sync: bool, how: How) -> None:
        """Somebody asks for a movement that somebody has to approve of."""
        self._ask(self._client(who), key, content, sync, how)

    @rule(who=WHICH, key=ANY_KEY, which=MANY, other=st.none() | st.none() | MOVE, sync=st.booleans(), how=HOW)
    @step
    def change(self, who: int, key: str | None, which: int, other: Move | None, sync: bool, how: How) -> None:
        """Somebody changes a movement, or tries to."""
        self._ask(self._client(who), key, change(self.world.model.truth, which, other), sync, how)

    @rule(who=WHICH, key=ANY_KEY, command=st.sampled_from(TAKINGS_BACK), which=MANY, sync=st.booleans(), how=HOW)
    @step
    def takeBack(self, who: int, key: str | None, command: str, which: int, sync: bool, how: How) -> None:
        """Somebody takes a movement back, or tries to."""
        self._ask(self._client(who), key, takingBack(self.world.model.truth, command, which), sync, how)

    @rule(who=WHICH, key=ANY_KEY, command=st.sampled_from(DECISIONS), which=MANY, sync=st.booleans(), how=HOW)
    @step
    def decide(self, who: int, key: str | None, command: str, which: int, sync: bool, how: How) -> None:
        """Somebody approves of a movement, or declines it."""
        self._ask(self._client(who), key, decision(self.world.model.truth, command, which), sync, how)

    @rule(who=WHICH, other=WHICH, commands=st.sampled_from(RIVALS), which=MANY, sync=st.booleans())
    @step
    def rivals(self, who: int, other: int, commands: tuple[str, str], which: int, sync: bool) -> None:
        """Two things are done to one movement at once: in one batch, if nothing is in the way."""
        about = decision if commands[0] in DECISIONS else takingBack
        contents = [about(self.world.model.truth, command, which) for command in commands]
        for client, content in zip((self._client(who), self._client(other)), contents, strict=True):
            self._ask(client, "new", content, sync, (False, None, ""))
        self.world.daemon.clock.advance(0)

    @rule(who=WHICH, key=ANY_KEY, content=st.sampled_from(OFFICES), how=HOW)
    @step
    def office(self, who: int, key: str | None, content: Content, how: How) -> None:
        """Somebody opens or closes accounts, or arranges a group."""
        self._ask(self._client(who), key, content, False, how)

    @rule(who=WHICH, which=MANY, sync=st.booleans(), how=HOW)
    @step
    def again(self, who: int, which: int, sync: bool, how: How) -> None:
        """Somebody asks again for what somebody has asked for."""
        client = self._client(who)
        asked = [a for (p, _), each in self.world.model.attempts.items() for a in each if p == client.principal]
        if asked:
            one = asked[-1 - which % len(asked)]
            self._ask(client, one.scope[1], one.content, sync, how)

    def _ask(self, client: Client, key: str | None, content: Content, sync: bool, how: How) -> None:
        byExtID, timeoutMs, then = how
        key = self._key(key)
        self.world.ask(client, key, content, sync, byExtID=byExtID, timeoutMs=timeoutMs)
        if then == "turn":
            self.world.daemon.clock.advance(0)
        elif then == "time":
            self.world.wait(0.15)

    @rule(who=WHICH, which=MANY, byExtID=st.booleans())
    @step
    def question(self, who: int, which: int, byExtID: bool) -> None:
        """Somebody asks what became of a key."""
        client = self._client(who)
        keys = ["unused", *(k for p, k in self.world.model.attempts if p == client.principal and k is not None)]
        if not client.stalled:
            client.question(keys[-1 - which % len(keys)], byExtID)

    @rule(
        who=WHICH,
        back=st.sampled_from([0, 1, 2, 5, 100, -1]),
        epoch=st.sampled_from(["right"] * 5 + ["wrong"]),
        names=NAMES,
    )
    @step
    def subscribe(self, who: int, back: int, epoch: str, names: frozenset[str]) -> None:
        """Somebody asks for events from so far back."""
        client, ledger = self._client(who), self.world.daemon.ledger
        if not client.stalled:
            client.subscribe(max(0, ledger.book.seq - back), ledger.epoch if epoch == "right" else epoch, names)

    @rule(who=WHICH, command=CHOICE, names=NAMES)
    @step
    def choose(self, who: int, command: str, names: frozenset[str]) -> None:
        """Somebody wants other events."""
        client = self._client(who)
        if not client.stalled:
            client.choose(command, names)

    @rule(count=st.integers(1, 2))
    @step
    def openAccounts(self, count: int) -> None:
        """There are new accounts, which is an event of its own kind."""
        self.world.openAccounts(count)

    @rule(who=WHICH)
    @step
    def ping(self, who: int) -> None:
        """Somebody asks where the log is."""
        client = self._client(who)
        if not client.stalled:
            client.ping()
