"""Over TLS each client knows whom it speaks to, and can say who it is: not a byte goes to anybody else."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from twisted.logger import LogEvent

from scalemgr.client import Unreachable
from scalemgr.client.address import WrongServer, parseAddress

from ..e2e.daemons import daemon
from .certificates import Authority
from .drivers import PATIENCE_S, Driver
from .peers import plainly

Make = Callable[..., Driver]

# What Twisted itself does with a client's certificate.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A private one."""
    return Authority(tmp_path)


@contextmanager
def served(folder: Path, files: tuple[Path, Path]) -> Iterator[int]:
    """A demo daemon behind TLS."""
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={files[1]}:certKey={files[0]}"
    with daemon(folder, "--demo", "--listen", endpoint) as (_, port):
        yield port


class Peer:
    """
    A TLS server of the standard library's that answers every line with 200.

    @ivar heard: what it was told, and by whom.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.heard: list[bytes] = []
        self.certified: list[object] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._server.accept()
            except OSError:
                return
            with plain, suppress(OSError):
                plain.settimeout(10)
                with self._context.wrap_socket(plain, server_side=True) as peer:
                    self.certified.append(peer.getpeercert())
                    self._answer(peer)

    def _answer(self, peer: ssl.SSLSocket) -> None:
        import json

        rest = b""
        while data := peer.recv(65536):
            self.heard.append(data)
            *lines, rest = (rest + data).split(b"\r\n")
            for line in lines:
                extID = json.loads(line)["extID"]
                answer = {"extID": extID, "status": 200, "data": {"time": 1.0, "epoch": "e", "seq": 1}}
                peer.sendall(json.dumps(answer).encode() + b"\r\n")

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


@contextmanager
def peer(files: tuple[Path, Path], clients: Path | None = None, newest: ssl.TLSVersion | None = None) -> Iterator[Peer]:
    """
    A server.

    @param clients: whose clients it lets in; C{None}: any.
    @param newest: the newest TLS that it speaks.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, files))
    if clients is not None:
        context.load_verify_locations(str(clients))
        context.verify_mode = ssl.CERT_REQUIRED
    if newest is not None:
        context.maximum_version = newest
    running = Peer(context)
    try:
        yield running
    finally:
        running.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "ledger.example"])
def test_privateAuthority(make: Make, tmp_path: Path, authority: Authority, name: str) -> None:
    """With a private authority, a daemon that it certifies is believed, by IP address or by name."""
    with served(tmp_path, authority.certify("server", name)) as port:
        client = make(f"tls:127.0.0.1:{port}", ca=authority.file, hostname=name)
        assert client.command("BalanceInSync", login=1001, amount=1).profit == 1.0
        client.hangUp()


def test_wrongName(make: Make, authority: Authority) -> None:
    """A certificate for somebody else is not believed, and nothing is said."""
    with peer(authority.certify("server", "other.example")) as other:
        client = make(f"tls:127.0.0.1:{other.port}", ca=authority.file, deadline=2)
        with pytest.raises(Unreachable) as unreachable:
            client.command("Ping")
        client.hangUp()
    assert other.heard == []
    assert any(word in str(unreachable.value).lower() for word in ("not valid for", "mismatch", "not for"))


def test_commonNameIsNoName(make: Make, authority: Authority, failures: list[LogEvent]) -> None:
    """A certificate that names the host only as people used to is not believed."""
    with peer(authority.certify("127.0.0.1")) as other:
        client = make(f"tls:127.0.0.1:{other.port}", ca=authority.file, deadline=1)
        with pytest.raises(Unreachable):
            client.command("Ping")
        client.hangUp()
    assert other.heard == []
    # Twisted says that something is wrong with it, and takes it.
    assert all("subjectAltName" in str(event["log_failure"]) for event in failures)
    failures.clear()


def test_wrongAuthority(make: Make, tmp_path: Path, authority: Authority) -> None:
    """A certificate of an authority that is not trusted is not believed; nor is a private one by the system."""
    stranger = Authority(tmp_path, "stranger")
    with peer(stranger.certify("server", "127.0.0.1")) as other:
        for ca in (authority.file, None):
            client = make(f"tls:127.0.0.1:{other.port}", ca=ca, deadline=PATIENCE_S)
            with pytest.raises(Unreachable, match=r"(?i)certificate"):
                client.command("Ping")
            client.hangUp()
    assert other.heard == []


