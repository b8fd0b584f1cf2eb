"""scalemgr reconcile, called as its users call it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from scalemgr.cli import main
from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.money import Amount
from scalemgr.finance.requests import AddAccount, AddGroup, Cause, MoveMoney
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.wire.codes import TradeCommand

#: 2026-11-26T12:00:00Z
NOON_MS = 1_795_694_400_000
WORDS = ["reconcile", "list.csv", "--ledger", "sqlite:ledger"]


@pytest.fixture(autouse=True)
def ledger(here: Path) -> None:
    """Two deposits and a withdrawal of psp, on two days."""
    cause = Cause("psp", EVERYTHING)
    ledger = SqliteLedger(here / "ledger")
    ledger.open(NOON_MS)
    ledger.commit(
        [AddGroup(cause, "g", "USD", 2, {}), *(AddAccount(cause, n, "g", 1, {}, "") for n in (1001, 1002))], NOON_MS
    )
    moves = ((1001, 25000, "p-1", 0), (1002, 1999, "p-2", 0), (1001, -5000, "w-1", 1))
    for order, (login, cents, key, day) in enumerate(moves, 1):
        kind = TradeCommand.OP_BALANCE_IN if cents > 0 else TradeCommand.OP_BALANCE_OUT
        request = MoveMoney(Cause("psp", EVERYTHING, key), kind, login, Amount(cents, 2), order)
        ledger.commit([request], NOON_MS + day * 86_400_000)
    ledger.close(None)


def reconcile(capsys: pytest.CaptureFixture[str], text: str, *more: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status, and what was said, for this list."""
    Path("list.csv").write_text(text, encoding="utf-8")
    status = main([*WORDS, *more])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


ALL = "reference,login,amount\np-1,1001,250.00\np-2,1002,19.99\nw-1,1001,-50\n"


def test_allMatch(capsys: pytest.CaptureFixture[str]) -> None:
    """If all match and nothing is left over it is status 0, and one line that says as of which entry."""
    status, (summary,) = reconcile(capsys, ALL, "--from", "2026-11-26", "--id", "psp")
    assert status == 0
    assert summary.pop("epoch")
    kinds = {"missing": 0, "refused": 0, "double": 0, "different": 0, "extra": 0}
    assert summary == {"seq": 9, "lines": 3, "matched": 3, **kinds}


def test_notAllMatch(capsys: pytest.CaptureFixture[str]) -> None:
    """If one does not it is status 1, and says which line, and why; --all tells the others, too."""
    text = ALL.replace("19.99", "20") + "p-3,1001,1\n"
    status, said = reconcile(capsys, text)
    assert status == 1
    assert said[:-1] == [
        {
            "finding": "different",
            "line": 3,
            "reference": "p-2",
            "login": 1002,
            "amount": 20.0,
            "orders": [2],
            "why": "order 2 is of 19.99",
        },
        {
            "finding": "missing",
            "line": 5,
            "reference": "p-3",
            "login": 1001,
            "amount": 1.0,
            "why": "the ledger does not have this reference",
        },
    ]
    status, said = reconcile(capsys, text, "--all")
    assert [s["finding"] for s in said[:-1]] == ["matched", "different", "matched", "missing"]


