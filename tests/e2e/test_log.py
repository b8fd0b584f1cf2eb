"""What a real daemon says: where it should, how it should, without secrets, and whether or not anybody reads it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from ..helpers import SECRET, token
from .daemons import LOOPBACK, ROOT, TWISTD, DaemonProcess, daemon, hangUp

LOUD = '[log]\nlevel = "debug"\nrequests = "all"\n'
ACCOUNT = {"group": "g", "name": "n", "leverage": 1, "enable": 1, "email": ""}


def configured(folder: Path, text: str) -> tuple[str, ...]:
    """The words for a daemon with these settings and the tests' key."""
    (folder / "scalemgr.key").write_bytes(SECRET)
    (folder / "scalemgr.toml").write_text(f'listen = ["{LOOPBACK}"]\n{text}\n[web]\nlisten = ""\n')
    return ("--config", str(folder / "scalemgr.toml"))


def conversation(port: int, *lines: bytes) -> list[bytes]:
    """What a peer hears that says these lines, each when the one before is answered."""
    with socket.create_connection(("127.0.0.1", port), 10) as peer, peer.makefile("rb") as heard:
        answers = []
        for line in lines:
            peer.sendall(line + b"\r\n")
            while b'"extID"' not in (answer := heard.readline()):
                assert answer
            answers.append(answer)
        return answers


@pytest.mark.parametrize("program", [("-m", "twisted", "scalemgr"), TWISTD], ids=["twist", "twistd -n"])
@pytest.mark.parametrize("format", ["json", "text"])
def test_noSecretIsSaid(tmp_path: Path, program: tuple[str, ...], format: str) -> None:
    """At its loudest the daemon says nothing of tokens, passwords and data, wherever in a request they are."""
    crm, forged = token(), token()[:-4] + "Hush"
    hidden = [f"Hush{n}Hush" for n in range(9)]
    asked = [
        ("Ping", 1, {}, crm),
        ("AddGroup", 2, {"group": "g", "currency": "USD"}, crm),
        ("AddUser", 3, {**ACCOUNT, "password": hidden[0], "email": hidden[1]}, crm),
        ("AddUser", 4, {**ACCOUNT, "password": [hidden[2]]}, crm),
        ("BalanceInSync", 5, {"login": 1001, "amount": 1, "comment": hidden[3]}, crm),
        ("BalanceInSync", 6, {"login": hidden[4], "amount": hidden[4]}, crm),
        (hidden[5], 7, {hidden[5]: hidden[5]}, crm),
        ("GetStatement", 8, {"login": 1001, "limit": hidden[6]}, crm),
        ("Subscribe", 9, {"chanels": [hidden[7]]}, crm),
        ("Ping", 10, {"token": crm}, forged),
        (crm, "evil\r\n\x1b[2J", {}, crm),
    ]
    lines = [json.dumps({"command": c, "extID": e, "data": d, "__token": t}).encode() for c, e, d, t in asked]
    lines.append(b'{"extID": 11, "command": "' + hidden[8].encode() + b'", "data": ' + hidden[8].encode() + b"}")
    arguments = configured(tmp_path, LOUD + f'format = "{format}"')
    with daemon(tmp_path, *arguments, program=program) as (running, port):
        statuses = [json.loads(answer)["status"] for answer in conversation(port, *lines)]
        said = running.end()
    assert statuses == [200, 200, 200, 400, 200, 400, 404, 400, 200, 401, 404, 400]
    assert "BalanceInSync 5 of crm: 200, booked" in said
    assert "evil" in said
    for secret in (*hidden, "Hush", crm, forged, crm.rpartition(".")[2], SECRET.decode()):
        assert secret not in said
    assert all(line.isprintable() for line in said.splitlines())
    if format == "json":
        assert all(json.loads(line)["time"].endswith("Z") for line in said.splitlines())


def test_nobodyReads(tmp_path: Path) -> None:
    """A daemon whose output nobody reads answers and books all the same, and ends when it is told to."""
    many = [b'{"command":"Nothing","extID":"%s-%d"}' % (b"x" * 190, n) for n in range(1000)]
    with daemon(tmp_path, *configured(tmp_path, LOUD)) as (running, port):
        # A refused line of a stranger each: some 300 bytes in the log, where a pipe holds 64 KiB.
        for start in range(0, len(many), 50):
            assert len(conversation(port, *many[start : start + 50])) == 50
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(30)


def test_readAgain(tmp_path: Path) -> None:
    """On SIGHUP the log has the requests, and the level, that the configuration says then."""
    with daemon(tmp_path, *configured(tmp_path, '[log]\nrequests = "all"'), program=TWISTD) as (running, port):
        conversation(port, b'{"command":"Nothing","extID":"first"}')
        configured(tmp_path, '[log]\nrequests = "none"\nlevel = "debug"')
        said = hangUp(running, "the configuration was read again")
        conversation(port, b'{"command":"Nothing","extID":"another"}')
        whole = running.end()
    assert "log.level" in said
    assert "first" in whole
    assert "another" not in whole
    # Twisted's own last words are for who debugs.
    assert "Main loop terminated" in whole


def test_tac(tmp_path: Path) -> None:
    """Under etc/scalemgr.tac the log is the same, and in the place that twistd was told."""
    configured(tmp_path, "")
    (tmp_path / "scalemgr.tac").write_text((ROOT / "etc" / "scalemgr.tac").read_text("utf-8"))
    with daemon(tmp_path, program=(*TWISTD[:3], "-ny", "scalemgr.tac")) as (running, port):
        # Once it answers, its reactor runs, and a signal ends it as it should.
        conversation(port, b'{"command":"Ping","extID":1}')
        said = [json.loads(line)["message"] for line in running.end().splitlines()]
    assert said[-1].startswith("stopped at entry")
    program = (*TWISTD[:3], "--logfile=here.log", "-ny", "scalemgr.tac")
    running = DaemonProcess(program, cwd=tmp_path)
    try:
        waitFor(lambda: "listening on" in read(tmp_path / "here.log"))
    finally:
        assert running.end() == ""


def test_inTheBackground(tmp_path: Path) -> None:
    """twistd without -n serves from the background, and its log is in the file where twistd's would be."""
    words = (*TWISTD[:2], "--pidfile=pid", "scalemgr", *configured(tmp_path, ""))
    subprocess.run([sys.executable, *words], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    pid = int((tmp_path / "pid").read_text())
    try:
        log = tmp_path / "twistd.log"
        waitFor(lambda: "listening on" in read(log))
        found = re.search(r"listening on tcp 127\.0\.0\.1:(\d+)", log.read_text())
        assert found is not None
        (answer,) = conversation(int(found[1]), b'{"command":"Ping","extID":1}')
        assert json.loads(answer)["status"] == 401
    finally:
        os.kill(pid, signal.SIGTERM)
        waitFor(lambda: not (tmp_path / "pid").exists())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[-1]["message"].startswith("stopped at entry")


def test_fileThatCannotBe(tmp_path: Path) -> None:
    """A log that cannot be written stops the start with a sentence, before anything else is touched."""
    words = (*TWISTD[:4], "--logfile=no/where", "scalemgr", *configured(tmp_path, ""))
    running = DaemonProcess(words, cwd=tmp_path)
    said = running.end(0)
    assert running.process.returncode == 1
    assert said == "scalemgr: the log cannot be written to no/where: No such file or directory\n"
    assert not (tmp_path / "ledger").exists()


def read(path: Path) -> str:
    """What is in a file, which may not be there yet."""
    return path.read_text() if path.exists() else ""


def waitFor(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Look again until something is so."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline
        sleep(0.05)