@pytest.mark.parametrize("isTogether", [False, True], ids=["two files", "one file"])
def test_clientCertificate(make: Make, tmp_path: Path, authority: Authority, isTogether: bool) -> None:
    """A server that asks for a certificate gets the client's; without one it does not let it in."""
    certificate, key = authority.certify("crm")
    if isTogether:
        certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    with peer(authority.certify("server", "127.0.0.1"), clients=authority.file) as server:
        address = f"tls:127.0.0.1:{server.port}"
        client = make(address, ca=authority.file, certificate=certificate, key=None if isTogether else key)
        assert client.command("Ping").epoch == "e"
        client.hangUp()
        heard = list(server.heard)
        nobody = make(address, ca=authority.file, deadline=20)
        with pytest.raises(Unreachable, match="certificate of its clients"):
            nobody.command("BalanceInSync", login=1001, amount=1)
        nobody.hangUp()
    assert "crm" in str(server.certified[0])
    assert server.heard == heard


def test_anotherDoor(make: Make, authority: Authority) -> None:
    """Plain TCP to where TLS is spoken, and TLS to where it is not, are certainly no deposits, and the text says so."""
    with peer(authority.certify("server", "127.0.0.1")) as secured:
        client = make(f"tcp:127.0.0.1:{secured.port}", deadline=2)
        with pytest.raises(Unreachable, match="say tls:"):
            client.command("BalanceInSync", login=1001, amount=1)
        client.hangUp()
    with plainly() as port:
        client = make(f"tls:127.0.0.1:{port}", ca=authority.file, deadline=2)
        with pytest.raises(Unreachable, match="say tcp:"):
            client.command("BalanceInSync", login=1001, amount=1)
        client.hangUp()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_oldTlsIsNotSpoken(make: Make, authority: Authority) -> None:
    """A server that speaks nothing newer than TLS 1.1 is not spoken to."""
    with peer(authority.certify("server", "127.0.0.1"), newest=ssl.TLSVersion.TLSv1_1) as old:
        client = make(f"tls:127.0.0.1:{old.port}", ca=authority.file, deadline=1)
        with pytest.raises(Unreachable):
            client.command("Ping")
        client.hangUp()
    assert old.heard == []


def test_missingFile(make: Make, tmp_path: Path) -> None:
    """A CA file that is not there is the reason that is told."""
    client = make("tls:127.0.0.1:1", ca=tmp_path / "nowhere.pem", deadline=0.5)
    with pytest.raises(Unreachable, match=r"(?i)no such file"):
        client.command("Ping")


def test_noCertificateInTheFile(make: Make, tmp_path: Path) -> None:
    """So is one in which there is none."""
    (tmp_path / "empty.pem").write_text("nothing")
    client = make("tls:127.0.0.1:1", ca=tmp_path / "empty.pem", deadline=0.5)
    with pytest.raises(Unreachable, match=r"(?i)certificate"):
        client.command("Ping")


@pytest.mark.parametrize(
    ("names", "hostname", "isRight"),
    [
        (("ledger.example",), "ledger.example", True),
        (("*.ledger.example",), "one.ledger.example", True),
        (("ledger.example",), "other.example", False),
        (("127.0.0.1",), "127.0.0.1", True),
        (("127.0.0.1",), "127.0.0.2", False),
        (("ledger.example",), "127.0.0.1", False),
        ((), "server", False),
    ],
)
def test_whoseCertificateItIs(authority: Authority, names: tuple[str, ...], hostname: str, isRight: bool) -> None:
    """It is service-identity that says whether a certificate names the host, and a common name is no name."""
    certificate, _ = authority.certify("server", *names)
    address = parseAddress("tls:192.0.2.1:1", hostname=hostname)
    shown = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    if isRight:
        address.check(shown)
    else:
        with pytest.raises(WrongServer, match="not for"):
            address.check(shown)
    with pytest.raises(WrongServer, match="no certificate"):
        address.check(None)
