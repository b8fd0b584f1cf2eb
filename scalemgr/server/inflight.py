"""The requests of one session that are under way, by their C{extID}s."""

from __future__ import annotations

from ..wire.errors import ExtIDInUse
from ..wire.messages import Json

__all__ = ["NO_EXTID", "InFlight"]

#: The C{extID} of a request that has none. There may be any number of those.
NO_EXTID = Json("null")


class InFlight:
    """
    What is yet to be answered.

    @ivar count: how many requests.
    """

    __slots__ = ("_named", "count")

    def __init__(self) -> None:
        self.count = 0
        # How many, and the key that they name.
        self._named: dict[str, tuple[int, object]] = {}

    def begin(self, extIDText: Json, key: object) -> bool:
        """
        One more.

        @param key: the C{idempotency_key} that it names, if any.
        @return: is one with its C{extID} under way already, of which it may be a repeat?
        @raise ExtIDInUse: if one is that names another key; then this one is not under way.
        """
        again = False
        if extIDText != NO_EXTID:
            named = self._named.get(extIDText)
            if named is None:
                self._named[extIDText] = 1, key
            elif named[1] != key:
                raise ExtIDInUse
            else:
                again = True
                self._named[extIDText] = named[0] + 1, key
        self.count += 1
        return again

    def end(self, extIDText: Json) -> None:
        """One of them is answered."""
        self.count -= 1
        if extIDText != NO_EXTID:
            count, key = self._named.pop(extIDText)
            if count > 1:
                self._named[extIDText] = count - 1, key
