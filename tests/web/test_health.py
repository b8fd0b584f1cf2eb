"""Alive, and ready: and if not, why not."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.interfaces import Progress, Storage
from scalemgr.web.health import BEHIND_MAX, FREE_MIN, LOOKED_S_MAX, STUCK_S

from ..helpers import WatchedLedger, fresh
from ..runtime.house import Ledger
from ..runtime.shared import SharedLedger
from .house import Kept, Windowed


def wrong(house: Windowed) -> dict[str, str]:
    """What is not well, and why; C{/readyz} says the same in all its ways."""
    answer = house.ask("/readyz")
    told = house.ask("/readyz?json")
    assert told.headers["content-type"] == "application/json"
    assert house.ask("/readyz", headers={"Accept": "application/json"}).json == told.json
    checks = told.json["checks"]
    assert [check["name"] for check in checks] == ["work", "ledger", "views", "certificate"]
    lines = [f"{'ok ' if check['ok'] else 'NOT'} {check['name']}: {check['why']}" for check in checks]
    found = {check["name"]: check["why"] for check in checks if not check["ok"]}
    assert answer.text.splitlines() == ["not ready" if found else "ready", *lines]
    assert answer.status == told.status == (503 if found else 200)
    assert told.json["ready"] == (not found)
    status = house.ask("/status").json
    assert (status["ready"], status["checks"]) == (told.json["ready"], checks)
    metrics = house.metrics()
    assert [metrics["scalemgr_ready", (check["name"],)] for check in checks] == [check["ok"] for check in checks]
    assert house.ask("/livez").text == "ok\n"
    return found


def test_ready() -> None:
    """A daemon to which nothing has happened is ready."""
    house = Windowed()
    assert wrong(house) == {}
    house.close()


def test_ledgerThatFails() -> None:
    """After a commit that failed it is not ready and says why; when the ledger works again it is, though nobody has
    deposited anything since: whoever balances loads would have sent nobody."""
    ledger = Ledger()
    house = Windowed(ledger)
    ledger.dead = True
    house.daemon.staff().deposit(fresh())
    house.daemon.settle()
    assert wrong(house) == {"ledger": "the last commit failed: the disk is full"}
    house.clock.pump([0.5] * 10)
    assert wrong(house) == {"ledger": "the last commit failed: the disk is full"}
    ledger.dead = False
    house.clock.pump([0.5] * 4)
    assert wrong(house) == {}
    house.close()


def test_ledgerThatIsAway() -> None:
    """While the ledger cannot be reached it is not ready and says why, though nothing was to be committed; when it is
    there again, it is."""
    ledger = SharedLedger()
    house = Windowed(ledger)
    ledger.follow(house.daemon.runtime.wake)
    assert house.metrics()["scalemgr_ledger_away", ()] == 0
    ledger.goAway()
    for _ in range(3):
        assert wrong(house) == {"ledger": "it cannot be reached: connection refused"}
        assert house.ask("/status").json["ledger"]["away"] == "connection refused"
        assert house.metrics()["scalemgr_ledger_away", ()] == 1
        house.clock.pump([0.5] * 4)
    ledger.comeBack()
    house.daemon.settle()
    assert wrong(house) == {}
    assert house.ask("/status").json["ledger"]["away"] == ""
    house.close()


def test_commitThatHangs() -> None:
    """While the ledger is at a commit for long, it is not ready."""
    house = Windowed(WatchedLedger())
    house.daemon.ledgerThread.held = True
    house.daemon.staff().deposit(fresh())
    house.daemon.settle()
    house.clock.advance(STUCK_S)
    assert wrong(house) == {}
    house.clock.advance(1)
    assert wrong(house) == {"ledger": "it has been at a commit for 6 s; is its disk stuck?"}
    house.daemon.ledgerThread.release()
    house.daemon.settle()
    assert wrong(house) == {}
    house.close()


@pytest.mark.parametrize(
    ("storage", "why"),
    [
        (Storage("/x", free=FREE_MIN), None),
        (Storage("/x", free=FREE_MIN - 1), "only 67,108,863 bytes are free in /x; make room for at least 67,108,864"),
        (Storage("/x", free=10**12, refusal="the disk of /x is mounted for reading only"), "the disk of /x is mounted"),
        (Storage(), None),
    ],
)
def test_diskWhileIdle(storage: Storage, why: str | None) -> None:
    """While nothing is committed the disk is looked at: its room and its rights; a ledger in memory has none."""
    ledger = Kept()
    ledger.kept = storage
    house = Windowed(ledger)
    found = wrong(house)
    if why is None:
        assert found == {}
    else:
        assert found["ledger"].startswith(why)
    house.close()


def test_diskThatDoesNotAnswer() -> None:
    """A disk that hangs is asked once, in one thread; soon it is not ready, and it is again when the disk answers."""
    house = Windowed()
    house.helper.held = True
    house.clock.pump([1.0] * int(LOOKED_S_MAX))
    assert wrong(house) == {}
    house.clock.pump([1.0] * 5)
    assert wrong(house)["ledger"].startswith("its disk has not answered for 2")
    assert house.helper.waiting() == 1
    house.helper.release()
    assert wrong(house) == {}
    house.close()


def test_diskThatCannotBeLookedAt() -> None:
    """Nor is it ready if the disk cannot even be looked at; the looking goes on."""

    class Odd(Kept):
        odd = False

        def storage(self) -> Storage:
            if self.odd:
                raise OSError("an odd error")
            return super().storage()

    ledger = Odd()
    house = Windowed(ledger)
    ledger.odd = True
    house.clock.pump([1.0] * 30)
    assert wrong(house)["ledger"].startswith("its disk has not answered for")
    ledger.odd = False
    house.clock.pump([1.0] * 5)
    assert wrong(house) == {}
    house.close()


class Behind(Kept):
    """A ledger whose views are as a test says."""

    views = Progress(10**9)

    @property
    def progress(self) -> Progress:  # type: ignore[override]
        return self.views


def test_views() -> None:
    """Views that lack too much, or cannot go on, are not ready: questions would be answered late or not at all."""
    ledger = Behind()
    house = Windowed(ledger)
    assert wrong(house) == {}
    ledger.views = Progress(ledger.book.seq - BEHIND_MAX)
    assert wrong(house) == {}
    ledger.views = Progress(ledger.book.seq - BEHIND_MAX - 1)
    assert wrong(house) == {"views": "they lack 250,001 entries; up to 250,000 is well"}
    assert house.metrics()["scalemgr_views_behind", ()] == BEHIND_MAX + 1
    ledger.views = Progress(5, "database or disk is full", 3)
    assert wrong(house) == {"views": "they cannot follow the log at entry 5: database or disk is full"}
    assert house.metrics()["scalemgr_projector_restarts_total", ()] == 3
    house.close()


def test_draining() -> None:
    """A daemon that stops is not ready, and still tells how it is."""
    house = Windowed()
    house.daemon.dispatcher.stopping = True
    assert wrong(house) == {"work": "it stops, and takes no new work"}
    assert house.metrics()["scalemgr_draining", ()] == 1
    assert house.ask("/status").json["draining"] is True
    house.close()


def test_mainLoopThatEnded() -> None:
    """A daemon whose mainLoop is gone, whatever that took, is not ready."""
    house = Windowed()
    done: list[Any] = []
    house.daemon.runtime.stop().addBoth(done.append)
    house.daemon.settle()
    assert len(done) == 1
    assert wrong(house) == {"ledger": "mainLoop has ended; start the daemon again"}
    house.close()


def test_certificate() -> None:
    """A certificate that has ended makes it not ready, for nobody would be let in; when it ends is said before."""
    left = [86400.0]
    house = Windowed(certificateExpires=lambda: house.clock.seconds() + left[0])
    assert wrong(house) == {}
    assert "it ends in 1.0 days" in house.ask("/readyz").text
    left[0] = 0.0
    assert wrong(house) == {"certificate": "it ended 0.0 days ago"}
    house.close()