@pytest.mark.parametrize(
    ("days", "extras"),
    [
        ([], []),
        (["--from", "2026-11-26"], ["p-2", "w-1"]),
        (["--from", "2026-11-27"], ["w-1"]),
        (["--to", "2026-11-26"], ["p-2"]),
        (["--from", "2026-11-26", "--to", "2026-11-26T11:59:59"], []),
        (["--to", "1795694401"], ["p-2"]),
    ],
)
def test_extraOfADay(capsys: pytest.CaptureFixture[str], days: list[str], extras: list[str]) -> None:
    """What is left over is told of the days that were named, and makes it status 1; days are whole."""
    status, said = reconcile(capsys, "reference,login,amount\np-1,1001,250\n", *days)
    assert [s["reference"] for s in said if s.get("finding") == "extra"] == extras
    assert status == (1 if extras else 0)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("\ufeffReference;Login;Amount\r\np-1;1001;250,00\r\n\r\n", ["--decimal-comma"]),
        ("Amount\tx\tReference\tLogin\n250\t\tp-1\t1001\n", []),
        ("id|acc|sum\np-1|1001|+250.0\n", ["--reference-column", "ID", "--login-column=acc", "--amount-column", "sum"]),
        ('reference,login,amount,note\n"p-1","1001","250","a, b\nc"\n', []),
        ("reference;login;amount;a,b,c,d,e\np-1;1001;250;\n", ["--delimiter", ";"]),
        ("reference,login,amount\nw-1,1001,50\n", ["--payouts"]),
    ],
)
def test_howListsAreWritten(capsys: pytest.CaptureFixture[str], text: str, more: list[str]) -> None:
    """Marks, delimiters, quotes, decimal commas, columns in any order and by any name: all read alike."""
    status, (summary,) = reconcile(capsys, text, *more)
    assert (status, summary["lines"], summary["matched"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("reference,login,amount\np-1,1001\n", "line 2: it has 2 columns, the first line 3"),
        ("reference,login,amount\np-1,1001,1\n,1001,1\n", "line 3: it has no reference"),
        ("reference,login,amount\np-1,ann,1\n", "line 2: 'ann' is no login"),
        ("reference,login,amount\np-1,1001,1e3\n", "line 2: '1e3' is no amount"),
        ("reference,login,amount\np-1,1001,\u0661\n", "is no amount"),
        ("reference,login,amount\np-1,1001,NaN\n", "line 2: 'NaN' is no amount"),
        ("reference,login,amount\np-1,1001,0.00\n", "line 2: nothing was paid: its amount is 0"),
        ("reference,login,amount\np-1,1001,999999999999999.5\n", "more than 15 digits"),
        ('reference,login,amount\np-1,1001,"1\n', "line 2: it cannot be read, nor what follows"),
        ("reference,login,amount\n" + "x,x,x\n" * 30, "and 10 more"),
        ("reference,login\np-1,1001\n", "the first line names no column 'amount'"),
        ("reference,login,login,amount\n", "the first line names more than one column 'login'"),
        ("", "the first line names no column 'reference'"),
    ],
)
def test_badLists(capsys: pytest.CaptureFixture[str], text: str, why: str) -> None:
    """What is no payment is named with its line, with status 2, and nothing is compared."""
    Path("list.csv").write_text(text, encoding="utf-8")
    assert main(WORDS) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert why in said.err
    assert len(said.err.splitlines()) <= 22


def test_notText(capsys: pytest.CaptureFixture[str]) -> None:
    """A list in another encoding is status 2, and so is one that does not exist."""
    Path("list.csv").write_bytes(b"reference,login,amount\np-\xe4,1001,1\n")
    assert main(WORDS) == 2
    assert "list.csv" in capsys.readouterr().err
    Path("list.csv").unlink()
    assert main(WORDS) == 2
    assert "list.csv cannot be read: No such file" in capsys.readouterr().err


def test_fromABackupAndAPipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The list may come through a pipe, and the ledger from a backup."""
    assert main(["backup", "copy.db", "--ledger", "sqlite:ledger"]) == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + ALL.encode())))
    assert main(["reconcile", "-", "--backup", "copy.db", "--text"]) == 0
    assert "3 lines against log" in capsys.readouterr().out


def test_noLedger(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a ledger there is nothing to compare with: status 2, and not 1, which is a difference."""
    Path("list.csv").write_text(ALL)
    for words in (["--ledger", "sqlite:nowhere"], ["--backup", "nowhere"], ["--ledger", "memory:"]):
        assert main(["reconcile", "list.csv", *words]) == 2
        assert "ledger" in capsys.readouterr().err


def test_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """An id of which the ledger has nothing is status 2, and not a list of which all is missing."""
    Path("list.csv").write_text(ALL)
    assert main([*WORDS, "--id", "pps"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "scalemgr: no request of pps is in this ledger; it has psp\n")


def test_asAnother(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    """What is in the list and was asked for by another is there, and told as such."""
    ledger = SqliteLedger(here / "ledger")
    ledger.open(NOON_MS)
    request = MoveMoney(Cause("gateway", EVERYTHING, "p-9"), TradeCommand.OP_BALANCE_IN, 1001, Amount(100, 2), 4)
    ledger.commit([request], NOON_MS)
    ledger.close(None)
    status, said = reconcile(capsys, "reference,login,amount\np-9,1001,1\n", "--id", "psp")
    assert (status, said[0]["finding"]) == (1, "different")
    assert said[0]["why"].startswith("it was asked for by gateway, as order 4")
