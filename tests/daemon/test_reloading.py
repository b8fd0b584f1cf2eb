"""Reading the configuration again: all of it or nothing, and what it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, LogLevel, capturedLogs, eventAsText

from scalemgr.config import Access, AuthSettings, Caps, ConfigError, Limits, PrincipalSettings, Settings
from scalemgr.daemon.believing import Believing, keysOf
from scalemgr.daemon.joining import Rooms
from scalemgr.daemon.reloading import NEEDS_RESTART, Apply, Reloading
from scalemgr.ledger.memory import MemoryLedger
from scalemgr.server.keys import KeyRefused

from ..helpers import SECRET, Daemon, Threads, builtIn, token

EXAMPLE = Path(__file__).parent.parent.parent / "etc" / "scalemgr.toml"
OLD = Settings()
NEW = replace(OLD, access=replace(OLD.access, bad_tokens=7))


class Part:
    """Something with settings; it refuses them if it is told to."""

    def __init__(self, refusal: Exception | None = None, said: str | None = None) -> None:
        self.settings = OLD
        self.refusal = refusal
        self.said = said

    def prepare(self, settings: Settings) -> Apply:
        if self.refusal is not None:
            raise self.refusal

        def apply() -> str | None:
            self.settings = settings
            return self.said

        return apply


@contextmanager
def lines() -> Iterator[list[str]]:
    """What is logged, as level and text."""
    said: list[str] = []
    with capturedLogs() as logged:
        yield said
    said += [f"{event['log_level'].name}: {eventAsText(event, includeTimestamp=False)}" for event in logged]


def reloading(read: Callable[[], Settings], *parts: Part, thread: Threads | None = None) -> Reloading:
    return Reloading(OLD, read, parts, thread or Threads())


def test_allOfIt() -> None:
    """A good configuration is put in force everywhere, and the log says what has changed."""
    parts = Part(said="three keys are new"), Part()
    it = reloading(lambda: NEW, *parts)
    with lines() as said:
        it.reload()
    assert [part.settings for part in parts] == [NEW, NEW]
    assert it.settings == NEW
    assert [line.partition("] ")[2] for line in said] == [
        "the configuration was read again: access.bad_tokens; three keys are new"
    ]


def test_nothingHasChanged() -> None:
    """That nothing has changed is said, too: an operator wants to know that the signal has come."""
    with lines() as said:
        reloading(lambda: OLD, Part()).reload()
    assert said[0].endswith("the configuration was read again: nothing has changed")


@pytest.mark.parametrize("refusal", [ConfigError("no good"), KeyRefused("no good"), ZeroDivisionError("no good")])
@pytest.mark.parametrize("where", ["file", "first", "last"])
def test_orNothing(refusal: Exception, where: str, failures: list[LogEvent]) -> None:
    """If any part refuses, or the file cannot be read, nothing changes anywhere, and the log says why."""
    bad: dict[str, Exception | None] = {where: refusal}
    parts = Part(bad.get("first")), Part(), Part(bad.get("last"))

    def read() -> Settings:
        if bad.get("file"):
            raise refusal
        return NEW

    it = reloading(read, *parts)
    over: list[None] = []
    with capturedLogs() as logged:
        it.reload().addCallback(over.append)
    assert over == [None]
    assert [part.settings for part in parts] == [OLD] * 3
    assert it.settings == OLD
    [event] = logged
    assert event["log_level"] in (LogLevel.error, LogLevel.critical)
    assert "the configuration stays as it was" in eventAsText(event)
    assert "no good" in eventAsText(event)
    # What we did not expect is logged with its traceback.
    assert bool(failures) == isinstance(refusal, ZeroDivisionError)
    failures.clear()
    bad.clear()
    for part in parts:
        part.refusal = None
    it.reload()
    assert [part.settings for part in parts] == [NEW] * 3


def test_whatNeedsARestartStays() -> None:
    """What cannot change stays as it is in force, and is said each time; the rest changes all the same."""
    wanted = replace(
        NEW,
        listen=["tcp:1"],
        currencies={"BTC": 8},
        access=replace(NEW.access, allow_plain=True),
        log=replace(NEW.log, format="json", level="debug"),
    )
    it = reloading(lambda: wanted, Part())
    for _ in range(2):
        with lines() as said:
            it.reload()
        assert said[-1].startswith("warn:")
        assert said[-1].endswith("needs a restart: listen, access.allow_plain, log.format, currencies.BTC")
    assert it.settings == replace(NEW, log=replace(NEW.log, level="debug"))


def test_inAThread() -> None:
    """Reading happens in a thread, what is read is put in force outside of it, and nothing before all is read."""
    thread, part = Threads(), Part()
    thread.held = True
    it = reloading(lambda: NEW, part, thread=thread)
    over: list[None] = []
    it.reload().addCallback(over.append)
    assert (part.settings, over) == (OLD, [])
    thread.release()
    assert (part.settings, over) == (NEW, [None])


def test_againWhileUnderWay() -> None:
    """Signals that come while it is read have it read once more, and not once each."""
    thread, reads, over = Threads(), [OLD, NEW, OLD], []
    thread.held = True
    part = Part()
    it = reloading(lambda: reads.pop(0), part, thread=thread)
    for n in range(5):
        it.reload().addCallback(lambda _, n=n: over.append(n))
    thread.step()
    assert (len(reads), over) == (2, [])
    thread.release()
    assert (len(reads), over) == (1, [0, 1, 2, 3, 4])
    assert part.settings == NEW
    it.reload()
    assert part.settings == OLD


def test_stopped() -> None:
    """A daemon that stops puts nothing in force any more, and nobody waits for it."""
    thread, part, over = Threads(), Part(), []
    thread.held = True
    it = reloading(lambda: NEW, part, thread=thread)
    it.reload().addCallback(over.append)
    it.stop()
    thread.release()
    it.reload().addCallback(over.append)
    assert (part.settings, over) == (OLD, [None, None])


def test_aBugInOnePartKeepsNotTheOthers(failures: list[LogEvent]) -> None:
    """If a part cannot put in force what it has found good, the others still do, and the log has the traceback."""

    class Broken(Part):
        def prepare(self, settings: Settings) -> Apply:
            return lambda: str(1 // 0)

    part = Part()
    reloading(lambda: NEW, Broken(), part).reload()
    assert part.settings == NEW
    assert len(failures) == 1
    failures.clear()


# -- what needs a restart -----------------------------------------------------------------------------


def test_needsRestartIsDocumented() -> None:
    """etc/scalemgr.toml names what needs a restart, and nothing else; each of it is a setting."""
    head = EXAMPLE.read_text("utf-8").partition("\n\n")[0].replace("\n# ", " ")
    listed = head.partition("A restart is needed for ")[2].rstrip(".").replace(" and ", ", ").split(", ")
    assert {name.strip("[]") for name in listed} == NEEDS_RESTART
    table = msgspec.to_builtins(Settings())
    for name in NEEDS_RESTART:
        section, _, rest = name.partition(".")
        assert section in table
        assert not rest or rest in table[section]


# -- the rooms ----------------------------------------------------------------------------------------


def test_roomsTakeOtherBounds() -> None:
    """Whatever of the bounds is not said to need a restart is another one from the next request on."""
    rooms = Rooms(MemoryReactorClock(), Clock(), OLD, builtIn(), MemoryLedger(), None, demo=False)
    before = rooms.factory.limits
    wanted = replace(
        OLD,
        access=Access(
            allow=["10.0.0.0/8"],
            proxies=["192.0.2.7"],
            connections_per_address=3,
            requests_per_second=5.0,
            burst=9,
            bad_tokens=2,
        ),
        principals={
            "psp": PrincipalSettings(requests_per_second=7, caps={"USD": Caps(day=500)}),
            "free": PrincipalSettings(requests_per_second=0),
        },
        limits=Limits(line_bytes=300, requests_in_flight=11, sessions=12, waiters=1, queue=14, unread_bytes=2**21),
        queries=replace(OLD.queries, rows=77),
    )
    apply = rooms.prepare(wanted)
    assert rooms.factory.limits == before
    apply()
    limits = rooms.factory.limits
    assert (limits.lineBytesMax, limits.inFlightMax, limits.sessionsMax, limits.badTokensMax) == (300, 11, 12, 2)
    assert (rooms.factory.unread.bytesMax, rooms.runtime.queueMax) == (2**21, 14)
    assert (str(rooms.gate.rules.allow[0]), rooms.gate.rules.perAddress) == ("10.0.0.0/8", 3)
    assert str(rooms.gate.rules.proxies[0]) == "192.0.2.7/32"
    assert rooms.dispatcher.house.bounds.rows == 77
    assert [rooms.rates.take("crm") for _ in range(10)] == [0] * 9 + [200]
    assert rooms.dispatcher.house.caps["psp"].currencies["USD"].day == 500 * 10**12
    # What is left out is as for everybody: here the burst.
    assert [rooms.rates.take("psp") for _ in range(10)] == [0] * 9 + [143]
    assert [rooms.rates.take("free") for _ in range(100)] == [0] * 100


# -- keys ---------------------------------------------------------------------------------------------


def test_keysAndRevokedTokens(tmp_path: Path) -> None:
    """Other keys and another list of revoked tokens are believed once all is good, and the log counts what is new."""
    (tmp_path / "a.key").write_bytes(SECRET)
    (tmp_path / "b.key").write_bytes(b"b" * 32)
    (tmp_path / "revoked").write_text("")
    auth = AuthSettings(key_files=["a.key"], revoked="revoked")
    keys = keysOf(auth, tmp_path)
    daemon = Daemon(keys=keys)
    session = daemon.connect(token(jti="stolen"))
    session.send("Ping", 1)
    believing = Believing(keys, daemon.auth, daemon.factory, tmp_path)
    (tmp_path / "revoked").write_text("# in March\nstolen\nother\n")
    wanted = replace(OLD, auth=replace(auth, key_files=["2027=b.key", "2026=a.key"]))
    apply = believing.prepare(wanted)
    session.send("Ping", 2)
    assert [answer["status"] for answer in session.answers()] == [200, 200]
    assert apply() == "keys: 1 new, 0 gone; revoked tokens: 2 more, 0 fewer; sessions that need another token: 1"
    session.send("Ping", 3)
    assert [answer["status"] for answer in session.answers()] == [401]
    assert believing.prepare(wanted)() == ""
    (tmp_path / "revoked").unlink()
    with pytest.raises(KeyRefused, match="revoked cannot be read"):
        believing.prepare(wanted)
