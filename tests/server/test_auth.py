"""Which tokens are believed, and for how long: signatures, algorithms, times."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from twisted.internet.task import Clock

from scalemgr.server import auth as authModule
from scalemgr.server.auth import Authenticator

from ..helpers import SECRET, token
from .tokens import NOW, assertRefused, authenticator, believed, clockAtNow, forged


class Pair(NamedTuple):
    private: bytes
    public: bytes


def _pem(key: Any) -> Pair:
    return Pair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


@pytest.fixture(scope="module")
def rsaPair() -> Pair:
    return _pem(rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def edPair() -> Pair:
    return _pem(ed25519.Ed25519PrivateKey.generate())


# -- signatures ---------------------------------------------------------------------------------------


def test_eachAlgorithm(rsaPair: Pair, edPair: Pair) -> None:
    """A token that is signed with the configured algorithm and key is believed, for each of the three."""
    claims = {"id": "crm", "role": "admin"}
    for algorithm, private, public in (
        ("HS256", SECRET, SECRET),
        ("RS256", *rsaPair),
        ("EdDSA", *edPair),
    ):
        principal = authenticator(algorithm, public).principal(jwt.encode(claims, private, algorithm=algorithm))
        assert (principal.id, principal.role) == ("crm", 3)


def test_algorithmFromConfigurationOnly(rsaPair: Pair, edPair: Pair) -> None:
    """A good signature by another algorithm than the configured one is refused, with any of the keys."""
    claims = {"id": "crm", "role": 3}
    tokens = {
        "HS256": jwt.encode(claims, SECRET, algorithm="HS256"),
        "RS256": jwt.encode(claims, rsaPair.private, algorithm="RS256"),
        "EdDSA": jwt.encode(claims, edPair.private, algorithm="EdDSA"),
    }
    keys = {"HS256": SECRET, "RS256": rsaPair.public, "EdDSA": edPair.public}
    for configured, key in keys.items():
        for used, text in tokens.items():
            if used != configured:
                assertRefused(authenticator(configured, key), text)
    assertRefused(authenticator(), jwt.encode(claims, SECRET * 2, algorithm="HS512"))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "", None])
def test_algNone(name: str | None, rsaPair: Pair) -> None:
    """A token without a signature is refused, however its header spells that, under every configuration."""
    for auth in (authenticator(), authenticator("RS256", rsaPair.public)):
        assertRefused(auth, forged({"typ": "JWT", "alg": name}))
        assertRefused(auth, forged({"typ": "JWT", "alg": name}, SECRET))


def test_publicKeyIsNoSecret(rsaPair: Pair) -> None:
    """A token signed by HS256 with the public key as its secret, which anybody can make, is refused."""
    for key in (rsaPair.public, rsaPair.public.strip()):
        assertRefused(authenticator("RS256", rsaPair.public), forged({"typ": "JWT", "alg": "HS256"}, key))
        assertRefused(authenticator("RS256", rsaPair.public), forged({"typ": "JWT", "alg": "RS256"}, key))
    assert authenticator().principal(forged({"typ": "JWT", "alg": "HS256"}, SECRET)).id == "crm"


def test_wrongKey(rsaPair: Pair) -> None:
    """A signature by another key of the same kind is refused."""
    claims = {"id": "crm", "role": 3}
    assertRefused(authenticator(), jwt.encode(claims, SECRET[::-1], algorithm="HS256"))
    other = _pem(rsa.generate_private_key(65537, 2048))
    assertRefused(authenticator("RS256", rsaPair.public), jwt.encode(claims, other.private, algorithm="RS256"))


def test_anyOfTheKeys() -> None:
    """With several keys, as during a change of keys, a token signed by any of them is believed."""
    keys = [bytes([65 + i]) * 32 for i in range(3)]
    auth = authenticator("HS256", *keys)
    for key in keys:
        assert auth.principal(jwt.encode({"id": "crm", "role": 1}, key, algorithm="HS256")).id == "crm"
    assertRefused(auth, token())


def test_changedToken() -> None:
    """No change of any part of a good token survives the check of its signature."""
    head, body, signature = token().split(".")
    auth = authenticator()
    auth.principal(token())
    better = forged({"typ": "JWT", "alg": "HS256"}, SECRET, {"id": "crm", "role": "admin"}).split(".")[1]
    for text in (
        f"{head}.{better}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-2]}",
        f"{head}.{body}",
    ):
        assertRefused(auth, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "..",
        "a.b.c",
        "é.ü.ß",
        "\x00",
        base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.AAAA",
        base64.urlsafe_b64encode(b'{"a":' * 1200).decode() + ".e30.AAAA",
        forged({"alg": ["HS256"]}, SECRET),
        forged({"alg": {}}, SECRET),
        forged({"alg": "HS256", "kid": 7}, SECRET),
        forged({"alg": "HS256", "crit": ["x"]}, SECRET),
        forged({"alg": "HS256", "b64": False}, SECRET),
        forged({"alg": "HS256"}, SECRET, [1]),
        forged({"alg": "HS256"}, SECRET, "crm"),
    ],
)
def test_garbage(text: str) -> None:
    """Whatever is sent in place of a token is refused as one, and fails nothing."""
    assertRefused(authenticator(), text)


def test_tooLong() -> None:
    """A token of more than 8192 characters is refused unread; one of that length is believed."""
    auth = authenticator()
    fits, tooLong = (token(pad="x" * pad) for pad in (6045, 6046))
    assert (len(fits), len(tooLong)) == (8192, 8193)
    assert auth.principal(fits).id == "crm"
    assertRefused(auth, tooLong)


def test_noKeys() -> None:
    """A server without keys believes no token at all."""
    assertRefused(Authenticator(Clock(), None), token())


# -- times --------------------------------------------------------------------------------------------


def test_exp() -> None:
    """A token is believed until the second of its C{exp} and from then on no more, though it was seen before."""
    clock = clockAtNow()
    auth = authenticator(clock=clock)
    text = token(exp=NOW + 60)
    clock.advance(59.999)
    assert auth.principal(text).id == "crm"
    clock.advance(0.001)
    assertRefused(auth, text)
    assertRefused(authenticator(), token(exp=NOW))
    assertRefused(authenticator(), token(exp=0))


def test_nbf() -> None:
    """A token is not believed before its C{nbf}, and to have been refused then does not stick."""
    clock = clockAtNow()
    auth = authenticator(clock=clock)
    text = token(nbf=NOW + 60)
    assertRefused(auth, text)
    clock.advance(59.999)
    assertRefused(auth, text)
    clock.advance(0.001)
    assert auth.principal(text).id == "crm"


@pytest.mark.parametrize("now", [10**9, 4 * 10**9])
def test_givenClock(now: int) -> None:
    """All times of a token are by the clock that was given, whatever the machine's says."""
    clock = Clock()
    clock.rightNow = now
    text = token(nbf=now, iat=now, exp=now + 1)
    assert authenticator(clock=clock).principal(text).id == "crm"
    clock.advance(1)
    assertRefused(authenticator(clock=clock), text)


@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize("value", [str(NOW + 60), True, [], {}])
def test_unusableTimes(name: str, value: object) -> None:
    """A time that is no number is refused: it is not taken for no limit."""
    assertRefused(authenticator(), forged({"alg": "HS256"}, SECRET, {"id": "crm", "role": 1, name: value}))


def test_fractionalTimes() -> None:
    """A time may have a fraction, as RFC 7519 allows."""
    assert believed({"id": "crm", "role": 1, "exp": NOW + 0.5, "nbf": NOW - 0.5, "iat": NOW + 99}).expires == NOW + 0.5


def test_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is verified once while it is remembered, and only so many are remembered: the oldest goes."""
    verified: list[str] = []
    decode = jwt.decode

    def counting(text: str, *args: Any, **more: Any) -> Any:
        verified.append(text)
        return decode(text, *args, **more)

    monkeypatch.setattr(jwt, "decode", counting)
    monkeypatch.setattr(authModule, "_CACHED_TOKENS_MAX", 2)
    auth = authenticator()
    a, b, c = (token(id) for id in "abc")
    for text in (a, a, b, a, b):
        auth.principal(text)
    assert verified == [a, b]
    for text in (c, b, c, a):
        auth.principal(text)
    assert verified == [a, b, c, a]
