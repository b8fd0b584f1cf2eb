"""The commands by their names: what there is, what must be, and which of them clash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from ..interfaces import ICommand
from ..wire.errors import UnknownCommand

__all__ = ["CommandClash", "byName", "checkCommands", "packageOf", "unknown"]


class CommandClash(Exception):
    """Two commands have one name, or one is missing; the message says which, for the operator."""


def byName(commands: Iterable[ICommand]) -> dict[str, ICommand]:
    """
    The commands, by each of their names.

    @raise CommandClash: if two have one name.
    """
    table: dict[str, ICommand] = {}
    for command in commands:
        for name in (command.name, *command.aliases):
            other = table.setdefault(name, command)
            if other is not command:
                raise CommandClash(
                    f"two commands are named {name}: one of {packageOf(other)}, one of {packageOf(command)}"
                )
    return table


def unknown(name: str, commands: Iterable[str]) -> NoReturn:
    """
    There is no such command.

    @param commands: the names that there are.
    @raise UnknownCommand: always; it says which was meant, if that can be guessed.
    """
    similar = [known for known in commands if known.lower() == name.lower()]
    raise UnknownCommand(f"there is no command {name}" + (f"; did you mean {similar[0]}?" if similar else ""))


def checkCommands(commands: Iterable[ICommand], required: Iterable[str]) -> None:
    """
    See that the commands can be served together, and that those that must be there are.

    @raise CommandClash: if not.
    """
    missing = sorted(set(required) - byName(commands).keys())
    if missing:
        raise CommandClash(f"the required commands {', '.join(missing)} were not found; see `scalemgr commands`")


def packageOf(command: ICommand) -> str:
    """The module that a command is from."""
    return str(getattr(command, "__module__", type(command).__module__))
