"""Parameters: declared once, checked strictly, refused by name, and described from the same declaration."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from scalemgr.commands.describe import Parameter, parameters
from scalemgr.commands.finance import BalanceIn
from scalemgr.commands.params import (
    Comment,
    Flag,
    IdempotencyKey,
    Login,
    Order,
    PositiveAmount,
    Text,
    TimeoutMs,
    UnixTime,
    convert,
)
from scalemgr.finance.money import Amount
from scalemgr.wire.errors import InvalidData

SAFE = 2**53 - 1


class Everything(Struct, frozen=True):
    """One of each."""

    login: Login = 1
    order: Order = 0
    open_time: UnixTime = 0
    enable: Flag = 0
    name: Text = ""
    comment: Comment | None = None
    idempotency_key: IdempotencyKey | None = None
    timeout_ms: TimeoutMs | None = None
    amount: PositiveAmount | None = None


class Inner(Struct, frozen=True):
    sec_index: int


class Outer(Struct, frozen=True):
    secgroups: list[Inner]


def refusal(data: dict[str, Any], type: type[Struct] = Everything) -> InvalidData:
    with pytest.raises(InvalidData) as caught:
        convert(data, type)
    assert (caught.value.status, caught.value.error) == (400, "INVALID_DATA")
    return caught.value


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("login", [1, SAFE], [0, -1, SAFE + 1, 2**63, 2**64, 1.0, 1.5, "1", None, True]),
        ("order", [0, SAFE], [-1, SAFE + 1, 1.0, "1", None, False]),
        ("open_time", [0, 253402300799], [-1, 253402300800, 1.5, "1"]),
        ("enable", [0, 1], [-1, 2, True, "1"]),
        ("name", ["", "x" * 256], ["x" * 257, 7, None]),
        ("comment", ["", "x" * 512, None], ["x" * 513, 7, ["x"]]),
        ("idempotency_key", ["x", "x" * 200, "é" * 100, None], ["", "x" * 201, "é" * 101, 7]),
        ("timeout_ms", [1, SAFE, None], [0, -1, 1.5, "1", True]),
    ],
)
def test_bounds(field: str, good: list[Any], bad: list[Any]) -> None:
    """Each kind of parameter takes what is in its bounds, of its very type, and refuses the rest by name."""
    for value in good:
        assert getattr(convert({field: value}, Everything), field) == value
    for value in bad:
        error = refusal({field: value})
        assert error.details == {"field": field}
        assert error.message.startswith(f"{field}: expected ")


@pytest.mark.parametrize(
    ("number", "amount"),
    [(250.0, (250, 0)), (250, (250, 0)), (0.01, (1, 2)), (59.970000000000006, (5997, 2)), (1e-8, (1, 8)), (None, None)],
)
def test_amount(number: object, amount: tuple[int, int] | None) -> None:
    """An amount is read as an exact decimal."""
    read = convert({"amount": number}, Everything).amount
    assert read == (None if amount is None else Amount(*amount))


@pytest.mark.parametrize(
    "number",
    [0, 0.0, -0.0, -1, -0.01, "10", True, [], {}, float("nan"), float("inf"), float("-inf"), 0.1234567890123456],
)
def test_badAmount(number: object) -> None:
    """What is no positive number of at most 15 digits is refused by name."""
    assert refusal({"amount": number}).details == {"field": "amount"}


def test_required() -> None:
    """A parameter without a default has to be given; the first that is missing is named."""
    error = refusal({"amount": 1}, BalanceIn)
    assert (error.message, error.details) == ("login: required", {"field": "login"})
    assert refusal({"login": 1}, BalanceIn).details == {"field": "amount"}


def test_unknownMembers() -> None:
    """Members that nobody declared are ignored."""
    assert convert({"login": 5, "what": [{}]}, Everything) == Everything(login=5)


def test_nested() -> None:
    """What is wrong deep inside is named with the way to it."""
    error = refusal({"secgroups": [{"sec_index": 1}, {"sec_index": "2"}]}, Outer)
    assert error.details == {"field": "secgroups[1].sec_index"}
    assert refusal({"secgroups": [{}]}, Outer).details == {"field": "secgroups[0]"}


def test_valueIsNotRepeated() -> None:
    """A refusal says what was expected, not what was sent: it may be a secret."""

    class Secret(Struct, frozen=True):
        password: Annotated[str, Meta(min_length=6, max_length=8, pattern="^[a-z]*$")]

    for value in ("hush", "hushhushhush", "HUSHED", ["hush"]):
        assert "hush" not in refusal({"password": value}, Secret).message.lower()


def test_described() -> None:
    """What is checked is what is described: names, types, defaults and bounds from one declaration."""
    described = {parameter.name: parameter for parameter in parameters(BalanceIn)}
    assert list(described) == list(BalanceIn.__struct_fields__)
    assert described["login"] == Parameter("login", "int", True, None, "account login", "at least 1")
    assert (described["amount"].type, described["amount"].required) == ("number", True)
    assert described["timeout_ms"] == Parameter(
        "timeout_ms", "int", False, None, "how long to wait for the event, milliseconds", "at least 1"
    )
    assert {name for name, parameter in described.items() if parameter.required} == {"login", "amount"}
    assert [parameter.type for parameter in parameters(Everything)] == [
        *("int", "int", "int", "int", "string", "string", "string", "int", "number")
    ]
    assert [parameter.type for parameter in parameters(Outer)] == ["list"]
