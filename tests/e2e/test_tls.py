"""Real daemons behind TLS: an endpoint string is all that it takes; and client certificates in place of tokens."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scalemgr.demo import EXAMPLE

from ..certificates import Authority, clientContext
from .daemons import DaemonProcess, daemon, hangUp

PATIENCE_S = 20
AUTHORITY, OTHER = Authority(), Authority("CN=Other CA")

CONFIG = """
listen = ["tls:unix:door", "tls:0:interface=127.0.0.1"]
ledger = "sqlite:ledger"
[auth]
key_files = ["secret.key"]
[limits]
auth_seconds = {seconds}
[tls]
certificate = "server.pem"
client_ca = "ca.pem"
{more}
"""
CLIENTS = """
[[tls.clients]]
subject = "CN=crm,O=Example"
id = "crm"
role = "manager"
"""


class Peer:
    """A client that shows what it is told to."""

    def __init__(self, at: int | str, context: ssl.SSLContext) -> None:
        self._plain = socket.socket(socket.AF_INET if isinstance(at, int) else socket.AF_UNIX)
        self._plain.settimeout(PATIENCE_S)
        self._plain.connect(("127.0.0.1", at) if isinstance(at, int) else at)
        self._tls = context.wrap_socket(self._plain, server_hostname="127.0.0.1")
        self._text = b""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._tls.close()

    def line(self) -> dict[str, Any]:
        """The next one; nothing if there are no more."""
        while b"\r\n" not in self._text:
            piece = self._tls.recv(65536)
            if not piece:
                return {}
            self._text += piece
        text, _, self._text = self._text.partition(b"\r\n")
        line: dict[str, Any] = json.loads(text)
        return line

    def ask(self, command: str, extID: str, **data: Any) -> dict[str, Any]:
        """The answer to a request."""
        self.sendRaw(json.dumps({"command": command, "extID": extID, "data": data}).encode() + b"\r\n")
        while (line := self.line()).get("extID") != extID:
            assert line, "it is closed"
        return line

    def sendRaw(self, data: bytes) -> None:
        """Bytes, as they are."""
        self._tls.sendall(data)

    @property
    def certificate(self) -> bytes | None:
        """The daemon's."""
        return self._tls.getpeercert(binary_form=True)


class Site:
    """A folder with a configuration, certificates and a daemon that runs by it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "secret.key").write_text("s" * 40)
        (folder / "secret.key").chmod(0o600)
        self.authority = AUTHORITY.write(folder / "ca.pem")
        self.configure(CLIENTS)
        self.renew()

    def configure(self, more: str, seconds: float = 30) -> None:
        (self.folder / "scalemgr.toml").write_text(CONFIG.format(more=more, seconds=seconds))

    def renew(self) -> None:
        """A fresh certificate for the daemon."""
        AUTHORITY.server().write(self.folder / "server.pem")

    def context(self, subject: str = "CN=crm,O=Example", days: tuple[float, float] = (-1, 30)) -> ssl.SSLContext:
        """A client's, with a certificate."""
        return clientContext(self.authority, AUTHORITY.client(subject, days=days).write(self.folder / "client.pem"))

    @contextmanager
    def running(self) -> Iterator[tuple[DaemonProcess, int]]:
        with daemon(self.folder, "--config", "scalemgr.toml") as (process, port):
            yield process, port


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_sslEndpointServes(tmp_path: Path) -> None:
    """Over TLS a deposit is answered, and an over-long line is answered before the connection is closed."""
    file = AUTHORITY.server().write(tmp_path / "server.pem")
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={file}:certKey={file}"
    context = clientContext(AUTHORITY.write(tmp_path / "ca.pem"))
    with daemon(tmp_path, "--demo", "--listen", endpoint) as (running, port), Peer(port, context) as peer:
        peer.sendRaw(EXAMPLE.encode() + b"\r\n")
        assert peer.line()["status"] == 200
        peer.sendRaw(b"x" * 1_100_000)
        while "event" in (line := peer.line()):
            pass
        assert (line["status"], peer.line()) == (400, {})
        assert line["data"]["message"] == "a line may have at most 1048576 bytes"
    assert f"listening on tcp 127.0.0.1:{port} with TLS" in running.said
    assert "try it" not in running.said


def test_certificateInsteadOfToken(site: Site) -> None:
    """From a fresh ledger to a deposit without a token, by a certificate alone, over TCP and over a UNIX
    socket."""
    with site.running() as (running, port):
        with Peer(port, site.context()) as crm, Peer(str(site.folder / "door"), site.context()) as other:
            assert crm.ask("AddGroup", "g", group="real-usd", currency="USD")["status"] == 200
            opened = crm.ask(
                "AddUser",
                "a",
                group="real-usd",
                name="A",
                password="correct horse",
                leverage=100,
                enable=1,
                email="a@b",
            )
            booked = other.ask("BalanceInSync", "d", login=opened["data"]["login"], amount=250.5)
            assert (booked["status"], booked["data"]["profit"]) == (200, 250.5)
            # The same caller, and so the same request.
            assert crm.ask("BalanceInSync", "d", login=opened["data"]["login"], amount=250.5)["replayed"] is True
        said = running.end()
    assert "stopped at entry" in said
    assert "failed" not in said


