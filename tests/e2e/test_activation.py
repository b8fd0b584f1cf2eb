"""The daemon under somebody who does for it what systemd does: opens its doors, and wants to hear of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.testing import MemoryReactorClock

from scalemgr.daemon.activation import HandedOver, inherited
from scalemgr.demo import EXAMPLE

from .daemons import ROOT

PATIENCE_S = 30
# What systemd does last: the sockets are the descriptors from 3 on, and it says whose they are.
_HAND_OVER = """
import os, sys
count, names, *words = sys.argv[1:]
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count)
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execv(sys.executable, [sys.executable, *words])
"""
TWISTD = ("-c", "from twisted.scripts.twistd import run; run()", "--pidfile=", "-n")


class Service:
    """
    What systemd keeps while daemons come and go: sockets that listen, and one to be told by.

    @param names: those of the sockets, as systemd writes them; C{None}: each is C{scalemgr}.
    """

    def __init__(self, folder: Path, *doors: socket.socket, names: str | None = None) -> None:
        self._folder = folder
        self._names = ":".join(["scalemgr"] * len(doors)) if names is None else names
        self._doors = doors
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(folder / "notify"))
        self.notify.settimeout(PATIENCE_S)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A daemon, which may not serve yet."""

        def arrange() -> None:
            # Away from where they go, first: each is the copy of another.
            copies = [os.dup2(door.fileno(), 100 + n) for n, door in enumerate(self._doors)]
            for n, copy in enumerate(copies):
                os.dup2(copy, 3 + n)
                os.close(copy)

        words = ("-c", _HAND_OVER, str(len(self._doors)), self._names, *TWISTD)
        words += ("scalemgr", "--demo", "--web", "", *arguments)
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self._folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "NOTIFY_SOCKET": str(self._folder / "notify"),
                "WATCHDOG_USEC": "1000000",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=[3 + n for n in range(len(self._doors))],
            preexec_fn=arrange,
        )

    def hear(self, what: str) -> None:
        """Wait until this was said."""
        while what not in self.notify.recv(65536).decode().split("\n"):
            pass

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A daemon that serves, and is gone afterwards."""
        process = self.start(*arguments)
        try:
            self.hear("READY=1")
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_S)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Makes one, and sees that all is closed."""
    made: list[socket.socket] = []

    def make(*doors: socket.socket, names: str | None = None) -> Service:
        service = Service(tmp_path, *doors, names=names)
        made.extend((*doors, service.notify))
        return service

    yield make
    for each in made:
        each.close()


def door(family: int = socket.AF_INET, address: object = ("127.0.0.1", 0)) -> socket.socket:
    """A socket that listens."""
    made = socket.socket(family)
    made.bind(address)
    made.listen(100)
    return made


def ask(peer: socket.socket, extID: str) -> None:
    """Send the deposit of the published page."""
    peer.sendall(EXAMPLE.replace("deposit-req-1001", extID).encode() + b"\r\n")


def answer(peer: socket.socket) -> dict[str, object]:
    """The next answer that comes."""
    with peer.makefile("rb") as heard:
        while True:
            line = heard.readline()
            assert line, "it hung up"
            message: dict[str, object] = json.loads(line)
            if "extID" in message:
                return message


def connect(where: socket.socket) -> socket.socket:
    """A connection to a door, whoever attends to it."""
    peer = socket.socket(where.family)
    peer.settimeout(PATIENCE_S)
    peer.connect(where.getsockname())
    return peer


@pytest.mark.parametrize("kind", ["inet", "unix"])
def test_aRestartRefusesNoConnection(tmp_path: Path, service: Callable[..., Service], kind: str) -> None:
    """Who comes while there is no daemon waits, and is answered by the next one: what it asks is booked once."""
    if kind == "inet":
        where = door()
        listen = f"tcp:{where.getsockname()[1]}:interface=127.0.0.1"
    else:
        where = door(socket.AF_UNIX, str(tmp_path / "door"))
        listen = f"unix:{tmp_path / 'door'}"
    arguments = ("--ledger", "sqlite:ledger", "--listen", listen)
    under = service(where)
    with under.running(*arguments) as first:
        with connect(where) as before:
            ask(before, "first")
            assert answer(before)["status"] == 200
        first.send_signal(signal.SIGTERM)
        under.hear("STOPPING=1")
        # From now on nobody attends to the door.
        with connect(where) as during, connect(where) as again:
            ask(during, "second")
            first.communicate(timeout=PATIENCE_S)
            ask(again, "first")
            with under.running(*arguments):
                booked, repeated = answer(during), answer(again)
                # A daemon waits for its peers to leave, and this test need not.
                during.close()
                again.close()
    assert (booked["status"], booked["extID"]) == (200, "second")
    assert (repeated["status"], repeated["replayed"]) == (200, True)


