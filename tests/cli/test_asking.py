"""The verbs that ask a daemon, against a real one."""

from __future__ import annotations

import csv
import json
import shlex
import socket
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from scalemgr.client import Client
from scalemgr.ledger.audit import verify

from ..client.certificates import Authority
from ..client.peers import speechless
from ..client.test_tls import peer
from ..e2e.daemons import LOOPBACK, daemon
from .conftest import Demo
from .test_command import ENVIRONMENT, SCALEMGR

Say = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("server")


def key() -> str:
    """A name that no other test uses."""
    return uuid.uuid4().hex


def balance(said: Say, login: str) -> float:
    """What is on an account."""
    status, out, _ = said("account", login)
    assert status == 0
    return float(json.loads(out)["balance"])


@pytest.mark.parametrize(
    ("words", "redirected", "expected"),
    [
        (["--key", "full"], "> /dev/full", 141),
        (["--text", "--comment", "für Ann", "--key", "letters"], "", 0),
        (["--key", "nobody", "--server", "127.0.0.1:1", "--timeout", "0.1"], "> /dev/full", 4),
        ([], "2> /dev/full", 1),
        (["--key", "closed"], ">&-", 141),
        (["--key", "silent"], ">&- 2>&-", 141),
        (["--key", "no one", "--server", "127.0.0.1:1", "--timeout", "0.1"], ">&- 2>&-", 4),
        ([], "2>&-", 1),
    ],
)
def test_cannotBeTold(server: str, words: list[str], redirected: str, expected: int) -> None:
    """A deposit that is booked never ends as one that is not, though nobody can be told of it."""
    command = f"exec {shlex.join([*SCALEMGR, 'deposit', '1003', '1', '--server', server, *words])} {redirected}"
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (expected, False)