def test_badCertificatesAtARealDoor(site: Site) -> None:
    """An expired certificate, none, and one of another authority do not get in, each with its reason in the log; one
    with another name gets in and is nobody."""
    none = clientContext(site.authority)
    stranger = clientContext(site.authority, OTHER.client().write(site.folder / "stranger.pem"))
    with site.running() as (running, port):
        for context in (site.context(days=(-3, -1)), none, stranger):
            with pytest.raises(OSError), Peer(port, context) as peer:
                # Of TLS 1.3 the client's part is over before it is refused.
                assert peer.line() == {}
                raise ConnectionError
        with Peer(port, site.context("CN=other,O=Example")) as peer:
            assert peer.ask("Ping", "x")["status"] == 401
        with Peer(port, site.context()) as peer:
            assert peer.ask("Ping", "x")["status"] == 200
        said = running.end()
    for why in (
        "the client's certificate has expired: CN=crm,O=Example, issued by CN=Test CA",
        "the client has shown no certificate, and one is required",
        "the client's certificate is of an authority that is not in client_ca: CN=crm,O=Example, issued by CN=Other CA",
        "its certificate, CN=other,O=Example, issued by CN=Test CA, is of none of [[tls.clients]]",
    ):
        assert said.count(why) == 1, why
    assert "Traceback" not in said


def test_certificatesAreReadAgain(site: Site) -> None:
    """After SIGHUP new connections get the new certificate, while an open session goes on; a bad one is refused, and
    the one before stays; and who is taken out of the configuration is nobody from then on."""
    with site.running() as (running, port), Peer(port, site.context()) as first:
        assert first.ask("Ping", "1")["status"] == 200
        site.renew()
        assert "the certificate is CN=127.0.0.1, issued by CN=Test CA, until" in hangUp(running, "was read again")
        assert first.ask("Ping", "2")["status"] == 200
        with Peer(port, site.context()) as second:
            renewed = second.certificate
            assert renewed != first.certificate
        file = site.folder / "server.pem"
        good = file.read_bytes()
        for bad, why in (
            (AUTHORITY.server().pem() + AUTHORITY.server().keyPem(), "is not that of the certificate"),
            (b"nonsense", "has no certificate in PEM"),
            (good.partition(b"-----BEGIN PRIVATE")[0], "has no private key in PEM"),
        ):
            file.write_bytes(bad)
            assert why in hangUp(running, "the configuration stays as it was")
        AUTHORITY.server(days=(-2, -1)).write(file)
        assert "The one that was read before is still valid" in hangUp(running, "the configuration stays as it was")
        with Peer(port, site.context()) as third:
            assert third.certificate == renewed
        file.write_bytes(good)
        site.configure(CLIENTS.replace("CN=crm,", "CN=another,"))
        assert "sessions whose certificates are nobody's now: 1" in hangUp(running, "was read again")
        assert first.ask("Ping", "3")["status"] == 401
        with Peer(port, site.context("CN=another,O=Example")) as fourth:
            assert fourth.ask("Ping", "1")["status"] == 200


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a beginning"])
def test_silentPeers(site: Site, first: bytes) -> None:
    """A peer that connects and says nothing, or does not go on with its handshake, is closed, and told nothing."""
    site.configure(CLIENTS, seconds=0.5)
    with site.running() as (running, port), socket.create_connection(("127.0.0.1", port), PATIENCE_S) as peer:
        peer.sendall(first)
        try:
            assert peer.recv(100) == b""
        except ConnectionResetError:
            pass
        said = running.end()
    assert "its TLS handshake is not over after 0.5 seconds" in said


def test_handshakesUnderLoad(tmp_path: Path) -> None:
    """While events are told without a pause, handshakes of sessions that are to hear them come to their ends."""
    file = AUTHORITY.server().write(tmp_path / "server.pem")
    context = clientContext(AUTHORITY.write(tmp_path / "ca.pem"))
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={file}"
    over = threading.Event()
    deposit = b'{"command":"BalanceIn","extID":"load-%d","data":{"login":1001,"amount":1}}\r\n'
    with daemon(tmp_path, "--demo", "--listen", endpoint) as (_, port), Peer(port, context) as loading:

        def load() -> None:
            for n in range(100_000):
                if over.is_set():
                    break
                loading.sendRaw(deposit % n)
                while "event" in loading.line():
                    pass

        thread = threading.Thread(target=load)
        thread.start()
        try:
            peers = []
            for n in range(40):
                peer = Peer(port, context)
                peers.append(peer)
                assert peer.ask("Ping", f"p{n}")["status"] == 200
                if len(peers) > 10:
                    with peers.pop(0):
                        pass
        finally:
            over.set()
            thread.join()
            for peer in peers:
                with peer:
                    pass


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("tls:0", "it needs certificate and key in [tls] of the configuration"),
        ("ssl:0:privateKey=nowhere.pem", "the certificate nowhere.pem cannot be read: No such file or directory"),
        ("tls:nonsense:1", "it needs certificate and key"),
    ],
)
def test_doorThatCannotBeOpened(tmp_path: Path, endpoint: str, why: str) -> None:
    """A door that lacks what it needs stops the start, with the endpoint and the reason."""
    with pytest.raises(AssertionError) as error, daemon(tmp_path, "--demo", "--listen", endpoint):
        pass
    assert f"cannot listen on {endpoint!r}: {why}" in str(error.value)
