"""The keys that tokens are checked with, and the list of those that are revoked: reading, making, and signing."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from msgspec import Struct

from .files import readFile
from .tokens import Keys, isTokenId

__all__ = ["SECRET_BYTES_MIN", "KeyFile", "KeyRefused", "loadKeys", "makeSecret", "sign"]

#: HS256 needs a secret as long as its hash (RFC 7518, 3.2).
SECRET_BYTES_MIN = 32

# A name that needs no quoting, wherever it is written.
_KID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_PUBLIC = {"RS256": RSAPublicKey, "EdDSA": Ed25519PublicKey}


class KeyRefused(Exception):
    """A key cannot be used; the message says why and what to do, for the operator."""


class KeyFile(Struct, frozen=True):
    """
    Where a key is.

    @ivar kid: the name that tokens have for it; empty: none.
    """

    path: Path
    kid: str = ""

    @classmethod
    def read(cls, entry: str, base: Path) -> KeyFile:
        """
        An entry of C{key_files}: C{FILE} or C{KID=FILE}. What has a slash before its C{=} is a file.

        @param base: the folder that a relative path starts from.
        """
        kid, named, path = entry.partition("=")
        if named and _KID.fullmatch(kid):
            return cls(base / path, kid)
        return cls(base / entry)


def loadKeys(algorithm: str, files: Iterable[KeyFile], audience: str = "", revoked: Path | None = None) -> Keys:
    """
    What tokens are checked with.

    @param files: for HS256 files with a secret, else with a public key in PEM.
    @param revoked: a file with the ids of tokens that are not believed any more.
    @raise KeyRefused: naming the file.
    """
    unnamed: list[bytes] = []
    named: dict[str, bytes] = {}
    for file in files:
        key = _load(algorithm, file.path)
        if not file.kid:
            unnamed.append(key)
        elif file.kid in named:
            raise KeyRefused(f"two key files are named {file.kid}")
        else:
            named[file.kid] = key
    return Keys(algorithm, unnamed, audience, named, frozenset() if revoked is None else _revoked(revoked))


def _revoked(path: Path) -> frozenset[str]:
    """The ids in a file, one a line; empty lines and those that begin with # do not count."""
    try:
        text = StringIO(readFile(path).decode("utf-8-sig"), newline=None).read()
    except OSError as e:
        raise KeyRefused(f"the list of revoked tokens {path} cannot be read: {e.strerror}") from e
    except UnicodeDecodeError:
        raise KeyRefused(f"the list of revoked tokens {path} is not UTF-8") from None
    ids = set()
    # Not splitlines(), for which a line ends at more than an editor's line end.
    for number, line in enumerate(text.split("\n"), 1):
        id = line.strip()
        if not id or id.startswith("#"):
            continue
        if not isTokenId(id):
            # Perhaps it is a whole token, so it is not repeated.
            raise KeyRefused(f"line {number} of the list of revoked tokens {path} is no token's id (its jti)")
        ids.add(id)
    return frozenset(ids)


def _load(algorithm: str, path: Path) -> bytes:
    try:
        content = readFile(path).strip()
    except FileNotFoundError:
        hint = "; `scalemgr token --config FILE --new-key` makes one" if algorithm == "HS256" else ""
        raise KeyRefused(f"the key file {path} does not exist{hint}") from None
    except OSError as e:
        raise KeyRefused(f"the key file {path} cannot be read: {e.strerror}") from e
    if algorithm == "HS256":
        if content.startswith(b"-----BEGIN"):
            raise KeyRefused(f"the key file {path} has a PEM key; HS256 needs a secret")
        if len(content) < SECRET_BYTES_MIN:
            raise KeyRefused(f"the secret in {path} is shorter than {SECRET_BYTES_MIN} bytes")
        return content
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, _PUBLIC[algorithm]):
        raise KeyRefused(f"the key file {path} has no public key for {algorithm} in PEM")
    return content


def makeSecret(path: Path) -> None:
    """
    Write a new secret, for its owner only.

    @raise KeyRefused: if the file exists, or cannot be made.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyRefused(f"the key file {path} exists already; leave out --new-key to use it") from None
    except OSError as e:
        raise KeyRefused(f"the key file {path} cannot be made: {e.strerror}") from e
    with os.fdopen(file, "w") as stream:
        stream.write(secrets.token_urlsafe(48) + "\n")


def sign(algorithm: str, path: Path, claims: Mapping[str, Any], kid: str = "") -> str:
    """
    A token.

    @param path: the secret (HS256), or a private key in PEM.
    @param kid: the name of the key; empty: it has none.
    @raise KeyRefused: if the key is none for this algorithm.
    """
    try:
        key: Any = _load(algorithm, path) if algorithm == "HS256" else load_pem_private_key(path.read_bytes(), None)
        return jwt.encode(dict(claims), key, algorithm=algorithm, headers={"kid": kid} if kid else None)
    except (OSError, ValueError, TypeError, jwt.PyJWTError) as e:
        raise KeyRefused(f"{path} cannot sign for {algorithm}: {e}") from e
