"""What an outbox's campaign is made of: its list, its strikes, its notes and its look into the outbox."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from scalemgr.client.outbox import OutboxFile

from .kept import Kept, kept
from .notes import Began, Doubt, Notes, Reader, Told, noted
from .payments import DIGITS, drawn, read, write
from .strikes import FREE, Plan
from .strikes import drawn as drawnStrikes

LOGINS = {currency: [1000 + n] for n, currency in enumerate(DIGITS)}


def test_listIsDrawn(tmp_path: Path) -> None:
    """A seed says the list; only their references tell some payments apart; and the file says all of it."""
    payments = drawn(Random(1), LOGINS, 300)
    assert payments == drawn(Random(1), LOGINS, 300) != drawn(Random(2), LOGINS, 300)
    assert len({payment.reference for payment in payments}) == 300
    assert len({(payment.login, payment.amount) for payment in payments}) < 280
    for payment in payments:
        (currency,) = (name for name, logins in LOGINS.items() if payment.login in logins)
        amount = Decimal(payment.amount)
        assert amount > 0
        assert -int(amount.as_tuple().exponent) == DIGITS[currency]
    write(tmp_path / "list.csv", payments)
    assert read(tmp_path / "list.csv") == payments


@pytest.mark.parametrize(
    "plan", [Plan(), Plan(100, 2, 1), Plan(100, 0, 1), Plan(100, 1, 0), Plan(100, 1, 8), Plan(100, 0, 0)]
)
def test_strikesAreDrawn(plan: Plan) -> None:
    """As often as planned, in order, while something is left to pay; the client, if at all, first, and held."""
    strikes = drawnStrikes(plan, Random(1))
    assert strikes == drawnStrikes(plan, Random(1))
    assert sum(strike.daemon for strike in strikes) == plan.kills
    assert sum(strike.payer for strike in strikes) == plan.payerKills
    assert [strike.at for strike in strikes] == sorted(strike.at for strike in strikes)
    assert all(strike.at < int(FREE * plan.payments) for strike in strikes)
    assert [strike.isHeld for strike in strikes][:1] == [plan.payerKills > 0] * (len(strikes) > 0)
    assert not any(strike.isHeld and not strike.payer for strike in strikes)


def test_notesAreRead(tmp_path: Path) -> None:
    """Notes are read as they come, each once, and the last one only when it is whole."""
    path = tmp_path / "notes"
    reader = Reader(path)
    assert reader.look() == []
    with Notes(path) as notes:
        notes.note(Began(["ä\n"]))
        assert reader.look() == [Began(["ä\n"])]
        notes.note(Told("a", 1, 1001, 59.97))
        notes.note(Doubt("b", "why", isLate=True))
    with path.open("ab") as file:
        file.write(b'{"type":"Began",')
    assert reader.look() == [Told("a", 1, 1001, 59.97), Doubt("b", "why", isLate=True)]
    with path.open("ab") as file:
        file.write(b'"left":[]}\n')
    assert reader.look() == [Began([])]
    assert reader.notes == noted(path)
    with pytest.raises(FileExistsError):
        Notes(path)


def test_outboxIsLookedInto(tmp_path: Path) -> None:
    """What is in it and what of that is not certain is read from a copy, also of what is only in its WAL yet."""
    path = tmp_path / "outbox"
    file = OutboxFile(path)
    file.write([("BalanceIn", "a", "{}", "crm"), ("BalanceIn", "b", "{}", "crm")], [])
    file.write([], [(1, "200")])
    assert path.with_name("outbox-wal").stat().st_size
    before = {found.name: found.read_bytes() for found in tmp_path.iterdir()}
    assert kept(path) == Kept(frozenset("ab"), ["b"])
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == before
    file.close()
    path.write_bytes(b"")
    assert kept(path) == Kept(frozenset(), [])
    path.write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        kept(path)