def test_withheld(said: Say) -> None:
    """A deposit is told as done, though the token is not shown the trade."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            peer, _ = listening.accept()
            with peer, peer.makefile("rb") as lines:
                for line in lines:
                    extID = json.loads(line)["extID"]
                    peer.sendall(json.dumps({"extID": extID, "status": 200, "data": {}}).encode() + b"\r\n")

        thread = Thread(target=answer)
        thread.start()
        where = f"127.0.0.1:{listening.getsockname()[1]}"
        status, out, _ = said("deposit", "1001", "1", "--key", "k", "--text", "--server", where)
        thread.join()
    assert (status, out) == (0, "done; not all of the trade is shown to this token\n")


def test_faultIsNoRefusal(said: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the command itself does not say that nothing was booked."""

    def fail(*given: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("scalemgr.cli.money._tell", fail)
    status, _, err = said("deposit", "1003", "1", "--key", key())
    assert status == 3
    assert "RuntimeError" in err


def test_depositIsAppliedOnce(said: Say) -> None:
    """A deposit answers with the trade; said again with its key it is the same trade, and is not booked again."""
    before, name = balance(said, "1001"), key()
    words = ("deposit", "1001", "250.10", "--key", name, "--comment", "Card payment")
    status, out, err = said(*words)
    trade = json.loads(out)
    assert (status, err) == (0, "")
    assert (trade["login"], trade["profit"], trade["comment"]) == (1001, 250.1, "Card payment")
    assert (trade["idempotency_key"], trade["replayed"]) == (name, False)
    status, again, _ = said(*words)
    assert (status, json.loads(again)) == (0, {**trade, "replayed": True})
    assert balance(said, "1001") == pytest.approx(before + 250.1)


def test_withdrawal(said: Say) -> None:
    """A withdrawal takes a positive amount off, and what is not there is refused with status 1, also for scripts."""
    said("deposit", "1002", "100")
    before = balance(said, "1002")
    status, out, _ = said("withdraw", "1002", "0.50", "--text", "--key", key())
    assert status == 0
    assert out.startswith("0.50 withdrawn from 1002: order ")
    assert balance(said, "1002") == before - 0.5
    status, out, err = said("withdraw", "1002", "99999", "--key", "too-much")
    assert status == 1
    refusal = json.loads(out)
    assert (refusal["status"], refusal["reason"], refusal["outcome"]) == (409, "RET_TRADE_NO_MONEY", "refused")
    assert refusal["idempotency_key"] == "too-much"
    assert err.startswith("scalemgr: ")
    assert "final for this key" in err
    assert len(err.splitlines()) == 1


def test_keyIsToldFirst(said: Say) -> None:
    """Without a key one is made and told, so that the command can be said again."""
    status, out, err = said("deposit", "1001", "1", "--text")
    assert status == 0
    (name,) = (word for word in err.split() if len(word) == 36)
    status, again, err = said("deposit", "1001", "1", "--text", "--key", name)
    assert (status, err) == (0, "")
    assert again == f"{out.rstrip()} (by an earlier request with this key)\n"


@pytest.mark.parametrize("amount", ["0", "0.00", "-5", "1e3", "NaN", "1,5", "1.", "", "\u0661", "1_0"])
@pytest.mark.parametrize("verb", ["deposit", "withdraw"])
def test_noAmounts(said: Say, verb: str, amount: str) -> None:
    """What is no amount above zero is status 2, and nothing is asked."""
    status, out, err = said(verb, "1001", amount)
    assert (status, out) == (2, "")
    assert "key" not in err.splitlines()[-1]


def test_amountsAreExact(said: Say) -> None:
    """An amount that cannot be sent exactly, or has more decimals than the currency, is refused and never rounded."""
    before = balance(said, "1003")
    assert said("deposit", "1003", "123456789012345.67")[0] == 2
    assert said("deposit", "1003", "0.001")[0] == 1
    assert balance(said, "1003") == before


def test_unknownOutcome(said: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes a deposit and says nothing leaves it unknown: status 3, with the key to ask again with."""
    with speechless() as port:
        address = f"tcp:127.0.0.1:{port}"
        status, out, err = said("deposit", "1001", "1", "--key", "k-9", "--server", address, "--timeout", "2")
    assert status == 3
    assert "say the same again with --key k-9" in err
    told = json.loads(out)
    assert (told["outcome"], told["idempotency_key"]) == ("pending", "k-9")


def test_nobodyThere(said: Say) -> None:
    """Where nobody listens it is status 4: nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for words in (("deposit", "1001", "1"), ("account", "1001"), ("tail",), ("call", "Ping")):
        status, out, err = said(*words, "--server", f"127.0.0.1:{port}", "--timeout", "0.5")
        assert status == 4
        assert json.loads(out)["outcome"] == "untaken"
        assert "was not taken" in err


def test_onlyThisAttempt(said: Say) -> None:
    """That an attempt was not taken says nothing of an earlier one with the same key, in words and for scripts."""
    name = key()
    words = ("deposit", "1001", "1", "--key", name)
    with speechless() as port:
        assert said(*words, "--server", f"127.0.0.1:{port}", "--timeout", "1")[0] == 3
    # It takes the connection, and is stopped.
    with speechless(after=0) as port:
        status, out, err = said(*words, "--server", f"127.0.0.1:{port}", "--timeout", "0.5")
    assert (status, json.loads(out)["outcome"]) == (4, "untaken")
    assert "of an earlier attempt with this key that says nothing" in err


def test_keyOfAnother(said: Say) -> None:
    """A key that is another request's is status 1, names that one's order, and does not say that the key is free."""
    name = key()
    order = json.loads(said("deposit", "1001", "1", "--key", name)[1])["order"]
    status, out, err = said("deposit", "1001", "2", "--key", name)
    told = json.loads(out)
    assert (status, told["outcome"], told["order"]) == (1, "untaken", order)
    assert f"the key is that of order {order}" in err
    assert "says nothing" not in err


def test_outbox(said: Say, here: Path) -> None:
    """What was meant and is not certain is in the outbox; whoever asks with it next sees to it, and tells."""
    with speechless() as port:
        name = key()
        words = ("deposit", "1003", "5", "--outbox", "outbox")
        assert said(*words, "--key", name, "--server", f"tcp:127.0.0.1:{port}", "--timeout", "2")[0] == 3
    before = balance(said, "1003")
    status, _, err = said(*words, "--key", key())
    assert status == 0
    assert f"from the outbox: BalanceInSync {name} was done, order " in err
    assert balance(said, "1003") == before + 10
    status, _, err = said(*words, "--key", name)
    assert (status, err) == (0, "")
    assert balance(said, "1003") == before + 10


def test_outboxInUse(said: Say, server: str) -> None:
    """An outbox has one user at a time: status 1, and nothing was sent."""
    with Client(f"tcp:{server}", outbox="outbox") as other:
        assert other.unfinished() == []
        status, _, err = said("deposit", "1003", "5", "--outbox", "outbox")
    assert status == 1
    assert "in use by another client" in err
    assert "its key is" not in err


@pytest.mark.parametrize("address", ["nowhere", "http://127.0.0.1:1", "tcp:127.0.0.1:99999", "tls:"])
def test_noAddress(said: Say, address: str) -> None:
    """What is no address is status 2."""
    status, _, err = said("call", "Ping", "--server", address)
    assert status == 2
    assert "expected an address such as" in err


def test_filesOfNoUse(said: Say, here: Path) -> None:
    """Files of TLS that there are not, or that are of no use, are status 2 at once, by name: no server is asked."""
    authority = Authority(here)
    crm, key = map(str, authority.certify("crm"))
    other, otherKey = map(str, authority.certify("other"))
    (here / "empty.pem").write_text("nothing")
    for words, file, why in (
        (("--ca", "nowhere.pem"), "nowhere.pem", "no such file"),
        (("--ca", "empty.pem"), "empty.pem", "no certificate of an authority"),
        (("--certificate", "nowhere.pem"), "nowhere.pem", "no such file"),
        (("--certificate", crm, "--private-key", "nowhere.pem"), "nowhere.pem", "no such file"),
        (("--certificate", crm), crm, "no private key in it, and it is in no other file (--private-key)"),
        (("--certificate", crm, "--private-key", other), other, "no private key in it"),
        (("--certificate", crm, "--private-key", otherKey), crm, "not the one of the certificate"),
        (("--private-key", key), "", "of no use without its certificate"),
    ):
        status, _, err = said("call", "Ping", "--server", "tls:localhost:1", *words)
        assert status == 2
        assert f"{file}" in err
        assert why in err


def test_serverThatIsNotBelieved(said: Say, here: Path) -> None:
    """A certificate that is not believed is status 4 at once, and nothing was said to who has it."""
    authority, stranger = Authority(here), Authority(here, "stranger")
    with peer(stranger.certify("server", "127.0.0.1")) as other:
        words = ("--server", f"tls:127.0.0.1:{other.port}", "--ca", str(authority.file), "--timeout", "600")
        status, out, err = said("deposit", "1001", "1", "--key", "k", *words)
    assert (status, json.loads(out)["outcome"], other.heard) == (4, "untaken", [])
    assert "certificate verify failed" in err


def test_certificateIsWanted(said: Say, here: Path) -> None:
    """Where a certificate of the client is wanted it is status 4 at once without one, and the word for it is told."""
    authority = Authority(here)
    with peer(authority.certify("server", "127.0.0.1"), clients=authority.file) as other:
        words = ("--server", f"tls:127.0.0.1:{other.port}", "--ca", str(authority.file), "--timeout", "600")
        status, out, err = said("deposit", "1001", "1", "--key", "k", *words)
    assert (status, json.loads(out)["outcome"], other.heard) == (4, "untaken", [])
    assert "--certificate" in err


def test_tokens(said: Say, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token comes from a file or the environment; none, or a wrong one, is status 4, and it is never shown."""
    said("token", "--new-key", "--id", "crm", "--role", "manager")
    token = said("token", "--id", "crm", "--role", "manager")[1].strip()
    (here / "token").write_text(f"{token}\n")
    (here / "scalemgr.toml").write_text('ledger = "sqlite:own"\n')
    with daemon(here, "--config", "scalemgr.toml", "--listen", LOOPBACK) as (running, port):
        monkeypatch.setenv("SCALEMGR_SERVER", f"127.0.0.1:{port}")
        words = ("call", "GetGroups")
        for verb in (words, ("tail",), ("deposit", "1001", "1", "--key", "k")):
            status, _, err = said(*verb)
            assert (status, err) == (4, "scalemgr: the server wants a token: --token-file FILE or SCALEMGR_TOKEN\n")
        assert said(*words, "--token-file", "token")[0] == 0
        (here / "wrong").write_text(token[:-4] + "AAAA")
        status, _, err = said(*words, "--token-file", "wrong")
        assert (status, err) == (4, "scalemgr: the server does not accept the token in wrong; its log says why\n")
        assert said(*words, "--token-file", "nowhere")[0] == 2
        monkeypatch.setenv("SCALEMGR_TOKEN", token)
        assert said(*words)[0] == 0
        monkeypatch.setenv("SCALEMGR_TOKEN", token[:-4] + "AAAA")
        status, out, err = said(*words, "--text")
        assert status == 4
        assert "the token in SCALEMGR_TOKEN" in err
        assert token[:-4] not in out + err
    # Of each that was refused there is one line, for it is shown once.
    assert running.said.count("a token is refused") == 2


def test_call(said: Say) -> None:
    """Any command is called, with its parameters by name, as JSON, or from standard input; as people see it, too."""
    name = key()
    status, out, err = said(
        "call", "BalanceInSync", "login=1001", "amount=12.34", "comment=07", f"idempotency_key={name}"
    )
    assert (status, err) == (0, "")
    trade = json.loads(out)
    assert (trade["profit"], trade["comment"]) == (12.34, "07")
    where = f'where:=[["order","=",{trade["order"]}]]'
    table = json.loads(said("call", "MngGetTradesByFilter", where)[1])
    assert table["count"] == 1
    status, out, _ = said("call", "MngGetTradesByFilter", where, "--text")
    assert status == 0
    assert "order" in out.splitlines()[1]
    assert "expiration" not in out
    assert json.loads(said("call", "GetRequest", "--data", json.dumps({"idempotency_key": name}))[1])["state"] == "done"


def test_callOfWhatChanges(said: Say) -> None:
    """What changes something has a key, which is told before; a question has none."""
    status, out, err = said("call", "BalanceIn", "login=1001", "amount=1")
    assert status == 0
    (name,) = (word for word in err.split() if len(word) == 36)
    assert json.loads(said("call", "GetRequest", f"idempotency_key={name}")[1])["order"] == json.loads(out)["order"]
    assert said("call", "Ping")[2] == ""


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["GetAccountByLogin", "logn=1001"], "did you mean login?"),
        (["GetAccountByLogin", "login=ann"], "login: expected an int"),
        (["GetAccountByLogin"], "login: required"),
        (["GetAccountByLogin", "login"], "expected field=value"),
        (["GetAccountByLogin", "login=1", "login=2"], "login is said twice"),
        (["GetAccountByLogin", "login:=x"], "is not JSON"),
        (["GetAccountByLogin", "--data", "[]"], "no JSON object"),
        (["GetAccountByLogin", "--data", "{"], "not JSON"),
        (["BalanceInSync", "login=1001", "amount=1e400"], "amount"),
        (["GetAcountByLogin", "login=1001"], "did you mean GetAccountByLogin?"),
        (["Subscribe", "chanels:=[]"], "Subscribe"),
    ],
)
def test_wrongCalls(said: Say, words: list[str], why: str) -> None:
    """What makes no sense is status 2, and says what was meant."""
    status, _, err = said("call", *words)
    assert status == 2
    assert why in err


def test_statementInPages(said: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement of many pages is whole, as JSON, as CSV and for people."""
    monkeypatch.setattr("scalemgr.cli.accounts._PAGE", 3)
    for _ in range(7):
        said("deposit", "1003", "1.10", "--comment", 'a, "b"')
    status, out, _ = said("statement", "1003")
    head, *rows = map(json.loads, out.splitlines())
    assert (status, head["count"]) == (0, len(rows))
    assert head["opening_balance"] + sum(row["amount"] for row in rows) == pytest.approx(head["closing_balance"])
    assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
    status, out, _ = said("statement", "1003", "--csv")
    read = list(csv.DictReader(out.splitlines()))
    assert [float(row["balance"]) for row in read] == [row["balance"] for row in rows]
    assert read[-1]["comment"] == 'a, "b"'
    status, out, _ = said("statement", "1003", "--text")
    assert f"closing {head['closing_balance']:.2f} USD" in out
    assert out.count("1.10") >= 7


def test_statementOfDays(said: Say) -> None:
    """A statement is of the days that are named; a login that there is not is status 1."""
    assert json.loads(said("statement", "1001", "--to", "2020-01-01")[1].splitlines()[0])["count"] == 0
    assert json.loads(said("statement", "1001", "--from", "2020-01-01")[1].splitlines()[0])["count"] > 0
    assert said("statement", "1001", "--from", "yesterday")[0] == 2
    assert said("statement", "4711")[0] == 1


def test_tail(said: Say) -> None:
    """Events come from an entry on, each the very line that was sent; of one account; so many; for people, too."""
    said("deposit", "1001", "1")
    said("deposit", "1002", "2")
    status, out, _ = said("tail", "--from-seq", "0", "--count", "5")
    events = [json.loads(line) for line in out.splitlines()]
    assert (status, [event["seq"] for event in events]) == (0, [1, 2, 3, 4, 5])
    status, out, _ = said("tail", "--from-seq", "0", "--login", "1002", "--event", "trade:event", "--count", "1")
    (event,) = map(json.loads, out.splitlines())
    assert (event["event"], event["data"]["login"]) == ("trade:event", 1002)
    status, out, err = said("tail", "--from-seq", "1", "--count", "1", "--text")
    assert "user added" in out
    assert "Ctrl-C ends" in err
    assert said("tail", "--count", "0")[0] == 0


def test_tailOfAnotherLog(said: Say) -> None:
    """Who goes on from an entry of another log is told, with status 1, and where to go on."""
    status, out, err = said("tail", "--from-seq", "1", "--epoch", "another")
    assert status == 1
    assert "read anew what you keep" in err
    assert json.loads(out)["error"] == "ResyncRequired"


def test_besideTheDaemon(said: Say, demo: Demo, here: Path) -> None:
    """The ledger of a running daemon is verified, backed up and reconciled; the backup is what it was."""
    name = key()
    said("deposit", "1001", "77", "--key", name)
    url = f"sqlite:{demo.ledger}"
    assert said("verify", "--ledger", url)[0] == 0
    status, out, _ = said("backup", "copy.db", "--ledger", url)
    assert (status, json.loads(out)["verified"]) == (0, True)
    (here / "list.csv").write_text(f"reference,login,amount\n{name},1001,77\n")
    for words in (("--ledger", url), ("--backup", "copy.db")):
        assert said("reconcile", "list.csv", *words, "--id", "demo")[0] == 0
    status, out, err = said("restore", "copy.db", str(demo.ledger))
    assert (status, out) == (1, "")
    assert "in use by another scalemgr" in err


def test_restoredLedgerResyncs(said: Say, demo: Demo, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever followed the log that was backed up is told that the restored one is another."""
    assert said("backup", "copy.db", "--ledger", f"sqlite:{demo.ledger}")[0] == 0
    status, out, _ = said("restore", "copy.db", "restored", "--skip-orders", "500")
    assert status == 0
    restored = json.loads(out)
    old = json.loads(said("call", "Ping")[1])["epoch"]
    assert restored["epoch"] != old
    with daemon(here, "--demo", "--ledger", "sqlite:restored", "--listen", LOOPBACK) as (_, port):
        monkeypatch.setenv("SCALEMGR_SERVER", f"127.0.0.1:{port}")
        status, _, err = said("tail", "--from-seq", str(restored["seq"]), "--epoch", old, "--count", "1")
        assert status == 1
        assert "read anew" in err
        status, out, _ = said("deposit", "1001", "1")
        assert json.loads(out)["order"] == restored["next_order"]
    assert verify(here / "restored").differences == []
