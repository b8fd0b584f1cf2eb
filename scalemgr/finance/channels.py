"""What somebody is sent of the log: of which groups, and which events.

L{Channels} is what a session has chosen: names of events, and what else published clients subscribe to (symbols,
for quotes). Symbols are remembered, to be told, and stay silent: they never change which events come. Who has
never named an event gets all of them; the first that is named narrows that to those named.

L{Interest} is what comes of it: the choice, within what its maker may see. It can be a key: readers with one
interest get the same bytes. L{Audit} is that of whoever may see what was refused, too; no session can choose it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ..wire.errors import InvalidData
from .masks import Mask
from .records import BROADCAST, REFUSAL, Entry

__all__ = ["NAME_CHARACTERS_MAX", "NOTHING", "SYMBOLS_MAX", "Audit", "Channels", "Interest"]

#: How many different symbols a session may be subscribed to.
SYMBOLS_MAX = 1000
#: The longest name of a symbol.
NAME_CHARACTERS_MAX = 64


class Interest(Struct, frozen=True):
    """
    Which entries of the log somebody is sent.

    @ivar mask: those of the groups that it covers,
    @ivar events: of the events with these names; none that is not in C{BROADCAST}.
    """

    mask: Mask
    events: frozenset[str] = BROADCAST

    def __post_init__(self) -> None:
        # What is kept and not told must not get out by a slip elsewhere.
        assert self.events <= BROADCAST

    def covers(self, entry: Entry) -> bool:
        """Is this one of them?"""
        return entry.event in self.events and self.mask.covers(entry.group)


class Audit(Interest, frozen=True):
    """The interest of somebody who may see everything: what was refused, too, which is of no group and no event."""

    def covers(self, entry: Entry) -> bool:
        return entry.event == REFUSAL or super().covers(entry)


class Channels(Struct, frozen=True):
    """
    What a session has chosen. Each method gives another choice and leaves this one as it is.

    @ivar events: the names of the events; C{None}: it has never chosen, and gets all, also those yet to be invented.
    @ivar symbols: what else it has named, in that order.
    """

    events: frozenset[str] | None = None
    symbols: tuple[str, ...] = ()

    def subscribe(self, names: Iterable[str]) -> Channels:
        """
        These, too; the first events that are named take the place of all.

        @raise InvalidData: if a name is too long, or there are too many.
        """
        named = dict.fromkeys(names)
        known = BROADCAST.intersection(named)
        symbols = tuple(dict.fromkeys((*self.symbols, *(name for name in named if name not in known))))
        if any(len(symbol) > NAME_CHARACTERS_MAX for symbol in symbols):
            raise InvalidData(f"a name has at most {NAME_CHARACTERS_MAX} characters", field="chanels")
        if len(symbols) > SYMBOLS_MAX:
            raise InvalidData(f"that would be more than {SYMBOLS_MAX} symbols; unsubscribe from some", field="chanels")
        if not known:
            return Channels(self.events, symbols)
        return Channels(known.union(self.events or ()), symbols)

    def unsubscribe(self, names: Iterable[str]) -> Channels:
        """Not these any more; from all, all but these remain."""
        named = frozenset(names)
        chosen = BROADCAST if self.events is None else self.events
        events = chosen - named if BROADCAST & named else self.events
        return Channels(events, tuple(symbol for symbol in self.symbols if symbol not in named))

    def subscribeAll(self) -> Channels:
        """All events, as if it had never chosen. The symbols stay."""
        return Channels(None, self.symbols)

    def inForce(self, permitted: frozenset[str]) -> frozenset[str]:
        """The events that this comes to for somebody who may be sent those permitted."""
        return permitted if self.events is None else self.events & permitted

    def names(self, permitted: frozenset[str]) -> list[str]:
        """What it comes to in words: the events, sorted, then the symbols in the order in which they were named."""
        return [*sorted(self.inForce(permitted)), *self.symbols]


#: No events and no symbols.
NOTHING = Channels(frozenset())
