"""etc/haproxy.cfg, and a real HAProxy that runs by it before a real daemon."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..certificates import Authority, clientContext
from .daemons import ROOT, DaemonProcess, daemon
from .test_reload import Office
from .test_window import get

CONFIG = ROOT / "etc" / "haproxy.cfg"
PATIENCE_S = 30.0
# HAProxy connects from here, and clients from elsewhere: all of it is this machine.
PROXY, CLIENT, OTHER, STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
_CONSOLE = re.compile(r"console at https?://127\.0\.0\.1:(\d+)/")


@pytest.fixture
def haproxy() -> str:
    """The program."""
    program = shutil.which("haproxy")
    if program is None:
        assert "CI" not in os.environ, "CI is to have it"
        pytest.skip("there is no haproxy here (Debian has it in haproxy)")
    return program


def test_configurationIsSound(haproxy: str) -> None:
    """HAProxy finds nothing wrong with the configuration, not even what it would only warn of."""
    checked = subprocess.run(
        [haproxy, "-c", "-f", CONFIG], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    said = checked.stdout + checked.stderr
    assert checked.returncode == 0, said
    assert "[WARNING]" not in said


def here(text: str, number: int, port: int, site: int, *, tls: bool) -> str:
    """
    The configuration as it is shipped, but for where things are, who it runs as and, if it must be, TLS at the site.

    @param number: the descriptor of the socket that it listens on.
    """
    for pattern, replacement in (
        (r"log /dev/log local0", "log stdout format raw local0"),
        (r"    (?:user|group) haproxy\n", ""),
        (r"maxconn 20000", "maxconn 200"),
        (r"/run/haproxy/admin.sock", "unix@admin.sock"),
        (r"bind :8443", f"bind fd@{number}"),
        (r"server gw1 10\.0\.0\.11:8443", f"server gw1 127.0.0.1:{port}"),
        (r"    server gw[23] .*\n", ""),
        (r"port 8081", f"port {site}"),
        *([] if tls else [(r" check-ssl verify none inter", " inter")]),
    ):
        text, count = re.subn(pattern, replacement, text)
        assert count, pattern
    return text


class Balancer:
    """A HAProxy that runs, and its port."""

    def __init__(self, program: str, folder: Path, port: int, site: int, *, tls: bool) -> None:
        self._folder = folder
        with socket.create_server((PROXY, 0)) as door:
            self.port = door.getsockname()[1]
            text = here(CONFIG.read_text("utf-8"), door.fileno(), port, site, tls=tls)
            (folder / "haproxy.cfg").write_text(text)
            self.process = subprocess.Popen(
                [program, "-db", "-f", "haproxy.cfg"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                pass_fds=[door.fileno()],
            )

    def tell(self, command: str) -> str:
        """Something on its own socket; the answer."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE_S)
            control.connect(str(self._folder / "admin.sock"))
            control.sendall(command.encode() + b"\n")
            with control.makefile() as heard:
                return heard.read()

    def stat(self, field: str, backend: str = "gateways") -> str:
        """What it finds of the gateway."""
        lines = self.tell("show stat").removeprefix("# ").splitlines()
        names = lines[0].split(",")
        [found] = [line.split(",") for line in lines if line.startswith(f"{backend},gw1,")]
        return found[names.index(field)]

    def until(self, isSo: Callable[[], bool]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                if isSo():
                    return
            except (ConnectionError, FileNotFoundError):
                assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < end, self.tell("show stat")
            time.sleep(0.05)

    def connect(self, source: str) -> socket.socket:
        """A client's connection, from this address."""
        return socket.create_connection((PROXY, self.port), PATIENCE_S, (source, 0))

    def end(self) -> str:
        """All that it said."""
        self.process.terminate()
        return self.process.communicate(timeout=PATIENCE_S)[0]


class House:
    """
    A daemon with a HAProxy before it.

    @ivar token: a good one.
    """

    def __init__(self, program: str, folder: Path, *, tls: bool) -> None:
        self._program, self._folder, self._tls = program, folder, tls
        self._authority = Authority()
        self._authority.server().write(folder / "server.pem")
        office = Office(folder)
        self.token = office.token("crm", "--new-key")
        file = folder / "scalemgr.toml"
        listen = "tls:0:interface=127.0.0.1" if tls else "tcp:0:interface=127.0.0.1"
        file.write_text(f"""
listen = ["{listen}"]
ledger = "sqlite:ledger"
[auth]
key_files = ["old.key"]
[tls]
certificate = "server.pem"
[access]
allow = ["{CLIENT}", "{OTHER}"]
proxies = ["{PROXY}"]
connections_per_address = 1
""")

    @contextmanager
    def open(self) -> Iterator[tuple[DaemonProcess, Balancer, int]]:
        """Both, and the port of the daemon; HAProxy has seen that it is ready."""
        web = "tls:0:interface=127.0.0.1" if self._tls else "tcp:0:interface=127.0.0.1"
        with daemon(self._folder, "--config", "scalemgr.toml", "--web", web) as (running, port):
            found = _CONSOLE.search(running.said)
            assert found is not None, running.said
            self.site = int(found.group(1))
            balancer = Balancer(self._program, self._folder, port, self.site, tls=self._tls)
            try:
                balancer.until(lambda: balancer.stat("check_status") == "L7OK" and balancer.stat("status") == "UP")
                yield running, balancer, port
            finally:
                balancer.end()

    def session(self, plain: socket.socket) -> socket.socket:
        """What is spoken on a connection."""
        if not self._tls:
            return plain
        context = clientContext(self._authority.write(self._folder / "ca.pem"), None)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def first(self) -> bytes:
        """What a client begins with."""
        if not self._tls:
            return b'{"command": "Ping"}\r\n'
        hello = ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
        return hello.read()


def call(peer: socket.socket, command: str, **more: Any) -> dict[str, Any]:
    """The answer to a request; nothing if it is closed instead."""
    peer.sendall(json.dumps({"command": command, "extID": "x", **more}).encode() + b"\r\n")
    with peer.makefile("rb") as lines:
        line = lines.readline()
    answer: dict[str, Any] = json.loads(line) if line else {}
    return answer


def isTurnedAway(connect: Callable[[], socket.socket], first: bytes) -> bool:
    """Is whoever comes and says this closed without a word?"""
    try:
        with connect() as plain:
            plain.sendall(first)
            return plain.recv(100) == b""
    except ConnectionError:
        # It was faster than he was.
        return True


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_daemonSeesWhoIsBehind(haproxy: str, tmp_path: Path, tls: bool) -> None:
    """Behind HAProxy it is the client who is allowed, counted, and named by the log and the status; HAProxy's own
    checks are not worth a line."""
    house = House(haproxy, tmp_path, tls=tls)
    with house.open() as (running, balancer, port):
        with house.session(balancer.connect(CLIENT)) as client:
            assert call(client, "Ping", __token=house.token)["status"] == 200
            if not tls:
                [session] = json.loads(get(house.site, "/status")[1])["sessions"]["listed"]
                assert session["peer"] == CLIENT
                with house.session(balancer.connect(CLIENT)) as another:
                    assert "too many connections from your address" in str(call(another, "Ping"))
        with house.session(balancer.connect(OTHER)) as other:
            assert call(other, "Ping", __token="forged")["status"] == 401
        assert isTurnedAway(lambda: balancer.connect(STRANGER), house.first())
        # It does not help him to name another where nobody is believed.
        lie = f"PROXY TCP4 {CLIENT} {PROXY} 1 2\r\n".encode() + house.first()
        assert isTurnedAway(lambda: socket.create_connection((PROXY, port), PATIENCE_S, (STRANGER, 0)), lie)
        running.end()
    said = running.said
    assert f"from {OTHER}: a token is refused" in said
    closed = re.findall(r"a connection from (.*) is closed: (.*)", said)
    assert {who for who, why in closed if "[access] allow does not name it" in why} == {STRANGER}
    assert not [who for who, _ in closed if PROXY in who]


def test_aGatewayThatIsNotThere(haproxy: str, tmp_path: Path) -> None:
    """A gateway that ends is found out by its site, and whoever comes then is closed."""
    house = House(haproxy, tmp_path, tls=False)
    with house.open() as (running, balancer, _):
        running.end()
        balancer.until(lambda: balancer.stat("status") == balancer.stat("status", "alive") == "DOWN")
        assert isTurnedAway(lambda: balancer.connect(CLIENT), house.first())