def test_systemdIsTold(service: Callable[..., Service]) -> None:
    """It is told when the daemon serves, that it lives, when it reads its configuration again, and when it stops."""
    where = door()
    under = service(where)
    with under.running("--listen", f"tcp:{where.getsockname()[1]}:interface=127.0.0.1") as process:
        for _ in range(3):
            under.hear("WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        under.hear("RELOADING=1")
        under.hear("READY=1")
        process.send_signal(signal.SIGTERM)
        under.hear("STOPPING=1")


def test_endpointThatNamesASocket(service: Callable[..., Service]) -> None:
    """Twisted's own endpoint for such sockets does, too."""
    where = door()
    under = service(where)
    with under.running("--listen", "systemd:domain=INET:name=scalemgr"), connect(where) as peer:
        ask(peer, "one")
        assert answer(peer)["status"] == 200


@pytest.mark.parametrize("names", ["", "one", "one:two"])
def test_doorsWithoutNames(service: Callable[..., Service], names: str) -> None:
    """A socket is used as well if it has no name, as C{systemd-socket-activate} hands it over, or not all have one."""
    where, other = door(), door()
    listen = (f"--listen=tcp:{each.getsockname()[1]}:interface=127.0.0.1" for each in (where, other))
    with service(where, other, names=names).running(*listen):
        for each in (where, other):
            with connect(each) as peer:
                ask(peer, "one")
                assert answer(peer)["status"] == 200


def test_whoseDoors() -> None:
    """What was handed over to another process, or is no number, is nobody's."""
    reactor = MemoryReactorClock()
    assert inherited(reactor, {"LISTEN_PID": "7", "LISTEN_FDS": "2"}, 7) == [3, 4]
    for environ in ({}, {"LISTEN_PID": "8", "LISTEN_FDS": "2"}, {"LISTEN_PID": "7"}):
        assert inherited(reactor, environ, 7) == []
    assert inherited(reactor, {"LISTEN_PID": "7", "LISTEN_FDS": "two"}, 7) == []


@pytest.mark.parametrize("names", ["", None])
def test_doorThatNobodyAttendsTo(service: Callable[..., Service], names: str | None) -> None:
    """An address that is handed over, with a name or without, and that no endpoint is at, stops the start: else who
    came there would wait."""
    where, other = door(), door()
    process = service(where, other, names=names).start("--listen", f"tcp:{where.getsockname()[1]}:interface=127.0.0.1")
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    expected = f"systemd hands over tcp 127.0.0.1:{other.getsockname()[1]}, and no endpoint of listen is there: add one"
    assert expected in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("host", "interface", "isIt"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "localhost", False),
        ("0.0.0.0", "", True),
        ("0.0.0.0", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", False),
        ("::", "", True),
        ("::", "::", True),
        ("::1", "::1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("::1", "", False),
    ],
)
def test_whichDoor(host: str, interface: str, isIt: bool) -> None:
    """A socket is taken where an endpoint means its address and port, and nowhere else."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with door(family, (host, 0)) as where:
        reactor = Adopting()
        over = HandedOver(reactor, [copy := os.dup(where.fileno())])
        number = where.getsockname()[1]
        over.listenTCP(number + 1 if number < 65535 else 1, Factory(), 50, interface)
        assert not reactor.adopted
        over.listenTCP(number, Factory(), 50, interface)
        assert reactor.adopted == ([family] if isIt else [])
        assert len(over.unclaimed()) == (not isIt)
        over.listenTCP(number, Factory(), 50, interface)
        assert len(reactor.adopted) == isIt
    if not isIt:
        os.close(copy)


def test_sslAndUnix(tmp_path: Path) -> None:
    """The same holds under TLS, and for a UNIX socket."""
    with door() as inet, door(socket.AF_UNIX, str(tmp_path / "door")) as unix:
        reactor = Adopting()
        over = HandedOver(reactor, [os.dup(inet.fileno()), os.dup(unix.fileno())])
        assert over.unclaimed() == [IPv4Address("TCP", *inet.getsockname()), UNIXAddress(str(tmp_path / "door"))]
        over.listenSSL(inet.getsockname()[1], Factory(), CertificateOptions(), interface="127.0.0.1")
        over.listenUNIX(str(tmp_path / "other"), Factory())
        over.listenUNIX(str(tmp_path / "door"), Factory())
        assert reactor.adopted == [socket.AF_INET, socket.AF_UNIX]
        assert not over.unclaimed()


def test_whatIsNoDoor(tmp_path: Path) -> None:
    """What takes no connections is no door, and is told by its number."""
    reader, writer = os.pipe()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as silent:
        numbers = [reader, datagrams.fileno(), silent.fileno()]
        over = HandedOver(Adopting(), numbers)
        assert [str(address) for address in over.unclaimed()] == [
            f"descriptor {number}, which takes no connections" for number in numbers
        ]
    os.close(reader)
    os.close(writer)


class Adopting(MemoryReactorClock):
    """Remembers the kinds of the sockets that it adopts."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted: list[int] = []

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Factory) -> object:
        self.adopted.append(addressFamily)
        return object()
