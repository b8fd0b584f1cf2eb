"""Group masks: who may see and touch what."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalemgr.finance.masks import EVERYTHING, Mask

#: Few characters, so that patterns and names meet, some with a meaning in regular expressions.
names = st.text("ab.+-\n", max_size=5)
patterns = st.text("ab.+-*", min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("mask", "covered", "others"),
    [
        ("demo", ["demo"], ["demo1", "ademo", "Demo", "", "demo ", "demo\n"]),
        ("demo*", ["demo", "demo-eu", "demo\n"], ["xdemo", "Demo"]),
        ("*demo", ["demo", "xdemo"], ["demox"]),
        ("*-eu-*", ["real-eu-1", "-eu-"], ["real-eu", "eu-1"]),
        ("a*b*c", ["abc", "a1b2c", "abbcc"], ["acb", "abcd"]),
        ("*", ["demo", "", "real\neu"], []),
        ("**", ["demo", ""], []),
        ("demo,real", ["demo", "real"], ["demo,real", "demoreal"]),
        (" demo , real ,", ["demo", "real"], [" demo ", ""]),
        ("real-*,!real-test", ["real-eu"], ["real-test", "demo"]),
        ("!real-test,real-*", ["real-eu"], ["real-test", "demo"]),
        ("real-*, ! real-test*", ["real-eu"], ["real-test", "real-test2"]),
        ("real,!real", [], ["real", "demo"]),
        ("*,!*-test,!old", ["real", "older"], ["x-test", "old"]),
        ("*,real,!real", ["demo"], ["real"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a+(b)|c", ["a+(b)|c"], ["aab", "c", "a+b"]),
        ("[ab]?", ["[ab]?"], ["a", "ab", "b?"]),
        ("a!b", ["a!b"], ["a", "b"]),
    ],
)
def test_masksCover(mask: str, covered: list[str], others: list[str]) -> None:
    """A group is covered if some pattern includes it and none excludes it, wherever they stand in the list."""
    assert [group for group in covered if not Mask(mask).covers(group)] == []
    assert [group for group in others if Mask(mask).covers(group)] == []


@settings(deadline=None, max_examples=150)
@given(st.lists(patterns, min_size=1, max_size=3), st.lists(patterns, max_size=2), names)
def test_masksAreShellPatterns(included: list[str], excluded: list[str], group: str) -> None:
    """A star is any characters and everything else is itself, as in the shell's patterns."""
    text = ",".join([*("!" + pattern for pattern in excluded), *included])
    expected = any(fnmatchcase(group, p) for p in included) and not any(fnmatchcase(group, p) for p in excluded)
    assert Mask(text).covers(group) == expected


@pytest.mark.parametrize("text", ["", " ", ",", " , ,", "!demo", "!demo,!real", "!*"])
def test_maskThatIncludesNothingIsRefused(text: str) -> None:
    """A mask that can cover no group is a mistake, not a rule."""
    with pytest.raises(ValueError, match="includes no group"):
        Mask(text)


@given(st.text(max_size=20))
def test_everythingCoversEverything(group: str) -> None:
    """No group is outside of C{EVERYTHING}."""
    assert EVERYTHING.covers(group)


def test_maskKeepsItsText() -> None:
    """A mask can be shown as it was written."""
    assert Mask(" demo ,!x").text == " demo ,!x"
    assert repr(Mask("demo,!x")) == "<Mask demo,!x>"


def test_equalMasks() -> None:
    """Masks that are written alike are equal and one key; those that are not are not, whatever they cover."""
    assert len({Mask("demo,!x"), Mask("demo,!x")}) == 1
    assert len({Mask("demo"), Mask(" demo"), EVERYTHING}) == 3
    assert Mask("demo") != "demo"
