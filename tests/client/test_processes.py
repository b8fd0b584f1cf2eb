"""Callers that are killed, that fork, and that import as little as they may."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scalemgr.client import Client, Outcome, Reply
from scalemgr.client.outbox import OutboxFile

from ..e2e.daemons import LOOPBACK, ROOT, daemon
from .caller import STAGES

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run something in a process of its own."""
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("stage", STAGES)
def test_killedAtEveryStage(tmp_path: Path, stage: str) -> None:
    """However far a deposit was when its caller was killed, it is booked once if it was kept, and else never."""
    outbox = tmp_path / "outbox"
    with daemon(tmp_path, "--demo", "--listen", LOOPBACK) as (_, port):
        address = f"tcp:127.0.0.1:{port}"
        killed = python("-m", "tests.client.caller", address, str(outbox), stage)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        outcomes: list[Outcome] = []
        with Client(address, outbox=outbox, onOutcome=outcomes.append) as client:
            left = len(client.unfinished())
            end = time.monotonic() + 30
            while client.unfinished():
                assert time.monotonic() < end, "it is never finished"
            account = client.GetAccountByLogin(login=1001)
        booked = 0 if stage == "meant" else 1
        assert (account.balance, account.balance_version) == (250.0 * booked, booked)
        if stage in ("kept", "told that it is kept", "sent", "answered"):
            assert left <= 1
            assert [type(outcome.result) for outcome in outcomes] == [Reply]
    file = OutboxFile(outbox)
    assert file.unfinished() == []
    file.close()


FORKING = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from scalemgr.client import Client, NotApplied

client = Client(sys.argv[1], outbox=sys.argv[2] or None)
if sys.argv[3] == "used":
    client.BalanceInSync(login=1001, amount=1)
children = []
for _ in range(3):
    pid = os.fork()
    if not pid:
        try:
            for _ in range(10):
                client.BalanceInSync(login=1001, amount=1)
        except NotApplied as e:
            sys.exit(7 if "in use by another client" in str(e) else 1)
        # Not os._exit: all that a worker's end brings with it happens.
        sys.exit(0)
    children.append(pid)
if sys.argv[3] == "used":
    for _ in range(10):
        client.BalanceInSync(login=1001, amount=1)
statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
for _ in range(10):
    client.BalanceInSync(login=1001, amount=1)
print(*statuses, client.GetAccountByLogin(login=1001).balance_version)
client.close()
"""


@pytest.mark.parametrize(("used", "booked"), [("unused", 40), ("used", 51)])
def test_forked(tmp_path: Path, used: str, booked: int) -> None:
    """A client that was made, or used, before a fork serves the parent and each child."""
    with daemon(tmp_path, "--demo", "--listen", LOOPBACK) as (_, port):
        done = python("-c", FORKING, f"tcp:127.0.0.1:{port}", "", used)
    assert (done.stdout.split(), done.stderr) == (["0", "0", "0", str(booked)], "")


def test_forkedWithAnOutbox(tmp_path: Path) -> None:
    """An outbox stays the parent's: children are refused, and their end does nothing to it."""
    outbox = tmp_path / "outbox"
    with daemon(tmp_path, "--demo", "--listen", LOOPBACK) as (_, port):
        done = python("-c", FORKING, f"tcp:127.0.0.1:{port}", str(outbox), "used")
    assert (done.stdout.split(), done.stderr) == (["7", "7", "7", "21"], "")
    file = OutboxFile(outbox)
    assert file.unfinished() == []
    assert file.write([("BalanceIn", "k", "{}", "crm")], []) == [22]
    file.close()


IMPORTING = """
import sys
from scalemgr.client import AsyncClient, Client
client = Client("tcp:127.0.0.1:1", deadline=0.1)
try:
    client.Ping()
except Exception as e:
    assert type(e).__name__ == "Unreachable", e
client.close()
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("scalemgr.")}
others = rooms & {"server", "web", "service", "tap", "config"}
print("twisted.internet.reactor" in sys.modules, *sorted(others))
"""


def test_noReactorAndNoServer() -> None:
    """The clients for scripts and for asyncio import no reactor, and of the server the declarations only."""
    done = python("-c", IMPORTING)
    assert (done.stdout.split(), done.stderr) == (["False"], "")


def test_endsWithoutBeingClosed(tmp_path: Path) -> None:
    """A script that forgets to close its client ends all the same, and quietly."""
    with daemon(tmp_path, "--demo", "--listen", LOOPBACK) as (_, port):
        text = f"from scalemgr.client import Client; print(Client('tcp:127.0.0.1:{port}').Ping().seq > 0)"
        done = python("-X", "dev", "-c", text)
        made = f"client = Client('tcp:127.0.0.1:{port}', outbox='{tmp_path}/o')"
        kept = f"{text}; {made}; client.BalanceIn(login=1001, amount=1)"
        also = python("-X", "dev", "-c", kept)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    assert (also.returncode, also.stdout, also.stderr) == (0, "True\n", "")
