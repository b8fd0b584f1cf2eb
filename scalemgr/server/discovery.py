"""Finding commands: the built-in ones and those of any installed package, all the same way.

C{getPlugins(ICommand)} logs a traceback for each name in a drop-in that cannot be imported and goes on without
them, so commands are missing and it takes a long read to see why. L{findCommands} walks the same cache of
drop-ins and gives the same commands; what it could not import it gives back, once, with the reason.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from twisted.plugin import getCache
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
    broken: list[Broken] = []
    cache = getCache(twisted.plugins)
    for name in sorted({module.name for module in getModule("twisted.plugins").iterModules()}):
        dropin = cache.get(name.rpartition(".")[2])
        try:
            if dropin is None:
                # It could not even be looked at.
                import_module(name)
                continue
            for plugin in dropin.plugins:
                command = ICommand(plugin, None)
                # A folder that is on the path twice gives each of its commands twice.
                if command is not None and not any(command is known for known in commands):
                    commands.append(command)
        except Exception:
            broken.append(Broken(name, Failure()))
    return Found(commands, broken)
