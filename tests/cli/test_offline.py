"""The scalemgr command, called as its users call it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import jwt
import pytest

from scalemgr.cli import main
from scalemgr.commands.base import FLAGS
from scalemgr.finance.masks import EVERYTHING
from scalemgr.finance.requests import AddGroup, Cause
from scalemgr.ledger.sqlite import SqliteLedger
from scalemgr.playground import play


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_tokenOfANewKey(capsys: pytest.CaptureFixture[str]) -> None:
    """A first token makes its secret, for the owner only, and carries what was said."""
    words = ["token", "--new-key", "--id", "crm", "--role", "dealer", "--groups", "real-*,!real-test", "--days", "1"]
    assert main(words) == 0
    made = capsys.readouterr()
    assert stat.S_IMODE(os.stat("scalemgr.key").st_mode) == 0o600
    secret = Path("scalemgr.key").read_bytes().strip()
    claims = jwt.decode(made.out.strip(), secret, algorithms=["HS256"])
    assert (claims["id"], claims["role"], claims["groups"]) == ("crm", 2, "real-*,!real-test")
    assert claims["exp"] - claims["iat"] == 86400
    assert "scalemgr.key is made" in made.err
    assert "valid until" in made.err


@pytest.mark.parametrize(("flags", "claim"), [([], None), (["--explicit-keys"], "explicit")])
def test_tokenWithExplicitKeys(capsys: pytest.CaptureFixture[str], flags: list[str], claim: str | None) -> None:
    """A client that uses its extIDs again gets a token that says so, and no other does."""
    assert main(["token", "--new-key", "--id", "crm", "--role", "manager", *flags]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), options={"verify_signature": False})
    assert claims.get("key") == claim


def test_tokenNeverReplacesAKey(capsys: pytest.CaptureFixture[str]) -> None:
    """A secret that exists is never written over."""
    Path("scalemgr.key").write_text("0123456789abcdef0123456789abcdef")
    assert main(["token", "--new-key", "--id", "x", "--role", "admin"]) == 1
    assert "exists already; leave out --new-key to use it" in capsys.readouterr().err
    assert Path("scalemgr.key").read_text() == "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "words",
    [
        ["token", "--id", "x", "--role", "emperor"],
        ["token", "--id", "x", "--role", "manager", "--groups", "!a"],
        ["token", "--id", "x", "--role", "manager", "--groups", "real *"],
        ["token", "--id", "x", "--role", "manager", "--without", "see_all"],
        ["token", "--id", "x", "--role", "manager", "--days", "-1"],
        ["nonsense"],
        [],
    ],
)
def test_wrongWordsAreStatus2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Words that make no sense end with status 2 and a usage line."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: scalemgr" in capsys.readouterr().err


def test_tokenNeedsAKey(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key there is no token, but a word on how to make one."""
    assert main(["token", "--id", "x", "--role", "manager"]) == 1
    assert "--new-key` makes one" in capsys.readouterr().err


def test_commandsAreListed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command is listed with its aliases, package, roles and parameters."""
    assert main(["commands", "--text"]) == 0
    said = capsys.readouterr().out
    assert "MngAddAccount, AddUser  [scalemgr.commands.accounts]" in said
    assert "BalanceInSync  [scalemgr.commands.finance]" in said
    assert "    amount: number, required" in said
    assert "    roles: SESSION_ADMIN SESSION_DEALER SESSION_MANAGER" in said


def test_verifyTellsWhatItFound(capsys: pytest.CaptureFixture[str]) -> None:
    """verify ends with status 0 and one line, or 1 and what differs."""
    ledger = SqliteLedger(Path("ledger"))
    ledger.open(0)
    ledger.commit([AddGroup(Cause("x", EVERYTHING), "g", "USD", 2, {})], 0)
    ledger.close(None)
    assert main(["verify", "--text", "--ledger", "sqlite:ledger"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(
        "1 entries (1 events, 0 refusals, 0 others), 0 keys, 0 accounts, 0 trades as of entry 1: no difference"
    )
    Path("ledger/views.db").unlink()
    assert main(["verify", "--text", "--ledger", "sqlite:ledger"]) == 1
    assert (
        "views.db cannot be read: it is missing; the next start of the daemon makes it again" in capsys.readouterr().out
    )
    for words in (["verify"], ["backup", "copy.db"]):
        assert main([*words, "--ledger", "sqlite:nowhere"]) == 2
        assert "nowhere/log.db does not exist, so there is no ledger" in capsys.readouterr().err
        assert main([*words, "--ledger", "memory:"]) == 2
        assert "expected sqlite:FOLDER" in capsys.readouterr().err
    assert main(["restore", "nowhere.db", "restored"]) == 2
    assert "nowhere.db is no file" in capsys.readouterr().err


def test_demoShowsTheMainJob(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """demo prints the request, its answer and the event, and without a terminal it ends by itself."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent))
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert play() == 0
    request, response, event = capsys.readouterr().out.splitlines()
    assert request.startswith('request:  {"command": "BalanceInSync", "extID": "deposit-req-1001"')
    assert response.startswith('response: {"extID":"deposit-req-1001","status":200,"data":{"order":1,"login":1001,')
    assert '"profit":250.0,"comment":"Payment gateway deposit"' in response
    assert event.startswith('event:    {"event":"trade:event","type":0,"data":{"order":1,')


