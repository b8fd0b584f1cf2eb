"""Requests without a key. Nobody says which entry is the outcome of which; but there must be a way to say it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from scalemgr.finance.records import Entry

from .requests import Answer, Asked

_One = TypeVar("_One", bound=Hashable)
_Other = TypeVar("_Other", bound=Hashable)


class Nameless:
    """
    What one principal has asked without a key, and what came of it.

    Each entry must be the outcome of a request of its own, of which nothing was said that excludes it; each request
    that was answered must have an entry of its own. (If both can be done, then both at once can be.)
    """

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        # Those whose outcome an entry could be, where it stands.
        self._could: dict[int, list[Asked]] = {}
        self._answers: dict[Asked, Answer] = {}

    def learn(self, entry: Entry, could: list[Asked]) -> None:
        """It is in the log, and could be the outcome of these."""
        self._entries[entry.seq] = entry
        self._could[entry.seq] = could
        self.check()

    def told(self, asked: Asked, answer: Answer) -> None:
        """It is done, or refused."""
        self._answers[asked] = answer
        self.check()

    def check(self) -> None:
        """Is there still a way?"""
        without = _unmatched(self._could, self._possible)
        assert without is None, f"nobody asked for {self._entries.get(without or 0)}, or not so often"
        asked = _unmatched(self._answers, self._hasBecome)
        assert asked is None, f"{asked} was answered {self._answers.get(asked) if asked else None}, but not booked"

    def _possible(self, seq: int) -> list[Asked]:
        return [asked for asked in self._could[seq] if asked.mayBe() and self._agree(seq, asked)]

    def _hasBecome(self, asked: Asked) -> list[int]:
        return [seq for seq, could in self._could.items() if asked in could and self._agree(seq, asked)]

    def _agree(self, seq: int, asked: Asked) -> bool:
        answer = self._answers.get(asked)
        return answer is None or answer.tells(self._entries[seq], asked)


def _unmatched(ones: Iterable[_One], others: Callable[[_One], Iterable[_Other]]) -> _One | None:
    """Give each one of them another one of its own; the first for which that cannot be done."""
    taken: dict[_Other, _One] = {}

    def place(one: _One, seen: set[_Other]) -> bool:
        for other in others(one):
            if other not in seen:
                seen.add(other)
                if other not in taken or place(taken[other], seen):
                    taken[other] = one
                    return True
        return False

    return next((one for one in ones if not place(one, set())), None)
