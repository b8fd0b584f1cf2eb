"""An audit of the rest: what is deleted, what awaits approval, and each balance that was broadcast."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalemgr.ledger.audit import verify

from .helpers import opened, sql
from .scribe import Scribe, keep
from .tampering import change


@pytest.fixture
def kept(folder: Path) -> Path:
    """A ledger with something of everything."""
    with opened(folder) as ledger:
        keep(ledger, Scribe(says=True).story().entries)
    return folder


def test_clean(kept: Path) -> None:
    """Where everything happened and nothing was tampered with, there is nothing to find."""
    audit = verify(kept)
    assert (audit.differences, audit.accounts, audit.trades) == ([], 4, 9)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE account SET pending = 0 WHERE login = 1001", "login 1001: pending is 0, the log says 1"),
        ("UPDATE account SET deleted = 0 WHERE login = 1004", "login 1004: deleted is False, the log says True"),
        (
            'UPDATE "group" SET deleted = 0 WHERE "group" = \'gone\'',
            "group gone is not deleted, the log says that it is",
        ),
        (
            'UPDATE trade SET "group" = \'demo\' WHERE "order" = 9',
            "order 9 of login 1002 is in group demo, the log says vip",
        ),
        ("UPDATE account SET credit = 250 WHERE login = 1001", "login 1001: credit is 250, the log says 0"),
    ],
)
def test_tampered(kept: Path, statement: str, found: str) -> None:
    """What was changed in the views is found, and nothing else."""
    sql(kept / "views.db", statement)
    assert verify(kept).differences == [f"views.db: {found}"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"balance": 5.0}, "balance of login 1001 is 5.0, the entries before it say 10.0"),
        ({"credit": 1.0}, "credit of login 1001 is 1.0, the entries before it say 0.0"),
        ({"equity": 0.1}, "equity of login 1001 is 0.1, the entries before it say 10.0"),
        ({"margin": 1.0}, "margin of login 1001 is 1.0, the entries before it say 0.0"),
        ({"margin_free": None}, "margin_free of login 1001 is None, the entries before it say 10.0"),
        ({"margin_level": 1.0}, "margin_level of login 1001 is 1.0, the entries before it say 0.0"),
        ({"balance_version": 2}, "balance_version of login 1001 is 2, the entries before it say 1"),
        ({"login": 1002}, "login of login 1001 is 1002, the entries before it say 1001"),
    ],
)
def test_wrong_balance_event(folder: Path, wrong: dict[str, object], said: str) -> None:
    """A balance that was broadcast and is not what the entries before it come to is found."""
    scribe = Scribe()
    scribe.group()
    scribe.user()
    scribe.trade(1, 1000)
    scribe.balance(**wrong)
    scribe.trade(2, 5)
    scribe.balance()
    with opened(folder) as ledger:
        keep(ledger, scribe.entries)
    assert verify(folder).differences == [f"log.db: entry 4 says that {said}"]


def test_balance_of_nobody(folder: Path) -> None:
    """A balance of an account that there is not is found."""
    scribe = Scribe()
    scribe.group()
    scribe.user()
    scribe.balance()
    with opened(folder) as ledger:
        keep(ledger, scribe.entries)
    change(folder / "log.db", 3, login=77)
    assert verify(folder).differences == ["log.db: entry 3 says the balance of login 77, which there is not"]


def test_unsaid_balance(folder: Path) -> None:
    """An entry that moves money and is not followed by what there is then is found, also at the end of the log."""
    scribe = Scribe()
    scribe.group()
    scribe.user()
    scribe.trade(1, 1000)
    scribe.balance()
    scribe.trade(2, 5)
    scribe.trade(3, 5)
    scribe.balance()
    scribe.trade(4, 5)
    with opened(folder) as ledger:
        keep(ledger, scribe.entries)
    unsaid = "moves money and is not followed by what the account has then"
    assert verify(folder).differences == [f"log.db: entry 5 {unsaid}", f"log.db: entry 8 {unsaid}"]


def test_older_log(folder: Path) -> None:
    """A log that begins before balances were said is sound; from the first one on, they must be."""
    scribe = Scribe()
    scribe.group()
    scribe.user()
    scribe.trade(1, 1000)
    scribe.trade(2, 5)
    scribe.balance()
    with opened(folder) as ledger:
        keep(ledger, scribe.entries)
    assert verify(folder).differences == []
