"""What a token may say of its bearer: a name, a role, groups, an audience."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.finance.caps import readCaps

from ..helpers import SECRET, token
from .tokens import assertRefused, authenticator, believed, forged


def assertUnusable(claims: dict[str, Any]) -> None:
    """A token with a good signature and these claims is refused."""
    assertRefused(authenticator(), forged({"alg": "HS256"}, SECRET, claims))


@pytest.mark.parametrize(
    ("role", "number"),
    [(0, 0), (1, 1), (3, 3), (9, 9), (11, 11), ("manager", 1), ("Dealer", 2), ("SESSION_ADMIN", 3), ("crm_admin", 11)],
)
def test_role(role: object, number: int) -> None:
    """A role is a published number, or its name with or without C{SESSION_}, in any case."""
    assert believed({"id": "crm", "role": role, "login": 1001}).role == number


@pytest.mark.parametrize("role", [None, -1, 6, 99, True, 1.0, "", "1", "root", "SESSION_", [], ["admin"], {}])
def test_unknownRole(role: object) -> None:
    """A role that is none gives no role at all."""
    assertUnusable({"id": "crm", "role": role})


def test_noRole() -> None:
    """A token without a role is refused."""
    assertUnusable({"id": "crm"})


@pytest.mark.parametrize(("groups", "covers"), [("*", True), ("demo", True), ("real-*,demo", True), ("*,!demo", False)])
def test_groups(groups: str, covers: bool) -> None:
    """The mask of a token says which groups it may touch."""
    assert believed({"id": "crm", "role": 1, "groups": groups}).mask.covers("demo") is covers


def test_withoutGroups() -> None:
    """A token without a mask may touch every group."""
    assert believed({"id": "crm", "role": 1}).mask.covers("any")


@pytest.mark.parametrize("groups", ["", " ", ",", "!demo", "!*", 7, True, ["demo"], {}])
def test_unusableGroups(groups: object) -> None:
    """A mask that cannot be used, or includes nothing, is refused: it is not taken for everything."""
    assertUnusable({"id": "crm", "role": 1, "groups": groups})


@pytest.mark.parametrize(
    ("claims", "id"),
    [
        ({"id": "crm"}, "crm"),
        ({"id": 7}, "7"),
        ({"sub": "crm"}, "crm"),
        ({"sub": 7}, "7"),
        ({"id": "crm", "sub": "other"}, "crm"),
        ({"id": "x" * 200}, "x" * 200),
    ],
)
def test_id(claims: dict[str, Any], id: str) -> None:
    """Who a token speaks for is its C{id}, or else its C{sub}, a string or a number."""
    assert believed({**claims, "role": 1}).id == id


@pytest.mark.parametrize("id", [None, "", "x" * 201, True, 1.5, [], {}])
@pytest.mark.parametrize("name", ["id", "sub"])
def test_unusableId(name: str, id: object) -> None:
    """A token that names nobody is refused."""
    assertUnusable({name: id, "role": 1})
    assertUnusable({"role": 1})


def test_audience() -> None:
    """A token for an audience is believed by that audience only; one for nobody only where none is configured."""
    here, there, nobody = token(aud="scalemgr"), token(aud=["crm", "scalemgr"]), token()
    configured = authenticator(audience="scalemgr")
    assert configured.principal(here).id == configured.principal(there).id == "crm"
    assertRefused(configured, nobody)
    assertRefused(configured, token(aud="other"))
    assertRefused(authenticator(), here)
    assert authenticator().principal(nobody).id == "crm"


@pytest.mark.parametrize(
    ("claims", "caps"),
    [
        ({}, None),
        ({"max_amount": {"USD": 10.5}}, {"USD": {"amount": 10.5}}),
        ({"max_per_day": {"USD": "50", "EUR": 7}}, {"USD": {"day": "50"}, "EUR": {"day": 7}}),
        (
            {"max_amount": {"USD": 10}, "max_per_day": {"USD": 50, "EUR": 0}},
            {"USD": {"amount": 10, "day": 50}, "EUR": {"day": 0}},
        ),
        ({"max_amount": {}}, {}),
        ({"max_amount": {}, "max_per_day": {}}, {}),
    ],
)
def test_caps(claims: dict[str, Any], caps: Any) -> None:
    """A token may cap what its bearer moves at once and in a day, by currency; if it names none, nothing moves."""
    assert believed({"id": "crm", "role": 1, **claims}).caps == (None if caps is None else readCaps(caps))


@pytest.mark.parametrize(
    "caps",
    [
        *(None, 10, "10", True, [], [["USD", 10]], {"": 10}),
        *({"USD": cap} for cap in (None, -1, True, "1e3", {}, 10**15, 0.1234567890123456, float("nan"), float("inf"))),
    ],
)
@pytest.mark.parametrize("claim", ["max_amount", "max_per_day"])
def test_unusableCaps(claim: str, caps: object) -> None:
    """Caps that cannot be read refuse the token: they are not taken for none."""
    assertUnusable({"id": "crm", "role": 1, claim: caps})
