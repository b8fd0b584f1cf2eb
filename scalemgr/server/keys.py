"""The keys that tokens are checked with: reading them, making one, and signing with it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from .auth import Keys

__all__ = ["SECRET_BYTES_MIN", "KeyRefused", "loadKeys", "makeSecret", "sign"]

#: HS256 needs a secret as long as its hash (RFC 7518, 3.2).
SECRET_BYTES_MIN = 32

_PUBLIC = {"RS256": RSAPublicKey, "EdDSA": Ed25519PublicKey}


class KeyRefused(Exception):
    """A key cannot be used; the message says why and what to do, for the operator."""


def loadKeys(algorithm: str, paths: list[Path], audience: str) -> Keys:
    """
    What tokens are checked with.

    @param paths: for HS256 files with a secret, else with a public key in PEM.
    @raise KeyRefused: naming the file.
    """
    return Keys(algorithm, [_load(algorithm, path) for path in paths], audience)


def _load(algorithm: str, path: Path) -> bytes:
    try:
        content = path.read_bytes().strip()
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


def sign(algorithm: str, path: Path, claims: Mapping[str, Any]) -> str:
    """
    A token.

    @param path: the secret (HS256), or a private key in PEM.
    @raise KeyRefused: if the key is none for this algorithm.
    """
    try:
        key: Any = _load(algorithm, path) if algorithm == "HS256" else load_pem_private_key(path.read_bytes(), None)
        return jwt.encode(dict(claims), key, algorithm=algorithm)
    except (OSError, ValueError, TypeError, jwt.PyJWTError) as e:
        raise KeyRefused(f"{path} cannot sign for {algorithm}: {e}") from e
