"""All that can happen, in any order: the rules of the state machine."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from .asking import KEY, WHICH, Asking, step
from .contents import Content
from .drawn import ALL
from .ledgers import Kept
from .requests import TOKENS
from .rest import AtRest
from .world import World

CONTENT = st.sampled_from(ALL)
HELD = st.sampled_from([[], ["ledger"], ["ledger"], ["reader"], ["ledger", "reader"], ["replay"]])
THREAD = st.sampled_from(["ledger", "ledger", "reader", "replay"])


class Machine(Asking):
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

    @initialize(held=HELD)
    @step
    def begin(self, held: list[str]) -> None:
        """These threads take their time from the start."""
        self._hold(held)
        self.age = 0

    def _hold(self, threads: list[str]) -> None:
        for thread in threads:
            self.world.threads[thread].held = True

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
