"""Whose a request is: its key belongs to the caller, so nobody may go on with what another has begun."""

from __future__ import annotations

import base64
import binascii
import json
from hashlib import sha256

from .address import Address

__all__ = ["callerOf", "named"]


def callerOf(token: str | None, address: Address) -> str:
    """
    Who a server takes a client for, as far as the client can know: what stays the same when a token, or a certificate,
    is replaced by a newer one of the same caller.

    @return: the C{id} (or C{sub}) of the token, which is read without being verified; of a token that cannot be read
        its fingerprint, so that another such token is another caller; without a token the subject of the client's
        certificate; without either nothing.
    @raise OSError: if the certificate cannot be read.
    """
    if token is not None:
        return _idOf(token) or f"token {sha256(token.encode()).hexdigest()[:16]}"
    if address.certificate is None:
        return ""
    # Slow to import.
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return f"certificate {load_pem_x509_certificate(address.certificate.read_bytes()).subject.rfc4514_string()}"
    except ValueError as e:
        raise OSError(f"{address.certificate}: there is no certificate in it ({e})") from None


def named(caller: str | None) -> str:
    """Who that is, for people."""
    return caller or "nobody (without a token)"


def _idOf(token: str) -> str:
    parts = token.split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = json.loads(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return ""
    found = claims.get("id", claims.get("sub")) if isinstance(claims, dict) else None
    return str(found) if type(found) in (str, int) else ""
