"""What other gateways have told that it was not booked, and never will be."""

from __future__ import annotations

from collections.abc import Mapping

from ...finance.requests import KeyName

__all__ = ["Renounced"]


class Renounced:
    """
    What was seen of that by one gateway.

    @ivar names: the keys of which those who have them under way here do not know yet.
    @ivar upTo: up to this number all of it was seen. Numbers are given before it is certain, so of two that are given
        at once the later one may be seen first.
    """

    def __init__(self) -> None:
        self.names: set[KeyName] = set()
        self.upTo = 0
        self._beyond: set[int] = set()

    def seen(self, renounced: Mapping[int, KeyName], *, isAll: bool) -> None:
        """
        These there are beyond C{upTo}.

        @param isAll: nobody can be about to renounce more, with a lower number.
        """
        self.names |= {name for n, name in renounced.items() if n not in self._beyond}
        if isAll:
            self.upTo = max(renounced, default=self.upTo)
            self._beyond.clear()
        else:
            self._beyond |= renounced.keys()

    def take(self) -> set[KeyName]:
        """The names, which are known from now on."""
        names, self.names = self.names, set()
        return names
