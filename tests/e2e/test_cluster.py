"""C{make cluster-demo}, as a newcomer runs it, and what it says where something is not as it should be."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from examples.cluster.balancer import configuration
from examples.cluster.checks import bookings, differences
from examples.cluster.errors import Failed
from examples.cluster.gateways import Gateway
from examples.cluster.people import Payment

from ..postgres import shared
from .daemons import ROOT

PATIENCE_S = 150


@pytest.fixture
def server() -> Iterator[str]:
    """PostgreSQL; and HAProxy is here."""
    if shutil.which("haproxy") is None:
        assert "CI" not in os.environ, "CI is to have HAProxy"
        pytest.skip("there is no haproxy here (Debian has it in haproxy)")
    with shared() as url:
        yield url


def start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """The demonstration, with this for temporary files."""
    return subprocess.Popen(
        [sys.executable, "-m", "examples.cluster"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left(url: str, folder: Path) -> list[str]:
    """What there is of it still: schemas, files, processes."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'scalemgr\\_cluster\\_%'")
        found = [name for (name,) in rows]
    found += [path.name for path in folder.iterdir()]
    for process in Path("/proc").glob("[0-9]*/cwd"):
        try:
            found += [str(process)] if str(process.readlink()).startswith(str(folder)) else []
        except OSError:
            # It is somebody else's, or just gone.
            pass
    return found


def test_itIsShown(server: str, tmp_path: Path) -> None:
    """The demonstration shows what it says, line by line, and leaves nothing behind."""
    said, complaints = start(tmp_path, SCALEMGR_POSTGRES=server).communicate(timeout=PATIENCE_S)
    assert complaints == ""
    *lines, last = said.splitlines()
    told = "\n".join(lines)
    for wanted in (
        r"three gateways are ready",
        r"finds all three UP",
        r"kill -9 of gw2",
        r"HAProxy finds gw2 DOWN; sessions: gw1 3, gw2 0, gw3 3",
        r"gw2 is started again .* its follower went on from entry",
        r"SIGTERM to gw3",
        r"gw3 is started again",
        r"replayed: gw1 order (\d+), gw2 order \1, gw3 order \1",
        r"sha256 (\w+);.*\n.* gw1 \1, gw2 \1, gw3 \1",
        r"verify: .*no difference",
        r"reconcile.* 0 missing, 0 refused, 0 double, 0 different, 0 extra",
    ):
        assert re.search(wanted, told), f"{wanted} is not in\n{told}"
    assert re.match(r"Shown: [\d,]+ payments .* each booked exactly once; every gateway has told the same events", last)
    assert left(server, tmp_path) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_itIsEnded(server: str, tmp_path: Path, number: signal.Signals, status: int) -> None:
    """Whoever ends it in the midst of it finds nothing of it afterwards."""
    demo = start(tmp_path, SCALEMGR_POSTGRES=server)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "all three UP" in line:
            break
    demo.send_signal(number)
    demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == status
    assert left(server, tmp_path) == []


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"SCALEMGR_POSTGRES": "postgresql://127.0.0.1:1/none"}, "PostgreSQL at postgresql://127.0.0.1:1/none"),
        ({"SCALEMGR_POSTGRES": "service=none"}, "is to be the URL of a database"),
    ],
    ids=["nobody there", "no URL"],
)
def test_whatIsMissing(server: str, tmp_path: Path, environment: dict[str, str], says: str) -> None:
    """Where something is missing it is one sentence that says what, and nothing is started."""
    demo = start(tmp_path, **environment)
    said, complaint = demo.communicate(timeout=PATIENCE_S)
    assert (demo.returncode, said, len(complaint.splitlines())) == (2, "", 1)
    assert says in complaint


def test_withoutHAProxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without HAProxy it names the package."""
    from examples.cluster import __main__ as demo

    said: list[str] = []
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr(demo, "server", lambda: pytest.fail("it goes on"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(demo, "_sorry", lambda why, status: said.append(f"{status} {why}"))
    demo.main()
    assert said == ["2 there is no HAProxy here; on Debian: apt-get install haproxy"]


def test_otherConfiguration(tmp_path: Path) -> None:
    """If etc/haproxy.cfg becomes another, it is not the demonstration that goes on with half of it."""
    shipped = (ROOT / "etc" / "haproxy.cfg").read_text("utf-8")
    gateways = [Gateway(f"gw{n}", tmp_path, 10000 + n, 20000 + n) for n in (1, 2, 3)]
    assert "server gw3 127.0.0.1:10003 port 20003" in configuration(shipped, 3, gateways)
    with pytest.raises(Failed, match="gw3"):
        configuration(shipped.replace("server gw3", "server other"), 3, gateways)


# -- what is held against each other ------------------------------------------------------------------------


def trade(key: str, order: int, profit: float = 1.0, login: int = 1001) -> str:
    """An event of a payment."""
    return f'{{"event":"trade:event","data":{{"order":{order},"login":{login},"profit":{profit},"comment":"{key}"}}}}'


def balance(amount: float, login: int = 1001) -> str:
    """An event of what an account has."""
    return f'{{"event":"balance:event","data":{{"login":{login},"balance":{amount}}}}}'


PAID = {key: Payment(key, 1001, Decimal("1.00"), order) for key, order in (("a", 1), ("b", 2))}


def test_whatIsRight() -> None:
    """There is nothing to say against what is right."""
    lines = [trade("a", 1), balance(1.0), trade("b", 2), balance(2.0)]
    assert bookings(PAID, lines) == []
    assert differences({"one": lines, "two": list(lines)}) == []


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([trade("a", 1), trade("b", 2), trade("b", 3), balance(3.0)], "b is booked 2 times"),
        ([trade("a", 1), balance(1.0)], "b is booked 0 times"),
        ([trade("a", 1), trade("b", 3), balance(2.0)], "its payer was told 2"),
        ([trade("a", 1), trade("b", 2, 1.01), balance(2.01)], "b is booked with 1.01 on 1001, and was 1.00"),
        ([trade("a", 1), trade("b", 2, 1.0, 1002), balance(1.0), balance(1.0, 1002)], "b is booked with 1.0 on 1002"),
        ([trade("a", 1), trade("b", 2), trade("c", 3), balance(3.0)], "order 3 is booked, and nobody asked for it"),
        ([trade("a", 1), trade("b", 2), balance(2.5)], "account 1001 has 2.5, and was paid 2.00"),
    ],
)
def test_whatIsWrong(lines: list[str], says: str) -> None:
    """A payment that is booked twice, never or otherwise, and a balance that is no sum, are found."""
    assert any(says in found for found in bookings(PAID, lines))


@pytest.mark.parametrize("other", [["x", "z"], ["x"], ["x", "y", "y"], ["y", "x"]])
def test_otherEvents(other: list[str]) -> None:
    """Events that differ, are fewer, more, or in another order, are found."""
    [found] = differences({"one": ["x", "y"], "two": other})
    assert "differs" in found
