"""C{scalemgr commands}: what can be asked of the daemon that is installed here, plugins included."""

from __future__ import annotations

import argparse
from typing import Any

from ..commands.describe import Parameter, parameters
from ..commands.markdown import document, examples
from ..interfaces import ICommand
from ..server.catalogue import CommandClash, checkCommands, packageOf
from ..server.discovery import Broken, findCommands
from ..wire.codes import SessionType
from .ending import Status, Stop
from .output import Output, addOutput
from .quiet import hush

__all__ = ["declare"]


def declare(parser: argparse.ArgumentParser) -> None:
    """Add its words."""
    parser.add_argument("--markdown", action="store_true", help="as a document, with all that is declared of them")
    addOutput(parser)
    parser.set_defaults(run=_commands)


def _commands(options: argparse.Namespace) -> int:
    hush()
    found = findCommands()
    if options.markdown:
        print(document(found.commands, examples()), end="")
        return Status.NO if found.broken else Status.DONE
    output = Output(options)
    for command in sorted(found.commands, key=lambda c: c.name):
        output.tell(_record(command), _text(command))
    for broken in found.broken:
        why = broken.failure.getErrorMessage()
        output.tell({"broken": broken.module, "why": why}, _brokenText(broken, why))
    try:
        checkCommands(found.commands, ())
    except CommandClash as e:
        raise Stop(f"the daemon will not start: {e}") from e
    return Status.NO if found.broken else Status.DONE


def _record(command: ICommand) -> dict[str, Any]:
    return {
        "command": command.name,
        "aliases": list(command.aliases),
        "package": packageOf(command),
        "summary": command.summary,
        "roles": sorted(SessionType(role).name for role in command.roles),
        "flags": sorted(command.flags),
        "params": [_parameterRecord(p) for p in parameters(command.params)],
    }


def _parameterRecord(p: Parameter) -> dict[str, Any]:
    record = {"name": p.name, "type": p.type, "required": p.required, "description": p.description, "limits": p.limits}
    return record if p.default is None else {**record, "default": p.default}


def _text(command: ICommand) -> str:
    names = ", ".join((command.name, *command.aliases))
    roles = " ".join(sorted(SessionType(role).name for role in command.roles)) or "any"
    lines = [f"{names}  [{packageOf(command)}]", f"    {command.summary}", f"    roles: {roles}"]
    if command.flags:
        lines.append(f"    flags: {' '.join(sorted(command.flags))}")
    for p in parameters(command.params):
        need = "required" if p.required else "optional" if p.default is None else f"default {p.default!r}"
        what = "; ".join(filter(None, (p.description, p.limits)))
        lines.append(f"    {p.name}: {p.type}, {need}{f' - {what}' if what else ''}")
    return "\n".join(lines)


def _brokenText(broken: Broken, why: str) -> str:
    traceback = broken.failure.getTraceback().strip().replace("\n", "\n    ")
    return f"BROKEN  [{broken.module}]\n    its commands are missing: {why}\n    {traceback}"
