"""The latest entries in memory: what a commit asks for is found until the views have it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier

import pytest
from msgspec.structs import replace

from scalemgr.finance.records import BALANCE_EVENT, REFUSAL, TRADE_EVENT, USER_EVENT, Entry
from scalemgr.finance.requests import KeyName
from scalemgr.ledger import recent as recentModule
from scalemgr.ledger.recent import Recent
from scalemgr.wire.messages import Json

NAMES: list[KeyName] = [(principal, key) for principal in "xy" for key in "abc"]
ENTRY = Entry(0, 0, TRADE_EVENT, 0, "demo", 1, 1, 0, 0, "crm", "", None, Json("{}"))


def some(seq: int, random: Random) -> Entry:
    """An entry of any kind; a few orders, logins and keys come again and again."""
    event = random.choice([TRADE_EVENT, BALANCE_EVENT, USER_EVENT, REFUSAL])
    key = random.choice([None, "a", "b", "c"])
    login, order = random.randrange(3), random.randrange(3)
    return Entry(seq, 0, event, 0, "demo", login, order, 0, 0, random.choice("xy"), key, None, Json("{}"))


def last(entries: list[Entry]) -> tuple[dict[KeyName, int], dict[int, int], dict[int, int]]:
    """The last of these of each key, order and account."""
    return (
        {(e.principal, e.key): e.seq for e in entries if e.key is not None},
        {e.order: e.seq for e in entries if e.event == TRADE_EVENT},
        {e.login: e.seq for e in entries if e.event == USER_EVENT},
    )


@pytest.mark.parametrize("together", [1, 7, 30, 65_536])
@pytest.mark.parametrize("seed", range(20))
def test_found(seed: int, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last entry of each order, account and key is found that is not released; of others it or nothing is."""
    monkeypatch.setattr(recentModule, "_TOGETHER", together)
    random = Random(seed)
    recent, added, released = Recent(5), list[Entry](), 5
    for _ in range(60):
        batch = [some(6 + len(added) + i, random) for i in range(random.randrange(6))]
        recent.add(batch)
        added += batch
        # The views may say less than before, or more than there is.
        reached = random.randrange(8 + len(added))
        if random.random() < 0.5:
            reached = min(reached, released + 3)
        recent.release(reached)
        released = max(released, min(reached, 5 + len(added)))
        assert (recent.released, len(recent)) == (released, 5 + len(added) - released)
        answers = recent.keys(NAMES), recent.trades(range(3)), recent.users(range(3))
        for found, wanted in zip(answers, last(added), strict=True):
            # Nothing but the last is ever found: that is what the views say, too.
            assert found.items() <= wanted.items()
            assert {seq for seq in wanted.values() if seq > released} <= set(found.values())


@pytest.mark.parametrize("together", [1, 64])
def test_let_go(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is released does not stay: at most so many entries as are let go of together, and those of a batch."""
    monkeypatch.setattr(recentModule, "_TOGETHER", together)
    recent, random = Recent(0), Random(1)
    for seq in range(1, 2000, 5):
        recent.add([replace(some(seq + i, random), event=TRADE_EVENT, order=seq + i) for i in range(5)])
        recent.release(seq - 100)
        kept = recent.trades(range(seq + 5))
        assert len(recent) <= len(kept) < len(recent) + together + 5
    recent.release(seq + 4)
    assert (len(recent), recent.trades(range(seq + 5))) == (0, {})


def test_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the midst of a release, too, what is not found any more is said to be released."""
    monkeypatch.setattr(recentModule, "_TOGETHER", 4)
    steps = []

    class Watched(Recent):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name in ("released", "_parts") and hasattr(self, "_parts"):
                steps.append(name)
                found = self.trades(range(1, self._last + 1))
                assert all(n in found or n <= self.released for n in range(1, self._last + 1))

    recent = Watched(0)
    for seq in range(1, 100, 3):
        recent.add([replace(ENTRY, seq=n, order=n) for n in range(seq, seq + 3)])
        recent.release(seq - 7)
    recent.release(99)
    assert len(steps) > 60


def test_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks while another thread adds and releases finds it, or reads afterwards that the views have it."""
    monkeypatch.setattr(recentModule, "_TOGETHER", 8)
    recent, end = Recent(0), 20_000
    committed = 0
    begin = Barrier(3)

    def look() -> None:
        begin.wait(30)
        while recent.released < end:
            names = [("crm", str(n)) for n in range(max(1, committed - 40), committed + 1)]
            found = recent.keys(names)
            # Only now, as who asks the views next.
            released = recent.released
            for name in names:
                n = int(name[1])
                assert found[name] == n if name in found else n <= released

    with ThreadPoolExecutor(2) as others:
        lookers = [others.submit(look) for _ in range(2)]
        begin.wait(30)
        for seq in range(1, end, 4):
            recent.add([replace(ENTRY, seq=n, order=n, key=str(n)) for n in range(seq, seq + 4)])
            committed = seq + 3
            recent.release(seq - 20)
        recent.release(end)
        for looker in lookers:
            looker.result(60)
