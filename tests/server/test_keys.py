"""The keys that tokens are checked with: what may be one, making one, and signing with it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from twisted.internet.task import Clock

from scalemgr.server.auth import Authenticator
from scalemgr.server.keys import SECRET_BYTES_MIN, KeyFile, KeyRefused, loadKeys, makeSecret, sign

from ..helpers import SECRET

CLAIMS = {"id": "crm", "role": "manager"}


class Pair(NamedTuple):
    private: Path
    public: Path


def written(folder: Path, name: str, key: Any) -> Pair:
    """A key pair in two files."""
    pair = Pair(folder / f"{name}.private", folder / f"{name}.public")
    pair.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pair.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return pair


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("keys")
    return {
        "RS256": written(folder, "rsa", rsa.generate_private_key(65537, 2048)),
        "EdDSA": written(folder, "ed", ed25519.Ed25519PrivateKey.generate()),
        "other": written(folder, "ec", ec.generate_private_key(ec.SECP256R1())),
    }


def secretFile(folder: Path, content: bytes) -> Path:
    path = folder / "secret.key"
    path.write_bytes(content)
    return path


def refusal(algorithm: str, path: Path) -> str:
    """The sentence with which a key file is refused; it names the file."""
    with pytest.raises(KeyRefused) as caught:
        loadKeys(algorithm, [KeyFile(path)])
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_secret(tmp_path: Path) -> None:
    """A secret is what is in its file, without the line end that an editor leaves."""
    keys = loadKeys("HS256", [KeyFile(secretFile(tmp_path, b" " + SECRET + b"\r\n"))], "scalemgr")
    assert (keys.algorithm, list(keys.keys), keys.audience) == ("HS256", [SECRET], "scalemgr")


@pytest.mark.parametrize(("length", "good"), [(0, False), (31, False), (32, True), (33, True)])
def test_secretLength(length: int, good: bool, tmp_path: Path) -> None:
    """A secret is at least as long as the hash that it is for; line ends do not count."""
    assert SECRET_BYTES_MIN == 32
    path = secretFile(tmp_path, b"s" * length + b"\n\n\n")
    if good:
        assert loadKeys("HS256", [KeyFile(path)]).keys == [b"s" * length]
    else:
        assert "sss" not in refusal("HS256", path)


def test_missingFile(tmp_path: Path) -> None:
    """A key file that does not exist is refused by name; for a secret the way to make one is told."""
    assert "--new-key" in refusal("HS256", tmp_path / "none")
    assert "--new-key" not in refusal("RS256", tmp_path / "none")


def test_unreadableFile(tmp_path: Path) -> None:
    """What cannot be read is refused by name."""
    assert "cannot be read" in refusal("HS256", tmp_path)


def test_pemIsNoSecret(pairs: dict[str, Pair]) -> None:
    """A public key, which is no secret, is not taken for one; nor is a private key."""
    for pair in pairs.values():
        for path in pair:
            assert "PEM" in refusal("HS256", path)


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_publicKeyOfItsKind(algorithm: str, pairs: dict[str, Pair], tmp_path: Path) -> None:
    """Only a public key of the kind that the algorithm needs is taken."""
    assert loadKeys(algorithm, [KeyFile(pairs[algorithm].public)]).keys == [
        pairs[algorithm].public.read_bytes().strip()
    ]
    wrong = [path for pair in pairs.values() for path in pair if path != pairs[algorithm].public]
    for path in (*wrong, secretFile(tmp_path, SECRET)):
        assert "no public key" in refusal(algorithm, path)


def test_eachFileCounts(pairs: dict[str, Pair]) -> None:
    """One bad file among several is refused: a key that was meant to be there is not left out silently."""
    with pytest.raises(KeyRefused):
        loadKeys("RS256", [KeyFile(pairs["RS256"].public), KeyFile(pairs["EdDSA"].public)])


@pytest.mark.parametrize(
    ("entry", "file", "kid"),
    [
        ("scalemgr.key", "scalemgr.key", ""),
        ("2027=keys/new.pem", "keys/new.pem", "2027"),
        ("a.b_c-D=x=y", "x=y", "a.b_c-D"),
        ("./a=b", "a=b", ""),
        ("keys/a=b", "keys/a=b", ""),
        ("=b", "=b", ""),
        ("a b=c", "a b=c", ""),
    ],
)
def test_keyFile(entry: str, file: str, kid: str, tmp_path: Path) -> None:
    """A key file may have a name before a =; what is no name, such as a path, belongs to the file."""
    assert KeyFile.read(entry, tmp_path) == KeyFile(tmp_path / file, kid)
    assert KeyFile.read("k=/etc/x", tmp_path).path == Path("/etc/x")


def test_keysWithNames(tmp_path: Path) -> None:
    """Keys with a name and without are kept apart, and two cannot have the same name."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1" * 32)
    two.write_bytes(b"2" * 32)
    keys = loadKeys("HS256", [KeyFile(one), KeyFile(two, "b")])
    assert (list(keys.keys), keys.named) == ([b"1" * 32], {"b": b"2" * 32})
    with pytest.raises(KeyRefused, match="two key files are named b"):
        loadKeys("HS256", [KeyFile(one, "b"), KeyFile(two, "b")])


