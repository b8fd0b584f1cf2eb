"""What holds of every built-in command alike: that it is documented as it is, repeats, and survives foolish input."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
import ujson
from msgspec import Struct

from scalemgr.commands.answers import GroupSaid
from scalemgr.commands.describe import parameters
from scalemgr.commands.groups import AddGroup
from scalemgr.commands.markdown import document, examples
from scalemgr.interfaces import ICommand

from ..helpers import Daemon, Session, builtIn, fresh, token
from ..record import DOCUMENT, EXAMPLES, SCRIPT, record, written

COMMANDS = {command.name: command for command in builtIn()}
EVERY = pytest.mark.parametrize("name", sorted(COMMANDS))
#: Those that change something: they can be named.
KEYED = sorted(n for n, c in COMMANDS.items() if "idempotency_key" in c.params.__struct_fields__ and n != "GetRequest")


pytestmark = pytest.mark.usefixtures("cheapHash")


def ask(daemon: Daemon, session: Session, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """The one answer to a request."""
    extID = fresh()
    session.send(name, extID, data)
    daemon.settle()
    [answer] = [answer for answer in session.answers() if answer["extID"] == extID]
    return answer


def test_examples() -> None:
    """The examples are what is really sent and answered; if not, `make docs`."""
    assert EXAMPLES.read_text("utf-8") == written(record())


def test_document() -> None:
    """docs/protocol.md is what the declarations and the examples say; if not, `make docs`."""
    assert DOCUMENT.read_text("utf-8") == document(builtIn(), examples())


@EVERY
def test_documented(name: str) -> None:
    """Every command says what it does, for whom, and what it answers, and has an example that worked."""
    command = COMMANDS[name]
    assert command.summary.endswith(".")
    assert command.about.answer is not None
    made = [ujson.loads(example.response) for example in examples() if example.command == name]
    assert {200, 207} & {response["status"] for response in made}


@EVERY
def test_answersAreAsDeclared(name: str) -> None:
    """Each answer has the members that are declared, with their types, and no others."""
    shape = COMMANDS[name].about.answer
    assert shape is not None
    for example in examples():
        response = ujson.loads(example.response)
        if example.command != name or response["status"] != 200:
            continue
        msgspec.convert(response["data"], shape, strict=True)
        if shape is not GroupSaid:
            assert response["data"].keys() <= set(shape.__struct_encode_fields__), response


@pytest.mark.parametrize("name", KEYED)
def test_repeated(name: str) -> None:
    """What is asked again with its key is answered as before, and nothing is done again, on another session, too."""
    daemon = Daemon()
    session, other = daemon.connect(token()), daemon.connect(token())
    done = 0
    for command, data in SCRIPT:
        keyed = data if command not in KEYED else {**data, "idempotency_key": f"key-{done}"}
        first = ask(daemon, session, command, keyed)
        done += 1
        if command != name:
            continue
        before = daemon.ledger.book.seq
        again = ask(daemon, other, command, keyed)
        assert again.pop("replayed") is True
        assert {**again, "extID": ""} == {**first, "extID": ""}
        assert daemon.ledger.book.seq == before


@pytest.mark.parametrize("name", KEYED)
def test_keyOfAnother(name: str) -> None:
    """A key that was used for another request is refused, and nothing is done."""
    daemon = Daemon()
    session = daemon.connect(token())
    assert ask(daemon, session, "BalanceIn", {"login": 1001, "amount": 7, "idempotency_key": "one"})["status"] == 200
    before = daemon.ledger.book.seq
    _, data = next((command, data) for command, data in SCRIPT if command == name)
    answer = ask(daemon, session, name, {**data, "idempotency_key": "one"})
    assert (answer["status"], answer["data"]["error"]) == (409, "RET_ERR_DUPLICATE")
    assert answer["data"]["order"] == 1
    assert daemon.ledger.book.seq == before


#: What no member takes: of every JSON type, and beyond every bound.
WRONG = [None, True, -(2**63), 2**63, 2**64, 1e400, math.nan, -1.5, [], {}, [{}], "", "x" * 5000, "\x00", "\ud800"]
SQL = [
    "1 OR 1=1",
    "'; DROP TABLE entry; --",
    '" UNION SELECT password_hash FROM account --',
    "%",
    "_",
    "*",
    "!",
    "*,!x",
]


def values(wrong: Any) -> bytes:
    """A JSON value, also one that is none."""
    if isinstance(wrong, float) and not math.isfinite(wrong):
        return b"1e400" if wrong == math.inf else b"NaN"
    return ujson.dumps(wrong, allow_nan=True, reject_bytes=True).encode("utf-8", "surrogatepass")


@EVERY
def test_foolishInput(name: str) -> None:
    """Every parameter with every kind of wrong value: one clear answer, no bug of ours, and the session lives. What is
    refused as malformed is not kept."""
    daemon = Daemon()
    session = daemon.connect(token())
    for command, data in SCRIPT[:12]:
        assert ask(daemon, session, command, data)["status"] < 500
    good = next(data for command, data in SCRIPT if command == name)
    for parameter in parameters(COMMANDS[name].params):
        for wrong in [*WRONG, *SQL]:
            rest = {n: v for n, v in good.items() if n != parameter.name}
            body = ujson.dumps(rest)[1:-1].encode()
            member = ujson.dumps(parameter.name).encode() + b":" + values(wrong)
            line = b'{"command":"%s","extID":"%s","data":{%s}}' % (
                name.encode(),
                fresh().encode(),
                b",".join(filter(None, (body, member))),
            )
            before = daemon.ledger.book.seq
            session.sendRaw(line + b"\r\n")
            daemon.settle()
            [answer] = session.answers()
            status, said = answer["status"], answer["data"]
            assert status < 500, (parameter.name, wrong, answer)
            if status == 400 and said["error"] == "INVALID_DATA":
                assert daemon.ledger.book.seq == before, (parameter.name, wrong)
    assert ask(daemon, session, "Ping", {})["status"] == 200


@EVERY
def test_missing(name: str) -> None:
    """A required parameter that is missing is named, and nothing is done."""
    daemon = Daemon()
    session = daemon.connect(token())
    good = next(data for command, data in SCRIPT if command == name)
    for parameter in parameters(COMMANDS[name].params):
        if parameter.required:
            before = daemon.ledger.book.seq
            answer = ask(daemon, session, name, {n: v for n, v in good.items() if n != parameter.name})
            assert (answer["status"], answer["data"]["error"]) == (400, "INVALID_DATA")
            assert answer["data"]["field"] == parameter.name
            assert daemon.ledger.book.seq == before


@EVERY
def test_withoutAToken(name: str) -> None:
    """Nobody asks anything without a token."""
    daemon = Daemon()
    good = next(data for command, data in SCRIPT if command == name)
    answer = ask(daemon, daemon.connect(), name, good)
    assert (answer["status"], answer["data"]["error"]) == (401, "PERMISSION_DENIED")


@EVERY
@pytest.mark.parametrize("role", [0, 1, 2, 3, 4, 5, 9, 10, 11])
def test_roles(name: str, role: int) -> None:
    """Only the roles that are declared get past the door, whatever they ask for."""
    daemon = Daemon()
    command: ICommand = COMMANDS[name]
    answer = ask(daemon, daemon.connect(token("1001", role)), name, {})
    outside = command.roles and role not in command.roles
    denied = (401, "ADD_BALANCE_ERROR") if command.denied else (403, "RET_NOT_ENOUGH_RIGHTS")
    assert ((answer["status"], answer["data"].get("error")) == denied) == bool(outside), answer


def test_nothingIsShared() -> None:
    """A declaration that many commands use is not one that two of them can change for each other."""
    assert all(issubclass(command.params, Struct) for command in COMMANDS.values())
    assert all(command.params.__struct_config__.frozen for command in COMMANDS.values())
    assert AddGroup.__struct_config__.frozen
