"""Several real daemons at one port: who comes is somebody's, and one that is started again refuses nobody."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from .daemons import daemon
from .test_activation import Service

PATIENCE_S = 30
CONFIG = """
listen = ["tcp:{port}:interface=127.0.0.1"]
ledger = "memory:"
[auth]
key_files = ["secret.key"]
[access]
reuse_port = true
[log]
requests = "all"
"""
# So many sessions that they are not all one daemon's by chance.
MANY = 64


@contextmanager
def kept(port: int = 0) -> Iterator[socket.socket]:
    """A socket at a port that is shared. It does not listen yet, and only keeps the port."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(("127.0.0.1", port))
        yield made


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S)


def ask(peer: socket.socket) -> None:
    peer.sendall(b'{"command": "Ping", "extID": "p"}\r\n')


def heard(peer: socket.socket) -> int:
    """The status of what it is answered; 0: it is closed without that."""
    with peer.makefile("rb") as lines:
        line = lines.readline()
    return int(json.loads(line)["status"]) if line else 0


def sessions(port: int) -> set[int]:
    """Many at once; the statuses of what they are answered."""
    with ExitStack() as open:
        peers = [open.enter_context(connect(port)) for _ in range(MANY)]
        for peer in peers:
            ask(peer)
        return {heard(peer) for peer in peers}


class Coming:
    """
    Somebody who comes again and again.

    @ivar refused: how often nobody was there.
    @ivar served: how often he was answered.
    """

    def __init__(self, port: int) -> None:
        self.refused = self.served = 0
        self._port = port
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._come)

    def __enter__(self) -> Coming:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._enough.set()
        self._thread.join()

    def _come(self) -> None:
        while not self._enough.is_set():
            try:
                with connect(self._port) as peer:
                    ask(peer)
                    self.served += heard(peer) == 401
            except ConnectionRefusedError:
                self.refused += 1
            except OSError:
                # One that ends may hang up on him; he finds another at once.
                pass


def test_oneAfterTheOtherIsStartedAgain(tmp_path: Path) -> None:
    """Daemons that share a port each have their part of the sessions; while one of them serves nobody is refused."""
    with kept() as door:
        port = door.getsockname()[1]
        (tmp_path / "secret.key").write_text("s" * 40)
        (tmp_path / "secret.key").chmod(0o600)
        (tmp_path / "scalemgr.toml").write_text(CONFIG.format(port=port))
        run = ("--config", "scalemgr.toml")
        with daemon(tmp_path, *run) as (first, _), daemon(tmp_path, *run) as (second, _), Coming(port) as coming:
            assert sessions(port) == {401}
            first.end()
            assert sessions(port) == {401}
            with daemon(tmp_path, *run) as (again, _):
                assert sessions(port) == {401}
                second.end()
                assert sessions(port) == {401}
                coming.stop()
    assert (coming.refused, coming.served > 0) == (0, True)
    for each in (first, second, again):
        assert "Ping" in each.said


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Callable[[socket.socket, str], Service]]:
    """Makes them, and sees that all is closed."""
    made: list[Service] = []

    def make(door: socket.socket, name: str) -> Service:
        (tmp_path / name).mkdir()
        made.append(Service(tmp_path / name, door))
        return made[-1]

    yield make
    for each in made:
        each.notify.close()


def test_oneOfSystemdsIsStartedAgain(services: Callable[[socket.socket, str], Service]) -> None:
    """With sockets that systemd holds (ReusePort), who comes to one that is being started again is answered by it."""
    with kept() as one, kept(one.getsockname()[1]) as other:
        port = one.getsockname()[1]
        listen = f"--listen=tcp:{port}:interface=127.0.0.1"
        one.listen(MANY)
        other.listen(MANY)
        first, second = services(one, "first"), services(other, "second")
        with second.running(listen), ExitStack() as open:
            with first.running(listen) as process:
                assert sessions(port) == {200}
                process.send_signal(signal.SIGTERM)
                first.hear("STOPPING=1")
                peers = [open.enter_context(connect(port)) for _ in range(MANY)]
                for peer in peers:
                    ask(peer)
            with first.running(listen):
                assert {heard(peer) for peer in peers} == {200}
                # A daemon waits for its peers to leave, and this test need not.
                open.close()
