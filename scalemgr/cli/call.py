"""C{scalemgr call}: any command of the daemon, plugins' included."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from ..client import Refused
from ..client.declared import COMMANDS, Kind, kindOf, parameters, suggestion
from ..commands.describe import parameters as describe
from .ending import Status, Stop
from .output import Output, addOutput
from .server import addServer, ask, asking, connected, newKey

__all__ = ["declare"]

_FIELD = re.compile(r"(?P<name>[^=:\s]+)(?P<how>:?=)(?P<value>.*)", re.DOTALL)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add its words."""
    parser.add_argument("name", metavar="NAME", help="the command, as `scalemgr commands` lists it")
    parser.add_argument(
        "fields",
        nargs="*",
        type=_field,
        metavar="field=value",
        help="a parameter; field:=JSON for a list or an object. Of a plugin's command, a value that is JSON is taken "
        "as such, and any other as text",
    )
    parser.add_argument("--data", metavar="JSON", help="all parameters as a JSON object; - reads standard input")
    parser.add_argument(
        "--key",
        help="names the request. Default, of what changes something: a new one, which is told before anything is sent",
    )
    addServer(parser)
    addOutput(parser)
    parser.set_defaults(run=_call)


def _field(text: str) -> tuple[str, str, str]:
    found = _FIELD.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no parameter; expected field=value or field:=JSON")
    return found["name"], found["how"], found["value"]


def _call(options: argparse.Namespace) -> int:
    output = Output(options)
    with asking(output), connected(options) as client:
        data = {**_object(options.data), **_fields(options.name, options.fields)}
        if options.name in COMMANDS:
            data = _checked(options.name, data)
        key = options.key or data.get("idempotency_key")
        if key is None and options.name in COMMANDS and kindOf(options.name, None) is Kind.NAMED:
            key = newKey()
        try:
            reply = ask(client, options.name, data, key=key)
        except Refused as e:
            if e.error == "RET_INVALID_METHOD":
                raise Stop(f"there is no command {options.name}{suggestion(options.name)}", Status.WORDS) from e
            raise
    if output.isJson:
        output.tell(reply.data, "")
    else:
        _show(output, reply.data)
    return Status.DONE


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        data = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as e:
        raise Stop(f"--data is not JSON: {e}", Status.WORDS) from e
    if not isinstance(data, dict):
        raise Stop("--data is no JSON object", Status.WORDS)
    return data


def _fields(command: str, fields: list[tuple[str, str, str]]) -> dict[str, Any]:
    isKnown = command in COMMANDS
    types = {p.name: p.type for p in describe(COMMANDS[command].params)} if isKnown else {}
    data: dict[str, Any] = {}
    for name, how, value in fields:
        if name in data:
            raise Stop(f"{name} is said twice", Status.WORDS)
        # One that is not declared is told later, with what was meant.
        type = types.get(name, "string") if isKnown else None
        data[name] = _json(name, value) if how == ":=" else _value(name, value, type)
    return data


def _value(name: str, text: str, type: str | None) -> Any:
    """
    What a text is as a parameter of a type.

    @param type: as L{describe} names it; C{None}: nobody here knows.
    """
    if type in ("string", "any", "number"):
        # An amount stays as it was written, and so exact.
        return text
    if type is None:
        try:
            return json.loads(text)
        except ValueError:
            return text
    if type == "int":
        try:
            return int(text)
        except ValueError:
            raise Stop(f"{name}: expected an int, got {text!r}", Status.WORDS) from None
    return _json(name, text)


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as e:
        raise Stop(f"{name}: {text!r} is not JSON: {e}", Status.WORDS) from e


def _checked(command: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """As the server will check it, but for names that it would pass over."""
    params = COMMANDS[command].params
    names = dict(zip(params.__struct_encode_fields__, params.__struct_fields__, strict=True))
    return parameters(command, {names.get(name, name): value for name, value in data.items()})


def _show(output: Output, data: dict[str, Any]) -> None:
    """For people: a table where there is one, without the columns that say nothing, and what is beside it."""
    rest = dict(data)
    structure, rows = rest.get("structure"), rest.get("rows")
    if isinstance(structure, list) and isinstance(rows, list):
        del rest["structure"], rest["rows"]
        telling = [place for place in range(len(structure)) if any(row[place] not in _NOTHING for row in rows)]
        output.table(
            [structure[place] for place in telling],
            ([str(row[place]) for place in telling] for row in rows),
            right=[structure[place] for place in telling if any(isinstance(row[place], (int, float)) for row in rows)],
        )
    # ASCII only, so nothing in it moves the cursor.
    print(json.dumps(rest, indent=2))


_NOTHING = (0, "", None)