def test_tokenOfAUser(capsys: pytest.CaptureFixture[str]) -> None:
    """The token of a user names the account that it may see; nobody else's does."""
    arguments = ["token", "--new-key", "--role", "user"]
    assert main([*arguments, "--id", "ann"]) == 2
    assert "--login" in capsys.readouterr().err
    assert main(["token", "--id", "ann", "--role", "user", "--login", "5001"]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), options={"verify_signature": False})
    assert (claims["id"], claims["login"]) == ("ann", 5001)
    assert main(["token", "--id", "m", "--role", "manager", "--login", "1"]) == 2


@pytest.mark.parametrize(
    ("options", "withheld"),
    [
        ([], set()),
        (["--without", "set_accounts", "--without", "del_accounts"], {"set_accounts", "del_accounts"}),
        (["--only", "set_finance", "--only", "see_trades"], FLAGS.keys() - {"set_finance", "see_trades"}),
        (["--only", "see_trades", "--without", "see_trades"], FLAGS.keys()),
    ],
)
def test_tokenWithFlags(capsys: pytest.CaptureFixture[str], options: list[str], withheld: set[str]) -> None:
    """A token withholds the flags that are named, or all but those."""
    arguments = ["token", "--new-key", "--id", "psp", "--role", "dealer"]
    assert main([*arguments, *options]) == 0
    said = capsys.readouterr()
    claims = jwt.decode(said.out.strip(), options={"verify_signature": False})
    assert {flag for flag in FLAGS if claims.get(flag) == 0} == withheld
    assert "covers every group" in said.err


def test_tokenHasAnId(capsys: pytest.CaptureFixture[str]) -> None:
    """Every token has an id, its own or a chosen one, which is told; one that cannot be listed is refused."""
    arguments = ["token", "--id", "crm", "--role", "manager"]
    assert main([*arguments, "--new-key"]) == 0
    assert main([*arguments]) == 0
    assert main([*arguments, "--token-id", "crm-2027"]) == 0
    said = capsys.readouterr()
    ids = [jwt.decode(text, options={"verify_signature": False})["jti"] for text in said.out.split()]
    assert len(set(ids)) == 3
    assert ids[2] == "crm-2027"
    assert all(f"its id, to revoke it by, is {id}\n" in said.err for id in ids)
    for bad in ("", "#x", "x" * 201, "a\nb"):
        with pytest.raises(SystemExit):
            main([*arguments, "--token-id", bad])


def test_tokenOfANamedKey(capsys: pytest.CaptureFixture[str]) -> None:
    """A token names the key that it is signed with if that has a name: the first one, or the one that is asked for."""
    Path("c.toml").write_text('[auth]\nkey_files = ["2027=new.key", "2026=old.key", "first.key"]\n')
    arguments = ["token", "--config", "c.toml", "--id", "crm", "--role", "manager"]
    assert main(["token", "--config", "c.toml", "--new-key", "--kid", "2026"]) == 0
    assert main([*arguments, "--new-key"]) == 0
    assert main([*arguments, "--kid", "2026"]) == 0
    new, old = capsys.readouterr().out.split()
    for text, kid, file in ((new, "2027", "new.key"), (old, "2026", "old.key")):
        assert jwt.get_unverified_header(text)["kid"] == kid
        assert jwt.decode(text, Path(file).read_bytes().strip(), algorithms=["HS256"])["id"] == "crm"
    assert not Path("first.key").exists()
    assert main([*arguments, "--kid", "2028"]) == 1
    assert "no key is named 2028: auth.key_files has 2027, 2026. Add '2028=FILE' to it" in capsys.readouterr().err