def test_revoked(tmp_path: Path) -> None:
    """The list has an id a line; spaces around it, empty lines, comments and an editor's marks do not count."""
    list = tmp_path / "revoked"
    list.write_bytes(b"\xef\xbb\xbfone\r\n\r\n  two  \n# three\nf our\n\xc3\xa9\n" + b"x" * 200)
    secret = secretFile(tmp_path, SECRET)
    assert loadKeys("HS256", [KeyFile(secret)], "", list).revoked == {"one", "two", "f our", "é", "x" * 200}
    assert loadKeys("HS256", [KeyFile(secret)]).revoked == frozenset()


@pytest.mark.parametrize("content", [b"ok\n" + b"x" * 201, b"ok\nb\x00d", b"ok\nd\xe2\x80\xa8d", b"\xff"])
def test_revokedThatMeansNothing(content: bytes, tmp_path: Path) -> None:
    """A line that is no id, such as a whole token, is refused with its number, and not repeated; nor is it left out."""
    list = tmp_path / "revoked"
    list.write_bytes(content)
    with pytest.raises(KeyRefused) as caught:
        loadKeys("HS256", [KeyFile(secretFile(tmp_path, SECRET))], "", list)
    assert str(list) in str(caught.value)
    assert "xxx" not in str(caught.value)
    assert ("line 2 of" in str(caught.value)) is (content != b"\xff")


def test_revokedMustBeThere(tmp_path: Path) -> None:
    """A list that is configured and cannot be read is refused: what it revokes must not be believed again."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(KeyRefused, match=r"the list of revoked tokens .* cannot be read"):
            loadKeys("HS256", [KeyFile(secretFile(tmp_path, SECRET))], "", path)


def test_makeSecret(tmp_path: Path) -> None:
    """A new secret is for its owner only, good for HS256, and another one each time."""
    paths = [tmp_path / "one.key", tmp_path / "two.key"]
    for path in paths:
        makeSecret(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    one, two = loadKeys("HS256", map(KeyFile, paths)).keys
    assert one != two
    assert len(one) >= 48


def test_makeSecretKeepsWhatIsThere(tmp_path: Path) -> None:
    """A file that exists is never overwritten, and a folder that does not is an error that names the file."""
    path = secretFile(tmp_path, SECRET)
    with pytest.raises(KeyRefused, match=r"secret\.key exists already; leave out --new-key"):
        makeSecret(path)
    assert path.read_bytes() == SECRET
    with pytest.raises(KeyRefused, match=r"new\.key cannot be made"):
        makeSecret(tmp_path / "none" / "new.key")


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "EdDSA"])
def test_sign(algorithm: str, pairs: dict[str, Pair], tmp_path: Path) -> None:
    """What is signed here is believed here."""
    secret = secretFile(tmp_path, SECRET + b"\n")
    private, public = (secret, secret) if algorithm == "HS256" else pairs[algorithm]
    auth = Authenticator(Clock(), loadKeys(algorithm, [KeyFile(public)]))
    assert auth.principal(sign(algorithm, private, CLAIMS)).id == "crm"


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "EdDSA"])
def test_signWithTheWrongKey(algorithm: str, pairs: dict[str, Pair], tmp_path: Path) -> None:
    """A key that cannot sign is refused with a sentence that names the file and not what is in it."""
    short = secretFile(tmp_path, b"short secret")
    wrong = {
        "HS256": (short, pairs["RS256"].private, tmp_path / "none"),
        "RS256": (short, pairs["EdDSA"].private, tmp_path / "none", tmp_path),
        "EdDSA": (short, pairs["RS256"].private, tmp_path / "none", tmp_path),
    }
    for path in wrong[algorithm]:
        with pytest.raises(KeyRefused) as caught:
            sign(algorithm, path, CLAIMS)
        assert str(path) in str(caught.value)
        assert "short secret" not in str(caught.value)
