"""All that can happen, in any order: the rules of the state machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from .client import Client
from .contents import Content, Move
from .drawn import DECISIONS, DEPOSITS, MOVEMENTS, OFFICES, REQUESTS, WHICH_MAX, change, decision, takingBack
from .ledgers import Kept
from .requests import TOKENS
from .rest import AtRest
from .world import World

P = ParamSpec("P")

# Few, so that they are used again; and one that nobody has used.
KEY = st.sampled_from(["a", "b", "c", "d", "new", "new", "new"])
ANY_KEY = KEY | st.none()
DEPOSIT = st.sampled_from(DEPOSITS)
MOVE = st.sampled_from([*DEPOSITS, *MOVEMENTS])
TAKES_BACK = st.sampled_from(["DeleteBalance", "DeleteBalance", "DeleteCredit"])
CONTENT = st.sampled_from([*DEPOSITS, *MOVEMENTS, *REQUESTS, *OFFICES])
TIMEOUT = st.sampled_from([None, 100, 100, 1000])
HELD = st.sampled_from([[], ["ledger"], ["ledger"], ["reader"], ["ledger", "reader"], ["replay"]])
# Is the key the extID? How long may it take? And what happens next?
How = tuple[bool, int | None, str]
HOW: st.SearchStrategy[How] = st.tuples(st.booleans(), TIMEOUT, st.sampled_from(["", "turn", "turn", "time"]))
THREAD = st.sampled_from(["ledger", "ledger", "reader", "replay"])
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


class Machine(RuleBasedStateMachine):
    """
    @ivar keep: makes the ledger.
    @ivar age: how many steps there were since all came to an end.
    @ivar sound: has nothing failed yet? What has failed is not looked at again.
    """

    keep: Callable[[], Kept]

    def __init__(self) -> None:
        super().__init__()
        self.sound = False
        self.age = 0
        self.world = World(self.keep())
        self.world.connect("crm")
        self.world.connect("crm")
        self.world.observe()
        self.sound = True

    def teardown(self) -> None:
        try:
            if self.sound:
                AtRest(self.world).prove()
        finally:
            self.world.close()

    def _client(self, which: int) -> Client:
        clients = self.world.clients
        return clients[which % len(clients)] if clients else self.world.connect("crm")

    @initialize(held=HELD)
    @step
    def begin(self, held: list[str]) -> None:
        """These threads take their time from the start."""
        self._hold(held)
        self.age = 0

    def _key(self, key: str | None) -> str | None:
        """A key as it is used."""
        return f"new-{len(self.world.model.attempts)}" if key == "new" else key

    def _hold(self, threads: list[str]) -> None:
        for thread in threads:
            self.world.threads[thread].held = True

    # -- asking -----------------------------------------------------------------------------------------

    @rule(who=WHICH, key=ANY_KEY, content=DEPOSIT, sync=st.booleans(), how=HOW)
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

    @rule(who=WHICH, key=ANY_KEY, command=TAKES_BACK, which=MANY, sync=st.booleans(), how=HOW)
    @step
    def takeBack(self, who: int, key: str | None, command: str, which: int, sync: bool, how: How) -> None:
        """Somebody takes a movement back, or tries to."""
        self._ask(self._client(who), key, takingBack(self.world.model.truth, command, which), sync, how)

    @rule(who=WHICH, key=ANY_KEY, command=st.sampled_from(DECISIONS), which=MANY, sync=st.booleans(), how=HOW)
    @step
    def decide(self, who: int, key: str | None, command: str, which: int, sync: bool, how: How) -> None:
        """Somebody approves of a movement, or declines it."""
        self._ask(self._client(who), key, decision(self.world.model.truth, command, which), sync, how)

    @rule(who=WHICH, key=ANY_KEY, content=st.sampled_from(OFFICES), how=HOW)
    @step
    def office(self, who: int, key: str | None, content: Content, how: How) -> None:
        """Somebody opens or closes accounts, or arranges a group."""
        self._ask(self._client(who), key, content, False, how)

    @rule(who=WHICH, which=WHICH, sync=st.booleans(), how=HOW)
    @step
    def again(self, who: int, which: int, sync: bool, how: How) -> None:
        """Somebody asks again for what somebody has asked for."""
        client = self._client(who)
        asked = [a for (p, _), each in self.world.model.attempts.items() for a in each if p == client.principal]
        if asked:
            one = asked[which % len(asked)]
            self._ask(client, one.scope[1], one.content, sync, how)

    def _ask(self, client: Client, key: str | None, content: Content, sync: bool, how: How) -> None:
        byExtID, timeoutMs, then = how
        key = self._key(key)
        self.world.ask(client, key, content, sync, byExtID=byExtID, timeoutMs=timeoutMs)
        if then == "turn":
            self.world.daemon.clock.advance(0)
        elif then == "time":
            self.world.wait(0.15)

    @rule(who=WHICH, key=KEY, byExtID=st.booleans())
    @step
    def question(self, who: int, key: str, byExtID: bool) -> None:
        """Somebody asks what became of a key."""
        client = self._client(who)
        if not client.stalled:
            client.question(key, byExtID)

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

    # -- time -------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.15, 0.15, 1.1, 6.0]))
    @step
    def tick(self, seconds: float) -> None:
        """Time passes."""
        self.world.wait(seconds)

    @rule()
    @step
    def turn(self) -> None:
        """What is due happens, and no more."""
        self.world.daemon.clock.advance(0)

    @rule(thread=THREAD)
    @step
    def letOne(self, thread: str) -> None:
        """One call that is held ends."""
        self.world.letOne(thread)

    @rule(thread=THREAD, held=st.booleans())
    @step
    def threads(self, thread: str, held: bool) -> None:
        """From now on calls in a thread take their time, or all end and none does."""
        self._hold([thread]) if held else self.world.release(thread)

    # -- coming and going -------------------------------------------------------------------------------

    @precondition(lambda self: len(self.world.clients) < 5)
    @rule(principal=st.sampled_from(sorted(TOKENS)))
    @step
    def connect(self, principal: str) -> None:
        """Somebody comes."""
        self.world.connect(principal)

    @rule(who=WHICH, what=st.sampled_from(["goes", "stalls", "stalls", "reads", "reads"]))
    @step
    def disturb(self, who: int, what: str) -> None:
        """A connection breaks, or somebody does not read for a while."""
        client = self._client(who)
        if what == "goes":
            self.world.disconnect(client)
        else:
            client.stall(what == "stalls")

    # -- trouble ----------------------------------------------------------------------------------------

    @rule(which=WHICH)
    @step
    def fail(self, which: int) -> None:
        """A commit will fail in one way or another."""
        self._fail(which)

    @rule(which=WHICH, who=WHICH, key=KEY, content=CONTENT, sync=st.booleans())
    @step
    def failNow(self, which: int, who: int, key: str, content: Content, sync: bool) -> None:
        """A commit fails while somebody waits for it."""
        self._fail(which)
        self.world.ask(self._client(who), self._key(key), content, sync)
        self.world.settle()

    def _fail(self, which: int) -> None:
        faults = self.world.kept.faults
        self.world.fail(faults[which % len(faults)])

    @rule()
    @step
    def heal(self) -> None:
        """Commits work again."""
        self.world.kept.heal()

    @precondition(lambda self: self.age > 8)
    @rule(views=st.sampled_from(["all", "old", "none"]), last=st.sampled_from(["before", "never"]), held=HELD)
    @step
    def crash(self, views: str, last: str, held: list[str]) -> None:
        """The daemon is killed, and another one begins."""
        self.world.crash(views, last)
        self._hold(held)
        self.age = 0

    @precondition(lambda self: self.age > 8)
    @rule(held=HELD)
    @step
    def restart(self, held: list[str]) -> None:
        """The daemon is stopped, and another one begins."""
        self.world.restart()
        self._hold(held)
        self.age = 0

    @precondition(lambda self: self.age > 8)
    @rule(who=WHICH, key=KEY, content=CONTENT, held=HELD)
    @step
    def rest(self, who: int, key: str, content: Content, held: list[str]) -> None:
        """Everything comes to its end; then all that is asked has one right answer."""
        calm = AtRest(self.world)
        client = self._client(who)
        if (client.principal, key) not in self.world.model.outcomes:
            calm.first(client, self._key(key), content)
        self._hold(held)
        self.age = 0
