"""The commands as a document: what C{scalemgr commands --markdown} prints, and C{docs/protocol.md} is.

Everything in it comes from the declarations, but for what holds for all commands, and the examples: lines that a
test has really sent and got. Both are kept in the folder C{protocol}.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.resources import files
from typing import Any

import ujson
from msgspec import Struct

from ..interfaces import ICommand, Refusal
from ..wire.codes import RetCode, SessionType
from .base import FLAGS
from .describe import Parameter, parameters

__all__ = ["Example", "document", "examples"]


class Example(Struct, frozen=True):
    """
    One request that was made, and all that was sent upon it to a session that hears every event.

    @ivar request: the line, without its end; so are the others.
    """

    command: str
    request: str
    response: str
    events: Sequence[str] = ()


def examples() -> list[Example]:
    """Those that are kept."""
    return [Example(**example) for example in ujson.loads(_kept("examples.json"))]


def _kept(name: str) -> str:
    return (files(__package__) / "protocol" / name).read_text("utf-8")


def document(commands: Iterable[ICommand], made: Iterable[Example]) -> str:
    """
    The whole of it.

    @param commands: in any order; those of one module are a chapter.
    @param made: the examples.
    """
    by: dict[str, list[Example]] = {}
    for example in made:
        by.setdefault(example.command, []).append(example)
    families: dict[str, list[ICommand]] = {}
    for command in sorted(commands, key=lambda c: c.name.removeprefix("Mng")):
        families.setdefault(getattr(command, "__module__", ""), []).append(command)
    parts = [
        _kept("head.md"),
        *_table(("flag", "what it is for"), [(f"`{flag}`", _plain(what)) for flag, what in FLAGS.items()]),
    ]
    parts.append(_kept("events.md"))
    ordered = sorted(families.items(), key=lambda family: _title(family[0]))
    for module, family in ordered:
        parts.append(f"\n## {_title(module)}\n")
        for command in family:
            parts += _chapter(command, by.get(command.name, ()))
    parts += _summary(command for _, family in ordered for command in family)
    return "".join(parts)


def _title(module: str) -> str:
    said = (import_module(module).__doc__ or module).strip().partition("\n")[0]
    return said.rstrip(".")


def _chapter(command: ICommand, made: Sequence[Example]) -> Iterable[str]:
    also = f" Older name: `{'`, `'.join(command.aliases)}`." if command.aliases else ""
    yield f"\n### {command.name}\n\n{command.summary}{also}\n\n"
    roles = ", ".join(f"`{SessionType(role).name}`" for role in sorted(command.roles)) or "anybody with a token"
    flags = f" Takes the flag {', '.join(f'`{flag}`' for flag in sorted(command.flags))}." if command.flags else ""
    yield f"For {roles}.{flags}\n"
    taken = parameters(command.params)
    if taken:
        yield "\n"
        yield from _table(("parameter", "type", "needed", "what it is"), map(_parameter, taken))
    else:
        yield "\nNo parameters.\n"
    about = command.about
    if about.answer is not None:
        yield f"\nAnswer: {_lower(_plain((about.answer.__doc__ or '').strip()))}\n\n"
        yield from _table(("member", "type", "what it is"), map(_member, parameters(about.answer)))
    for kind in dict.fromkeys(about.fields.values()):
        names = ", ".join(f"`{name}`" for name, of in about.fields.items() if of == kind)
        yield f"\nFields of the kind {kind} that conditions and `orderBy` may name: {names}.\n"
    if about.errors:
        yield f"\nRefusals: {', '.join(_error(code, command) for code in about.errors)}.\n"
    if about.events:
        yield f"\nEvents: {', '.join(f'`{event}`' for event in about.events)}.\n"
    for example in made:
        lines = [f"> {example.request}", f"< {example.response}", *(f"< {event}" for event in example.events)]
        yield "\n```\n" + "\n".join(lines) + "\n```\n"


def _parameter(parameter: Parameter) -> tuple[str, str, str, str]:
    optional = "optional" if parameter.default is None else _default(parameter.default)
    need = "required" if parameter.required else optional
    return f"`{parameter.name}`", parameter.type, need, _about(parameter)


def _member(parameter: Parameter) -> tuple[str, str, str]:
    return f"`{parameter.name}`", parameter.type, _about(parameter)


def _about(parameter: Parameter) -> str:
    described = _plain(parameter.description)
    return described if described == "0 or 1" else "; ".join(filter(None, (described, parameter.limits)))


def _default(value: Any) -> str:
    return f"default `{ujson.dumps(value, escape_forward_slashes=False)}`"


def _error(refusal: RetCode | Refusal, command: ICommand) -> str:
    """As an answer has it: C{error}, status, and C{reason} where that is another name."""
    said = refusal if isinstance(refusal, Refusal) else Refusal(refusal)
    error, status = said.error or said.code.name, said.status or said.code.status
    if command.denied is not None and said.code == RetCode.RET_USER_NOT_FOUND:
        error, status = command.denied, 401
    reason = "" if error == said.code.name else f" (`{said.code.name}`)"
    return f"`{error}` {status}{reason}"


def _summary(commands: Iterable[ICommand]) -> Iterable[str]:
    yield "\n## As published, beyond it, and not done\n\n"
    yield from _table(("command", "beyond what is published"), [(f"`{c.name}`", c.about.beyond) for c in commands])
    yield _kept("undone.md")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    yield _row(head)
    yield "|---" * len(head) + "|\n"
    yield from map(_row, rows)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _plain(epytext: str) -> str:
    """C{x} as `x`."""
    # Python 3.13 takes the indentation of docstrings away by itself.
    text = " ".join(line.strip() for line in epytext.split("\n"))
    while "C{" in text:
        before, _, rest = text.partition("C{")
        inside, _, after = rest.partition("}")
        text = f"{before}`{inside}`{after}"
    return text


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
