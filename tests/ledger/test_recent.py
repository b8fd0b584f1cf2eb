"""The latest entries in memory: what a commit asks for is found until the views have it."""

from __future__ import annotations

from random import Random

import pytest

from scalemgr.finance.records import BALANCE_EVENT, REFUSAL, TRADE_EVENT, USER_EVENT, Entry
from scalemgr.ledger.recent import Recent
from scalemgr.wire.messages import Json


def some(seq: int, random: Random) -> Entry:
    """An entry of any kind; a few orders, logins and keys come again and again."""
    event = random.choice([TRADE_EVENT, BALANCE_EVENT, USER_EVENT, REFUSAL])
    key = random.choice([None, "a", "b", "c"])
    login, order = random.randrange(3), random.randrange(3)
    return Entry(seq, 0, event, 0, "demo", login, order, 0, 0, random.choice("xy"), key, None, Json("{}"))


@pytest.mark.parametrize("seed", range(20))
def test_found(seed: int) -> None:
    """Exactly the last entry of each order, account and key is found that is not released."""
    random = Random(seed)
    recent, kept, released, seq = Recent(5), [], 5, 5
    for _ in range(60):
        batch = [some(seq + 1 + i, random) for i in range(random.randrange(6))]
        seq += len(batch)
        recent.add(batch)
        kept += batch
        # The views may say less than before, or more than there is.
        reached = random.randrange(seq + 3)
        recent.release(reached)
        released = max(released, min(reached, seq))
        kept = [entry for entry in kept if entry.seq > released]
        assert (recent.released, len(recent)) == (released, len(kept))
        assert recent.trades == {e.order: e for e in kept if e.event == TRADE_EVENT}
        assert recent.users == {e.login: e for e in kept if e.event == USER_EVENT}
        assert recent.keys == {(e.principal, e.key): e for e in kept if e.key is not None}
