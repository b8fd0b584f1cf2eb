"""What is seen of a session by those who only look."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["SessionSeen"]


class SessionSeen(Struct, frozen=True):
    """
    A session, to look at.

    @ivar principal: the id of who it speaks for; empty: it has shown no valid token.
    @ivar role: the name of its C{SESSION_*}, less that; empty, too.
    @ivar peer: from where it came.
    @ivar inFlight: how many of its requests are under way.
    @ivar buffered: how many bytes wait for it to read.
    @ivar since: when it came, in unix seconds.
    @ivar seq: the entry up to which it was sent events.
    @ivar kid: the name of the key that its token was signed with; empty: that has none, or it has shown no token.
    @ivar tokenId: the C{jti} of that token; empty: it has none.
    @ivar expires: when that token ends, or the certificate that it has shown instead, in unix seconds; C{None}: never.
    """

    number: int
    principal: str
    role: str
    peer: str
    inFlight: int
    buffered: int
    since: float
    seq: int
    kid: str = ""
    tokenId: str = ""
    expires: float | None = None
