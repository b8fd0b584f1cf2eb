"""Finding commands: the built-in ones and those of any installed package, all the same way.

C{getPlugins} logs a drop-in that cannot be imported and goes on without it, so a command is missing and
nobody knows why. L{findCommands} says which, and why.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from twisted.plugin import CachedPlugin, getCache, getPlugins
from twisted.python.failure import Failure
from twisted.python.modules import getModule

import twisted.plugins

from ..interfaces import ICommand

__all__ = ["Broken", "Found", "findCommands"]


class Broken(NamedTuple):
    """A drop-in whose commands are missing."""

    module: str
    failure: Failure


class Found(NamedTuple):
    """What there is."""

    commands: list[ICommand]
    broken: list[Broken]


def findCommands() -> Found:
    """Every command of every drop-in, and every drop-in that could not be imported."""
    commands: list[ICommand] = []
    for command in getPlugins(ICommand):
        # A folder that is on the path twice gives each of its commands twice.
        if not any(command is known for known in commands):
            commands.append(command)
    cache = getCache(twisted.plugins)
    broken = []
    names = {module.name for module in getModule("twisted.plugins").iterModules()}
    for name in sorted(names):
        dropin = cache.get(name.rpartition(".")[2])
        failure = _tryImport(name) if dropin is None else _tryLoad(dropin.plugins)
        if failure is not None:
            broken.append(Broken(name, failure))
    return Found(commands, broken)


def _tryImport(name: str) -> Failure | None:
    try:
        import_module(name)
    except Exception:
        return Failure()
    return None


def _tryLoad(plugins: list[CachedPlugin]) -> Failure | None:
    for plugin in plugins:
        if ICommand in plugin.provided:
            try:
                plugin.load()
            except Exception:
                return Failure()
    return None
