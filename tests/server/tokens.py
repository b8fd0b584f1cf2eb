"""Tokens, good and forged, and who believes them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from twisted.internet.task import Clock

from scalemgr.server.auth import Authenticator, Keys, Principal
from scalemgr.wire.errors import PermissionDenied

from ..helpers import SECRET

NOW = 1_763_836_800


def clockAtNow() -> Clock:
    clock = Clock()
    clock.rightNow = NOW
    return clock


def authenticator(
    algorithm: str = "HS256", *keys: bytes, audience: str = "", clock: Clock | None = None
) -> Authenticator:
    return Authenticator(clock or clockAtNow(), Keys(algorithm, keys or [SECRET], audience))


def believed(claims: dict[str, Any], auth: Authenticator | None = None) -> Principal:
    """Who a well-signed token with these claims speaks for."""
    return (auth or authenticator()).principal(jwt.encode(claims, SECRET, algorithm="HS256"))


def assertRefused(auth: Authenticator, text: str) -> None:
    """Refused with 401, whatever is wrong, and the token is not repeated."""
    with pytest.raises(PermissionDenied) as caught:
        auth.principal(text)
    data = caught.value.data()
    assert (caught.value.status, data["error"], data["reason"]) == (401, "PERMISSION_DENIED", "RET_UNAUTHORIZED")
    assert not text or text not in json.dumps(data)


def forged(header: dict[str, Any], secret: bytes | None = None, claims: object = None) -> str:
    """A token made by hand, as a library would refuse to."""
    claims = {"id": "crm", "role": 3} if claims is None else claims
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signed = b".".join(parts)
    signature = b"" if secret is None else hmac.new(secret, signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
