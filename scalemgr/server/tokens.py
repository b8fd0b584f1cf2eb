"""What a token is: which one is believed, and what is kept of it.

A token is a JWT. Which algorithm and which keys are believed comes from the configuration, never from the token. One
that names its key (C{kid} in its header) is checked with that key only, and refused if there is none of that name; one
that names none is checked with each.

No token ever reaches a log, nor what one says before its signature is known to be good, but for a few escaped
characters of its header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from msgspec import Struct

from ..wire.errors import PermissionDenied, TokenRefused

__all__ = ["ALGORITHMS", "Keys", "Voucher", "checkAudience", "isTokenId", "opened", "tokenIdOf", "told"]

#: What may be configured.
ALGORITHMS = ("HS256", "RS256", "EdDSA")

_TOKEN_ID_CHARACTERS_MAX = 200
_TOKEN_BYTES_MAX = 8192

# The times are to be checked by our clock; an id may be a number; and what is wrong with the rest is to be told apart.
_OURS_TO_CHECK: Any = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "sub", "jti", "aud", "iss")}


class Voucher(Struct, frozen=True):
    """
    The token that a principal is believed for: as much of it as decides whether it still is when what is believed has
    changed.

    @ivar key: what its signature was checked with.
    @ivar kid: the name of the key, if the token names it.
    @ivar tokenId: its C{jti}, or empty.
    @ivar audience: whom it was for.
    """

    key: bytes
    kid: str
    tokenId: str
    audience: str

    def __repr__(self) -> str:
        # The key may be a secret.
        return f"Voucher(kid={self.kid!r}, tokenId={self.tokenId!r})"


class Keys(Struct, frozen=True):
    """
    What is believed.

    @ivar algorithm: one of L{ALGORITHMS}.
    @ivar keys: those without a name: secrets (HS256), or public keys in PEM.
    @ivar audience: the C{aud} that a token must have; empty: it must have none.
    @ivar named: those with one, by the C{kid} of their tokens.
    @ivar revoked: the C{jti} of tokens that are not believed any more.
    """

    algorithm: str
    keys: Sequence[bytes]
    audience: str = ""
    named: Mapping[str, bytes] = {}
    revoked: frozenset[str] = frozenset()

    def candidates(self, kid: str) -> Sequence[bytes]:
        """
        What a token may be signed with.

        @param kid: the key that it names; empty: it names none.
        """
        if not kid:
            return [*self.keys, *self.named.values()]
        return [self.named[kid]] if kid in self.named else []

    def nameOf(self, voucher: Voucher) -> str:
        """The name of the key that a token was checked with, named by the token or not; empty: it has none."""
        return voucher.kid or next((kid for kid, key in self.named.items() if key == voucher.key), "")

    def cover(self, voucher: Voucher) -> bool:
        """Is this token still believed, but for its times?"""
        return (
            voucher.tokenId not in self.revoked
            and voucher.audience == self.audience
            and voucher.key in self.candidates(voucher.kid)
        )

    def __repr__(self) -> str:
        # Nobody needs to see a secret.
        return f"Keys({self.algorithm!r}, {len(self.candidates(''))} keys, {len(self.revoked)} revoked)"


def opened(token: str, keys: Keys) -> tuple[Mapping[str, Any], bytes, str]:
    """
    What a token says, if it was signed with one of these keys; which one, and the name that the token has for it.

    @raise TokenRefused: if it was not.
    """
    if len(token) > _TOKEN_BYTES_MAX:
        raise TokenRefused(f"it is longer than {_TOKEN_BYTES_MAX} characters")
    try:
        header = jwt.get_unverified_header(token)
        algorithm, kid = header.get("alg"), header.get("kid", "")
    except Exception:
        # Whatever a stranger's text makes the library raise, it is no valid token.
        raise TokenRefused("it is no JWT") from None
    if algorithm != keys.algorithm:
        raise TokenRefused(f"it is signed with {told(algorithm)}, and expected is {keys.algorithm}")
    candidates = keys.candidates(kid)
    if not candidates:
        raise TokenRefused(f"no key is named {told(kid)} (its kid)")
    for key in candidates:
        try:
            return jwt.decode(token, key, algorithms=[keys.algorithm], options=_OURS_TO_CHECK), key, kid
        except jwt.InvalidSignatureError:
            continue
        except Exception:
            raise TokenRefused("it is no JWT that could be read") from None
    raise TokenRefused(f"it is not signed with {f'the key {told(kid)}' if kid else 'any of the keys'}")


def told(said: object, charactersMax: int = 40) -> str:
    """What a stranger has said, for the log: short, and nothing in it that could do harm there."""
    text = ascii(said)
    return text if len(text) <= charactersMax else f"{text[:charactersMax]}..."


def tokenIdOf(claims: Mapping[str, Any]) -> str:
    """
    The C{jti} of a token, or empty.

    @raise PermissionDenied: if it is one that no list could name, so that it could not be revoked.
    """
    tokenId = claims.get("jti", "")
    if type(tokenId) is str and (not tokenId or isTokenId(tokenId)):
        return tokenId
    raise PermissionDenied("it has no usable jti")


def isTokenId(text: str) -> bool:
    """Could this be a line of the list of revoked tokens?"""
    return 0 < len(text) <= _TOKEN_ID_CHARACTERS_MAX and text.isprintable() and text == text.strip() and text[0] != "#"


def checkAudience(claims: Mapping[str, Any], audience: str) -> None:
    """
    See that a token is for us.

    @param audience: who we are; empty: then a token for somebody is for somebody else.
    @raise PermissionDenied: if it is not.
    """
    meant = claims.get("aud")
    if audience:
        if meant != audience and not (isinstance(meant, list) and audience in meant):
            raise PermissionDenied(f"its aud is {told(meant)}, and expected is {audience}")
    elif meant:
        raise PermissionDenied(f"its aud is {told(meant)}, and expected is none")
