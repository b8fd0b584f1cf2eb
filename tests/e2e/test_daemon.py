"""The daemon as people run it: a process, a socket, a folder, signals."""

from __future__ import annotations

import json
import signal
import socket
import threading
from pathlib import Path

import pytest

from scalemgr.demo import EXAMPLE

from ..lines import LineClient
from .daemons import LOOPBACK, ROOT, TWIST, TWISTD, DaemonProcess, daemon, deposit


def say(port: int, data: bytes) -> list[dict[str, object]]:
    """What a peer hears that says this, hangs up its own direction and reads to the end, as C{nc} does."""
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        heard = b""
        while piece := peer.recv(65536):
            heard += piece
    return [json.loads(line) for line in heard.split(b"\r\n")[:-1]]


@pytest.mark.parametrize("program", [TWIST, TWISTD], ids=["twist", "twistd -n"])
def test_publishedRequestIsAnswered(tmp_path: Path, program: tuple[str, ...]) -> None:
    """The request of the published page, typed into a demo, gets the answer of the published page."""
    with daemon(tmp_path, "--demo", "--listen", LOOPBACK, program=program) as (_, port):
        (answer, *_) = say(port, EXAMPLE.encode() + b"\r\n")
    assert (answer["extID"], answer["status"]) == ("deposit-req-1001", 200)
    data = answer["data"]
    assert isinstance(data, dict)
    published = {"login": 1001, "cmd": 6, "state": 3, "profit": 250.0, "comment": "Payment gateway deposit"}
    assert published.items() <= data.items()
    assert type(data["order"]) is int


def test_depositSurvivesSigkill(tmp_path: Path) -> None:
    """What was answered is there after kill -9, and the next order is a new one."""
    arguments = ("--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK)
    with daemon(tmp_path, *arguments) as (first, port):
        booked = [deposit(port, f"before-{n}")["data"] for n in range(3)]
        first.end(signal.SIGKILL)
    with daemon(tmp_path, *arguments) as (_, port):
        with LineClient("127.0.0.1", port) as client:
            for trade in booked:
                found = client.call("GetTradeByOrder", {"order": trade["order"]}).data
                assert trade.items() <= found.items()
            account = client.call("GetAccountByLogin", {"login": 1001}).data
            assert (account["balance"], account["balance_version"]) == (750.0, 3)
        after = deposit(port, "after")["data"]
        assert after["order"] not in {trade["order"] for trade in booked}
        assert after["balance_version"] == 4


def test_sigtermFinishesWhatWasTaken(tmp_path: Path) -> None:
    """Deposits that were taken when SIGTERM came are booked and answered; what comes later is refused or cut off."""
    arguments = ("--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK)
    count = 2000
    lines = b"".join(
        b'{"command":"BalanceInSync","extID":"d-%d","data":{"login":1001,"amount":0.01}}\r\n' % n for n in range(count)
    )
    with daemon(tmp_path, *arguments) as (running, port):
        with socket.create_connection(("127.0.0.1", port), 10) as peer:
            sender = threading.Thread(target=peer.sendall, args=(lines,))
            sender.start()
            heard = peer.recv(1)
            running.process.send_signal(signal.SIGTERM)
            try:
                while piece := peer.recv(65536):
                    heard += piece
            except ConnectionResetError:
                pass
            peer.close()
            sender.join()
        said = running.end()
    assert "stopped at entry" in said
    answers = [m for m in map(json.loads, heard.split(b"\r\n")[:-1]) if "event" not in m]
    booked = [answer for answer in answers if answer["status"] == 200]
    assert booked
    assert all(a["status"] == 200 or a["data"]["reason"] == "RET_ERR_SHUTDOWN" for a in answers)
    with daemon(tmp_path, *arguments) as (_, port), LineClient("127.0.0.1", port) as client:
        account = client.call("GetAccountByLogin", {"login": 1001}).data
    assert account["balance_version"] == len(booked)


def test_secondDaemonIsRefused(tmp_path: Path) -> None:
    """Two daemons cannot have one folder: the second ends with a message that names the first, and status 1."""
    arguments = ("--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK)
    with daemon(tmp_path, *arguments) as (first, port):
        second = DaemonProcess(TWIST, *arguments, cwd=tmp_path)
        said = second.end(0)
        assert second.process.returncode == 1
        assert f"is in use by another scalemgr (process {first.process.pid})" in said
        assert "Traceback" not in said
        assert deposit(port, "still-there")["status"] == 200


def test_tacServes(tmp_path: Path) -> None:
    """twistd -ny etc/scalemgr.tac serves with the configuration beside it, and a token of that key is believed."""
    for name in ("scalemgr.tac", "scalemgr.toml"):
        text = (ROOT / "etc" / name).read_text("utf-8")
        text = text.replace('["tcp:8080:interface=127.0.0.1"]', f'["{LOOPBACK}"]')
        (tmp_path / name).write_text(text.replace('"tcp:8081:interface=127.0.0.1"', '""'))
    (tmp_path / "scalemgr.key").write_text("0123456789abcdef0123456789abcdef")
    program = (*TWISTD[:3], "-ny", str(tmp_path / "scalemgr.tac"))
    with daemon(tmp_path, program=program) as (_, port):
        (answer,) = say(port, b'{"command":"Ping","extID":1}\n')
    assert (answer["status"], answer["extID"]) == (401, 1)


def test_demoAddsOnlyWhatIsMissing(tmp_path: Path) -> None:
    """A demo on an existing ledger leaves what is there as it is."""
    arguments = ("--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK)
    with daemon(tmp_path, *arguments) as (first, port):
        deposit(port, "kept")
        first.end()
    with daemon(tmp_path, *arguments) as (_, port), LineClient("127.0.0.1", port) as client:
        assert client.call("GetAccountByLogin", {"login": 1001}).data["balance"] == 250.0
        # Group, three accounts, one deposit and its balance:event.
        assert client.call("Ping", {}).data["seq"] == 6


def test_demoIsForThisMachineOnly(tmp_path: Path) -> None:
    """A demo, which lets anybody in, refuses to listen where others can reach it."""
    running = DaemonProcess(TWIST, "--demo", "--listen", "tcp:0", cwd=tmp_path)
    said = running.end(0)
    assert running.process.returncode == 1
    assert "a demo lets anybody in" in said


def test_daemonNeedsAKey(tmp_path: Path) -> None:
    """Without a key and without --demo nobody could be let in, so the daemon says how to make one."""
    running = DaemonProcess(TWIST, "--listen", LOOPBACK, cwd=tmp_path)
    said = running.end(0)
    assert running.process.returncode != 0
    assert "scalemgr.key does not exist; `scalemgr token --config FILE --new-key` makes one" in said
