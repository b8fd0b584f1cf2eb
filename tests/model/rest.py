"""When nothing is in the way it can be said beforehand what every answer will be; here it is asked for."""

from __future__ import annotations

from .client import Client
from .contents import UNTRACED, Content
from .drawn import DEPOSITS, OTHERS
from .requests import Asked
from .world import World


class AtRest:
    """
    A world in which nothing is under way, and what it must answer.
    """

    def __init__(self, world: World) -> None:
        world.rest()
        self._world = world

    def prove(self, repeats: int = 100) -> None:
        """Ask what became of every key, and repeat it: with what it was, and with something else."""
        for principal, key in list(self._world.model.attempts)[:repeats]:
            if key is None:
                continue
            client = self._client(principal)
            client.question(key, byExtID=False)
            self._world.settle()
            if (principal, key) in self._world.model.outcomes:
                self._repeat(client, key)
            else:
                self.first(client, key, DEPOSITS[0])
        self._world.rest()

    def _client(self, principal: str) -> Client:
        """Anybody who may ask as this one."""
        found = [client for client in self._world.clients if client.principal == principal]
        return found[0] if found else self._world.connect(principal)

    def _repeat(self, client: Client, key: str) -> None:
        """It is answered as it was, in either form, and another request under its key is refused."""
        model = self._world.model
        scope = client.principal, key
        length = len(model.entries)
        for other in OTHERS:
            if other.said() not in model.causes[scope]:
                assert self._hears(client, key, other, False) == "nothing"
        content = model.contentOf(scope)
        if content is not None:
            assert self._hears(client, key, content, True) == "known"
            assert self._hears(client, key, content, False) == "known"
        assert len(model.entries) == length, "a repeat was booked"

    def first(self, client: Client, key: str | None, content: Content) -> None:
        """A key that has no outcome yet gets the one that its content deserves."""
        model = self._world.model
        due = content.due(model.truth, client.mask)
        traced = not isinstance(due, dict) or due["code"] not in UNTRACED
        length = len(model.entries)
        assert self._hears(client, key, content, True) == ("known" if traced else "nothing")
        assert (len(model.entries) > length) == traced, f"{content} should have come to {due}"

    def _hears(self, client: Client, key: str | None, content: Content, sync: bool) -> str:
        """Ask; what has it come to?"""
        asked = self._ask(client, key, content, sync)
        if asked.state == "overload":
            # While the ledger failed there were no new orders; it took this one to find out that there are again.
            asked = self._ask(client, key, content, sync)
        return asked.state

    def _ask(self, client: Client, key: str | None, content: Content, sync: bool) -> Asked:
        asked = self._world.ask(client, key, content, sync, byExtID=False)
        assert asked is not None
        self._world.wait(0.1)
        return asked
