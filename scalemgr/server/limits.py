"""How much a peer may ask for. Every bound here is enforced where it is grown, and has a test on either side."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["SessionLimits"]


class SessionLimits(Struct, frozen=True):
    """
    The bounds of sessions.

    @ivar lineBytesMax: the longest line, without its end. A longer one ends the session.
    @ivar inFlightMax: requests of one session under way. At the bound its transport is paused: flow
        control, not an error.
    @ivar sessionsMax: connections at a time. One more is told so and closed.
    @ivar authSeconds: how long a session may take to show a valid token; 0: for ever.
    @ivar bufferBytesMax: what may pile up for a session that does not read. More ends the session.
    """

    lineBytesMax: int
    inFlightMax: int
    sessionsMax: int
    authSeconds: float
    bufferBytesMax: int
