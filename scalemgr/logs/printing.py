"""Texts that somebody else wrote, for people to read: on a terminal, or in a log."""

from __future__ import annotations

__all__ = ["CUT", "cut", "printable"]

#: Stands for what was left out.
CUT = "..."


def cut(text: str, most: int) -> str:
    """A text of at most so many characters, and a mark if there was more."""
    return text if len(text) <= most else text[:most] + CUT


def printable(text: str, most: int | None = None) -> str:
    """
    A text on one line, cut to so many characters: what would move the cursor, change a colour or hide something is
    shown as its escape.
    """
    if most is not None:
        text = cut(text, most)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
