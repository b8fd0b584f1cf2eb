"""The site of a real daemon, over real sockets."""

from __future__ import annotations

import http.client
import json
import re
import resource
import signal
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address

from scalemgr.daemon.service import ManagerService
from scalemgr.web.site import CONNECTIONS_MAX

from ..certificates import Authority
from ..web.house import Samples, samples
from .daemons import LOOPBACK, TWIST, DaemonProcess, daemon, deposit

WITH_SITE = ("--demo", "--ledger", "sqlite:ledger", "--listen", LOOPBACK, "--web", LOOPBACK)
PATIENCE_S = 20.0
_CONSOLE = re.compile(r"console at http://127\.0\.0\.1:(\d+)/")


def site(running: DaemonProcess) -> int:
    """The port of its site, of a daemon that serves."""
    found = _CONSOLE.search(running.said)
    assert found is not None, running.said
    return int(found.group(1))


def get(port: int, path: str) -> tuple[int, str]:
    """A page: its status, and what it says."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def metrics(port: int) -> Samples:
    return samples(get(port, "/metrics")[1])


def eventually(found: Callable[[], Any]) -> Any:
    """What is found, once it is."""
    end = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def test_whatHappensIsSeen(tmp_path: Path) -> None:
    """A deposit is in the metrics and in the status of the daemon that booked it, with the sizes of its files."""
    with daemon(tmp_path, *WITH_SITE) as (running, port):
        web = site(running)
        assert get(web, "/livez") == (200, "ok\n")
        for n in range(3):
            deposit(port, f"d{n}")
        deposit(port, "d0")
        found = metrics(web)
        assert found["scalemgr_requests_total", ("BalanceInSync", "200")] == 4
        assert found["scalemgr_wait_seconds_count", ("BalanceInSync",)] == 4
        assert found["scalemgr_replays_total", ()] == 1
        assert found["scalemgr_log_seq", ()] == 4 + 2 * 3
        eventually(lambda: ("scalemgr_ledger_bytes", ("log.db",)) in metrics(web))
        assert eventually(lambda: get(web, "/readyz")[0] == 200)
        status = json.loads(get(web, "/status")[1])
        assert (status["seq"], status["ready"], status["totals"]["answers"]) == (10, True, 4)
        assert status["ledger"]["folder"] == str(tmp_path / "ledger")
        assert status["commit"]["last"] > status["since"] - 1
    assert "Traceback" not in running.said


def test_fullDiskIsNotReady(tmp_path: Path) -> None:
    """While nothing can be written it is alive and not ready, and says why; with room again it is ready by itself."""
    with daemon(tmp_path, *WITH_SITE) as (running, port):
        web = site(running)
        deposit(port, "before")
        assert eventually(lambda: get(web, "/readyz")[0] == 200)
        pid = running.process.pid
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
        assert deposit(port, "during")["status"] == 500
        status, text = get(web, "/readyz")
        assert status == 503
        assert "NOT ledger: the last commit failed:" in text
        assert metrics(web)["scalemgr_commit_failures_total", ()] >= 1
        # It goes on trying, in vain, and says nothing else.
        time.sleep(1)
        assert get(web, "/readyz")[0] == 503
        assert get(web, "/livez")[0] == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert eventually(lambda: get(web, "/readyz")[0] == 200)
        assert deposit(port, "during")["status"] == 200


def test_slowHttpPeers(tmp_path: Path) -> None:
    """Peers that hold connections open and say nothing keep nobody from being answered."""
    with daemon(tmp_path, *WITH_SITE) as (running, port):
        web = site(running)
        idle = [socket.create_connection(("127.0.0.1", web), 10) for _ in range(100)]
        for peer in idle:
            peer.sendall(b"GET /status HT")
        assert get(web, "/livez") == (200, "ok\n")
        assert deposit(port, "meanwhile")["status"] == 200
        for peer in idle:
            peer.close()


def test_stopEndsTheSite(tmp_path: Path) -> None:
    """A daemon that is stopped does not wait for those who look at it."""
    with daemon(tmp_path, *WITH_SITE) as (running, _):
        with socket.create_connection(("127.0.0.1", site(running)), 10) as peer:
            peer.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert peer.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
            running.process.send_signal(signal.SIGTERM)
            while peer.recv(65536):
                pass
        said = running.end()
    assert "stopped at entry" in said


def test_takenPort(tmp_path: Path) -> None:
    """A site whose port is taken stops the start with a sentence; that of a demo, if none was said, goes elsewhere."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", 8081))
        except OSError:
            pass  # Somebody else has it: just as well.
        else:
            other.listen()
        program = TWIST[:-1]
        with daemon(tmp_path, "--demo", "--listen", LOOPBACK, program=program) as (running, _):
            assert site(running) != 8081
            assert get(site(running), "/livez") == (200, "ok\n")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        endpoint = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
        refused = DaemonProcess(TWIST, "--demo", "--listen", LOOPBACK, "--web", endpoint, cwd=tmp_path)
        said = refused.end(0)
    assert refused.process.returncode == 1
    assert f"scalemgr: cannot listen on '{endpoint}'" in said
    assert "Traceback" not in said


def test_siteBehindTls(tmp_path: Path) -> None:
    """The site speaks TLS as the doors do, and tells when the certificate ends; there, too, one connection too many is
    closed, and nothing is made of it."""
    authority = Authority()
    file = authority.server(days=(-1.0, 10.0)).write(tmp_path / "server.pem")
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={file}:certKey={file}"
    context = ssl.create_default_context(cadata=authority.own.pem().decode())
    with daemon(tmp_path, "--demo", "--listen", LOOPBACK, "--web", endpoint) as (running, _):
        found = re.search(r"console at https://127\.0\.0\.1:(\d+)/", running.said)
        assert found is not None
        port = int(found.group(1))

        def secure() -> dict[str, Any]:
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
            connection.request("GET", "/status")
            answer = connection.getresponse()
            status: dict[str, Any] = json.loads(answer.read())
            connection.close()
            return status

        status = secure()
        assert 9 * 86400 < status["certificate_expires"] - status["now"] < 10 * 86400
        idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(CONNECTIONS_MAX)]
        with socket.create_connection(("127.0.0.1", port), 10) as more:
            try:
                assert more.recv(1) == b""
            except ConnectionResetError:
                pass
        for peer in idle:
            peer.close()

        def again() -> bool:
            try:
                return secure()["ready"] is True
            except OSError:
                return False

        assert eventually(again)
        said = running.end()
    assert "Traceback" not in said


@pytest.mark.parametrize("endpoint", ["tcp:0", "tcp:0:interface=0.0.0.0"])
def test_demoShowsItselfToThisMachineOnly(tmp_path: Path, endpoint: str) -> None:
    """A demo, which needs no token, does not let others look either."""
    running = DaemonProcess(TWIST, "--demo", "--listen", LOOPBACK, "--web", endpoint, cwd=tmp_path)
    said = running.end(0)
    assert running.process.returncode == 1
    assert "a demo lets anybody in" in said


def test_siteIsApart(service: ManagerService) -> None:
    """The site listens on an address of its own."""
    [address], [web] = service.addresses(), service.webAddresses()
    assert isinstance(address, IPv4Address)
    assert isinstance(web, IPv4Address)
    assert address.port != web.port
