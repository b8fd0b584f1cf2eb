"""The commands of a client are those that the server declares, with their types."""

from __future__ import annotations

import ast
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scalemgr.client.commands import Commands
from scalemgr.client.declared import CHOOSING, COMMANDS, Kind, amounts, kindOf, parameters, suggestion
from scalemgr.client.errors import BadParameters, NotApplied

from ..e2e.daemons import ROOT
from ..helpers import builtIn
from .declaring import FILE, text


def test_allThatAreFound() -> None:
    """What the client knows is what the server finds."""
    found = {name: command for command in builtIn() for name in (command.name, *command.aliases)}
    assert found == COMMANDS


def test_fileIsAsDeclared() -> None:
    """The file with the signatures is what is made of the declarations: C{python -m tests.client.declaring}."""
    # The layout is the formatter's, which need not be there to run the tests.
    assert ast.dump(ast.parse(FILE.read_text("utf-8"))) == ast.dump(ast.parse(text()))


def test_everyCommandIsAnAttribute() -> None:
    """Each has a signature and a sentence, but for those that choose events."""
    for name in COMMANDS:
        assert hasattr(Commands, name) == (name not in CHOOSING)
        if name not in CHOOSING:
            assert getattr(Commands, name).__doc__


def test_kinds() -> None:
    """What changes something is named; what does not is a question; what nobody knows is sent once."""
    assert kindOf("BalanceInSync", None) is Kind.NAMED
    assert kindOf("AddUser", None) is Kind.NAMED
    assert kindOf("GetStatement", None) is Kind.QUESTION
    assert kindOf("Acme", None) is Kind.ONCE
    assert kindOf("Acme", "k") is Kind.NAMED
    for name, command in COMMANDS.items():
        changes = bool(command.about.events)
        assert (kindOf(name, None) is Kind.NAMED) == changes, name


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (250, 250),
        ("250.00", 250),
        ("-0.10", -0.1),
        (Decimal("59.97"), 59.97),
        (59.970000000000006, 59.970000000000006),
        ("999999999999.99", 999999999999.99),
        (Decimal("1E+3"), 1000),
    ],
)
def test_amounts(given: Any, sent: float) -> None:
    """An amount is sent as the number that the server reads as exactly it."""
    assert amounts("BalanceInSync", {"amount": given}) == {"amount": sent}


@pytest.mark.parametrize(
    "given",
    [
        "1e3",
        " 1",
        "1_000",
        "1,5",
        "",
        "NaN",
        "\u0661",
        Decimal("NaN"),
        Decimal("Infinity"),
        float("inf"),
        True,
        [],
        "0.12345678901234567",
        Decimal("1234567890123456.5"),
        1234567890.1234567,
        Decimal("1E+999999"),
        Decimal("1E-999999"),
    ],
)
def test_amountsThatAreNone(given: Any) -> None:
    """What cannot be sent exactly is refused, never rounded."""
    with pytest.raises(BadParameters, match="amount"):
        amounts("BalanceInSync", {"amount": given})


def test_amountsOfGroups() -> None:
    """A floor is an amount, too; what is no amount is left alone."""
    assert amounts("AddGroup", {"floor": "-5.50", "credit": 1.5}) == {"floor": -5.5, "credit": 1.5}
    assert amounts("Acme", {"amount": "5"}) == {"amount": "5"}


def test_renamed() -> None:
    """What is no name in Python has another here, and its own on the wire; what is None is left out."""
    assert parameters("GetStatement", {"login": 1, "from_": 5, "to": None}) == {"login": 1, "from": 5}


def test_suggestions() -> None:
    """What was meant is guessed, whatever its case, and nothing far from it."""
    assert suggestion("balanceinsync") == "; did you mean BalanceInSync?"
    assert suggestion("then") == ""


CHECKED = """
from decimal import Decimal
from typing import assert_type
from twisted.internet.defer import Deferred
from scalemgr.client import AsyncClient, Client, ManagerClient
from scalemgr.commands.answers import Accepted, Account, GroupSaid, StatementSaid, Trade

def blocking(client: Client) -> None:
    assert_type(client.BalanceInSync(login=1, amount=Decimal(2), idempotency_key="k", deadline=3.0), Trade)
    assert_type(client.BalanceIn(login=1, amount="2"), Accepted)
    assert_type(client.GetAccountByLogin(login=1), Account)
    assert_type(client.GetStatement(login=1, from_=5).rows[0], list[object])  # E
    client.BalanceInSync(login="1", amount=2)  # E
    client.BalanceInSync(login=1)  # E
    client.BalanceInSnyc(login=1, amount=2)  # E

async def asynchronous(client: AsyncClient) -> None:
    assert_type(await client.GetStatement(login=1), StatementSaid)
    client.BalanceInSync(login=1, amount=2)  # E

def deferred(client: ManagerClient) -> None:
    assert_type(client.AddGroup(group="g", currency="USD", floor="0"), Deferred[GroupSaid])
"""


def test_typesAreKnown(tmp_path: Path) -> None:
    """A type checker knows parameters and answers of each of the three clients, and what is no command."""
    pytest.importorskip("mypy")
    file = tmp_path / "checked.py"
    file.write_text(CHECKED)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(file)]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False).stdout
    found = {int(line.split(":")[1]) for line in said.splitlines() if ": error:" in line}
    assert found == {n for n, line in enumerate(CHECKED.splitlines(), 1) if line.endswith("# E")}, said


def test_whatGoesOutIsNegative() -> None:
    """A withdrawal with the sign of a deposit is not applied, and what was meant is said."""
    with pytest.raises(NotApplied, match="what goes out is negative: -9000000") as wrong:
        parameters("BalanceOutSync", {"login": 1001, "amount": "9000000"})
    assert isinstance(wrong.value, BadParameters)
    assert wrong.value.outcome == "untaken"
