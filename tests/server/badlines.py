"""A line that would be good but for one thing."""

from __future__ import annotations

from msgspec.structs import replace

from ..helpers import LIMITS, Daemon

MIB = 1024 * 1024


def envelope(inner: str) -> bytes:
    """A deposit that would be good, with these members of its envelope in place of its C{extID}."""
    return f'{{"command":"BalanceInSync","data":{{"login":1001,"amount":10}}{inner}}}'.encode()


def commanded(command: str) -> bytes:
    return f'{{{command}"extID":"x","data":{{"login":1001,"amount":10}}}}'.encode()


def data(text: str) -> bytes:
    return f'{{"command":"BalanceInSync","extID":"x","data":{text}}}'.encode()


def member(name: str, value: str) -> bytes:
    """A deposit that would be good but for one member of its data."""
    members = {"login": "1001", "amount": "10", name: value}
    return data("{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}")


GOOD = '"login":1001,"amount":10'


def roomy() -> Daemon:
    """With room for long lines, as configured by default."""
    return Daemon(limits=replace(LIMITS, lineBytesMax=MIB))
