"""When nothing is in the way it can be said beforehand what every answer will be; here it is asked for."""

from __future__ import annotations

from scalemgr.finance.records import TRADE_EVENT

from .client import Client
from .requests import CONTENTS, Asked, Content
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
                self.first(client, key, CONTENTS[0])
        self._world.rest()

    def _client(self, principal: str) -> Client:
        """Anybody who may ask as this one."""
        found = [client for client in self._world.clients if client.principal == principal]
        return found[0] if found else self._world.connect(principal)

    def _repeat(self, client: Client, key: str) -> None:
        """It is answered as it was, in either form, and another request under its key is refused."""
        model = self._world.model
        entry, content = model.outcomes[client.principal, key], model.contentOf((client.principal, key))
        length = len(model.entries)
        for asked in CONTENTS[2], CONTENTS[3]:
            if content is not None and content.said() != asked.said():
                self._hears(client, key, asked, False, 409)
        if content is not None:
            status = 200 if entry.event == TRADE_EVENT else None
            self._hears(client, key, content, True, status)
            self._hears(client, key, content, False, status)
        assert len(model.entries) == length, "a repeat was booked"

    def first(self, client: Client, key: str, content: Content) -> None:
        """A key that has no outcome yet gets the one that its content deserves."""
        good = content.acceptable(client.mask)
        known = good and not content.malformed()
        self._hears(client, key, content, True, 200 if known else None if not good else 400)
        assert ((client.principal, key) in self._world.model.outcomes) == (known or not good)

    def _hears(self, client: Client, key: str, content: Content, sync: bool, status: int | None) -> None:
        """Ask, and get this answer; C{None}: whatever the refusal of it is."""
        asked = self._ask(client, key, content, sync)
        if asked.state == "overload":
            # While the ledger failed there were no new orders; it took this one to find out that there are again.
            asked = self._ask(client, key, content, sync)
        expected = "nothing" if status in (400, 409) else "known"
        assert asked.state == expected, f"{asked} was not answered as expected"

    def _ask(self, client: Client, key: str, content: Content, sync: bool) -> Asked:
        asked = self._world.deposit(client, key, content, sync, byExtID=False)
        assert asked is not None
        self._world.wait(0.1)
        return asked
