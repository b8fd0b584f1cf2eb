"""Group masks: which trading groups somebody may see and touch.

A mask is a comma-separated list of patterns in which C{*} stands for any characters, C{!} in front of a
pattern excludes: C{real-*,!real-test}. A group is covered if some pattern includes it and none excludes
it, wherever they stand in the list. Case matters. (The grammar of the published desk masks, ``wire.md`` 3.13.)
"""

from __future__ import annotations

import re

from msgspec import Struct

__all__ = ["EVERYTHING", "Mask", "Sight"]


class Mask:
    """
    A mask, compiled. Two that are written alike are equal.

    @ivar text: the mask as it was written.
    @raise ValueError: if the text includes nothing at all, for then it is surely a mistake.
    """

    __slots__ = ("_excluded", "_included", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        patterns = [part.strip() for part in text.split(",") if part.strip()]
        included = [p for p in patterns if not p.startswith("!")]
        if not included:
            raise ValueError(f"the group mask {text!r} includes no group; write *, or name some")
        self._included = None if "*" in included else _compile(included)
        self._excluded = _compile([p[1:].strip() for p in patterns if p.startswith("!")])

    def covers(self, group: str) -> bool:
        """Does it cover this group?"""
        if self._included is not None and self._included.fullmatch(group) is None:
            return False
        return self._excluded is None or self._excluded.fullmatch(group) is None

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Mask) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"<Mask {self.text}>"


def _compile(patterns: list[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(map(_expression, patterns)), re.DOTALL)


def _expression(pattern: str) -> str:
    """
    One pattern. Each part between two stars is found where it first occurs and not looked for again (the
    atomic group), else a pattern with many stars could take for ever.
    """
    first, *rest = map(re.escape, pattern.split("*"))
    if not rest:
        return first
    return first + "".join(f"(?>.*?{part})" for part in rest[:-1]) + ".*" + rest[-1]


#: Covers every group.
EVERYTHING = Mask("*")


class Sight(Struct, frozen=True):
    """
    What somebody may see, of all that can be read.

    @ivar mask: the groups.
    @ivar login: the only account, or 0: all in those groups.
    @ivar balances: the money, too? If not, it is as if there were no such columns.
    """

    mask: Mask = EVERYTHING
    login: int = 0
    balances: bool = True

    def covers(self, group: str, login: int) -> bool:
        """Is this account, and what belongs to it, to be seen?"""
        return self.login in (0, login) and self.mask.covers(group)
