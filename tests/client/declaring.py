"""Makes scalemgr/client/commands.py from the declarations: C{python -m tests.client.declaring}."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import UnsetType

from scalemgr.client.declared import CHOOSING, COMMANDS
from scalemgr.commands.base import Command
from scalemgr.commands.params import SignedAmount

FILE = Path(__file__).parent.parent.parent / "scalemgr" / "client" / "commands.py"

HEAD = '''"""Every command that scalemgr declares: its parameters and its answer, for people, editors and type checkers.

Made from the declarations by C{python -m tests.client.declaring}, and held to them by a test. What is left out, or
C{None}, is not sent. C{deadline} is how long to wait, in seconds; without one it is the client's.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Any

from ..commands.answers import (
    @ANSWERS@
)
from .calling import Calling, Money, declared

__all__ = ["Commands"]


class Commands(Calling):
    """The commands, as attributes of a client."""
'''


def _type(type: Any) -> str:
    """As it is written."""
    origin = get_origin(type)
    if origin is Annotated:
        return _type(get_args(type)[0])
    if origin in (Union, UnionType):
        return " | ".join(_type(part) for part in get_args(type) if part not in (NoneType, UnsetType))
    if origin is not None:
        return f"{origin.__name__}[{', '.join(_type(part) for part in get_args(type))}]"
    if isinstance(type, builtins_type) and issubclass(type, SignedAmount):
        return "Money"
    return "Any" if type is Any else str(type.__name__)


builtins_type = type


def _method(command: Command) -> str:
    fields = sorted(msgspec.structs.fields(command.params), key=lambda field: not field.required)
    given = [f"{f.name}: {_type(f.type)}" + ("" if f.required else " | None = None") for f in fields]
    answer = command.about.answer
    parameters = ", ".join(["self", "*", *given, "deadline: float | None = None"])
    says = "dict[str, Any]" if answer is None else answer.__name__
    return f'@declared\ndef {command.name}({parameters},) -> {says}:\n    """{command.summary}"""\n'


def text() -> str:
    """What the file is to be, but for its layout."""
    offered = {name: command for name, command in COMMANDS.items() if name not in CHOOSING}
    answers = sorted({c.about.answer.__name__ for c in offered.values() if c.about.answer is not None}, key=str.lower)
    parts = [HEAD.replace("@ANSWERS@", "\n    ".join(f"{answer}," for answer in answers))]
    for name, command in offered.items():
        part = _method(command) if name == command.name else f"{name} = {command.name}\n"
        parts.append(textwrap.indent(part, "    "))
    return "\n".join(parts)


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(FILE)], check=True)
