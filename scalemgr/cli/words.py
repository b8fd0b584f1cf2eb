"""How words are read: none is guessed, and what may be a token is not said again."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn

__all__ = ["VerbParser", "withoutTokens"]

# They begin with {" in base64.
_TOKEN = re.compile(r"eyJ[\w=-]{6,}(\.[\w=-]*)*")


def withoutTokens(text: str) -> str:
    """A text in which what looks like a token is not shown: it may end in a log."""
    return _TOKEN.sub("(a token)", text)


class VerbParser(argparse.ArgumentParser):
    """
    The words of a verb. Only whole ones are known: what C{--token} would stand for is told, and not taken for another.
    What is wrong with them is told with the usage of the verb, and what is not known is not echoed.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(**more, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        super().error(withoutTokens(message))

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        known, rest = super().parse_known_args(args, namespace)
        options = [word.partition("=")[0] for word in rest if word.startswith("--")]
        if options:
            self.error(f"there is no {options[0]}{self._meant(options[0])}")
        if rest:
            self.error(f"{len(rest)} more {'word' if len(rest) == 1 else 'words'} than it takes")
        return known, rest

    def _meant(self, option: str) -> str:
        if "token" in option and "--token-file" in self._option_string_actions:
            return "; no word takes a token, for ps shows words to everybody: --token-file FILE or SCALEMGR_TOKEN"
        known = [name for name in self._option_string_actions if name.startswith("--")]
        meant = [name for name in known if name.startswith(option)] or difflib.get_close_matches(option, known, n=1)
        return f"; did you mean {meant[0]}?" if meant else ""
