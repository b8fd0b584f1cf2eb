"""Tokens of careless issuers, and of clients that need none."""

from __future__ import annotations

from typing import Any

import pytest

from scalemgr.server.auth import Authenticator, Principal

from ..helpers import Daemon, token


@pytest.mark.parametrize(
    "claims",
    [{"exp": 10**400}, {"nbf": 10**400}, {"exp": float("nan")}, {"groups": None}, {"id": "\ud800"}, {"id": "a\nb"}],
    ids=["exp", "nbf", "NaN", "groups", "surrogate", "line break"],
)
def test_claimsThatMeanNothingAreRefused(claims: dict[str, Any]) -> None:
    """A claim that no careful issuer writes refuses the token; it is neither an error of ours nor overlooked."""
    session = Daemon().connect(token(**claims))
    session.send("Ping", 1)
    assert [(a["status"], a["data"]["error"]) for a in session.answers()] == [(401, "PERMISSION_DENIED")]


def test_demoTakesAnyToken() -> None:
    """Where nobody needs a token, one that the published clients send all the same does no harm."""
    anonymous = Principal("demo", 1)
    assert Authenticator(Daemon().clock, None, anonymous).principal("whatever") is anonymous
