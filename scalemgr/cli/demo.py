"""C{scalemgr demo}."""

from __future__ import annotations

import argparse

from ..playground import play

__all__ = ["declare"]


def declare(parser: argparse.ArgumentParser) -> None:
    """It takes no words."""
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    return play()
