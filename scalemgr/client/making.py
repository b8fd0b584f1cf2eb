"""Requests are made here: whole, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any
from uuid import UUID

from ..wire.messages import COMMAND_CHARACTERS_MAX, EXTID_BYTES_MAX, Json, encode
from .asking import Asked, Intent
from .declared import CHOOSING, COMMANDS, Kind, amounts, kindOf
from .errors import BadParameters

__all__ = ["askedAgain", "askedOf"]

# What an envelope and a token may take of a line.
_ENVELOPE_BYTES = 10_000


def askedOf(
    command: str, data: Mapping[str, Any], key: str | None, deadline: float, random: Random, lineBytesMax: int
) -> Asked:
    """
    A request, as its caller gave it.

    @param key: its C{idempotency_key}; C{None}: C{data} has it, or one is made if the command takes one.
    @raise BadParameters: if it cannot be sent as it is.
    """
    if type(command) is not str or not 0 < len(command) <= COMMAND_CHARACTERS_MAX:
        raise BadParameters(f"a command is a str of 1 to {COMMAND_CHARACTERS_MAX} characters, not {command!r}")
    if command in CHOOSING:
        raise BadParameters(f"{command}: which events are sent is the client's own business; use its events")
    given = data.get("idempotency_key")
    if key is not None and given not in (None, key):
        raise BadParameters(f"{command}: two keys were given, {key!r} and {given!r}; nothing was sent")
    key = given if key is None else key
    if key is not None and not _isName(key):
        raise BadParameters(f"{command}: idempotency_key: expected a str of 1 to {EXTID_BYTES_MAX} bytes")
    kind = kindOf(command, key)
    if kind is Kind.NAMED and key is None:
        key = str(UUID(int=random.getrandbits(128), version=4))
    exact = amounts(command, data)
    if key is not None:
        exact["idempotency_key"] = key
    if kind is Kind.QUESTION:
        # If it has one, it is what it asks about.
        key = None
    try:
        text = encode(exact)
    except ValueError as e:
        raise BadParameters(f"{command}: {e}; nothing was sent") from None
    if len(text) > lineBytesMax - _ENVELOPE_BYTES:
        raise BadParameters(f"{command}: its data of {len(text)} bytes is too long for a line; nothing was sent")
    return _named(Asked(command, text, key, kind, deadline))


def askedAgain(intent: Intent, deadline: float) -> Asked:
    """A request of before, as the outbox has it."""
    asked = _named(Asked(intent.command, Json(intent.text), intent.key, Kind.NAMED, deadline))
    asked.row = intent.row
    asked.caller = intent.caller
    asked.lose("it was in the outbox")
    return asked


def _named(asked: Asked) -> Asked:
    if asked.command not in COMMANDS:
        # Whichever of the two names it at the server, it is the same one each time.
        asked.extID = asked.key
    return asked


def _isName(key: object) -> bool:
    try:
        return type(key) is str and 0 < len(key.encode("utf-8")) <= EXTID_BYTES_MAX
    except UnicodeEncodeError:
        return False
