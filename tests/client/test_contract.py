"""What holds for each of the three clients, against a daemon in a process of its own."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scalemgr.client import (
    BadParameters,
    ClientClosed,
    ClientError,
    OutcomeUnknown,
    Refused,
    Reply,
    ResyncRequired,
    UnexpectedAnswer,
    Unreachable,
)
from scalemgr.commands.answers import Account, Trade

from ..e2e.daemons import LOOPBACK, daemon
from .drivers import Driver
from .peers import speechless

Make = Callable[..., Driver]


def test_typedAnswer(client: Driver) -> None:
    """A command is an attribute, and its answer is what it declares."""
    trade = client.command("BalanceInSync", login=1001, amount="250.00", comment="O'Brien")
    assert isinstance(trade, Trade)
    assert (trade.login, trade.profit, trade.comment) == (1001, 250.0, "O'Brien")
    account = client.command("GetAccountByLogin", login=1001)
    assert isinstance(account, Account)
    assert account.name == "Demo 1001"


@pytest.mark.parametrize("amount", [7, 7.25, "7.25", Decimal("7.250")])
def test_amountsAreExact(client: Driver, amount: Any) -> None:
    """Whatever an amount is given as, that is what is booked."""
    assert client.command("BalanceInSync", login=1002, amount=amount).profit == float(amount)


def test_sameKeySameDeposit(client: Driver, request: pytest.FixtureRequest) -> None:
    """The same key again is the same deposit, and the reply says so."""
    key = f"same-{request.node.name}"
    data = {"login": 1001, "amount": 5}
    first = client.call("BalanceInSync", data, idempotency_key=key)
    again = client.call("BalanceInSync", {**data, "idempotency_key": key})
    assert (first.replayed, again.replayed) == (False, True)
    assert again.data == first.data
    with pytest.raises(Refused) as refused:
        client.command("BalanceInSync", login=1001, amount=6, idempotency_key=key)
    assert refused.value.order == first.data["order"]
    assert refused.value.outcome == "untaken"
    assert f"the key is that of order {refused.value.order}" in str(refused.value)


def test_refusalsAreRaised(client: Driver) -> None:
    """A no is an exception that says which."""
    with pytest.raises(Refused) as refused:
        client.command("BalanceOutSync", login=1003, amount=-1000)
    assert (refused.value.status, refused.value.error, refused.value.outcome) == (409, "RET_TRADE_NO_MONEY", "refused")
    with pytest.raises(Refused) as unknown:
        client.call("NoSuchCommand")
    assert (unknown.value.status, unknown.value.outcome) == (404, "untaken")


def test_wrongParametersAreRefusedHere(client: Driver) -> None:
    """What cannot be right is not sent; the message says what is meant."""
    for given in ({"login": 1001}, {"login": "1001", "amount": 1}, {"login": 1001, "amount": -1}):
        with pytest.raises(BadParameters):
            client.command("BalanceInSync", **given)
    with pytest.raises(BadParameters, match="did you mean amount"):
        client.command("BalanceInSync", login=1001, ammount=1)


def test_typosAreNoCommands(client: Any) -> None:
    """A name that is no command is no attribute."""
    with pytest.raises(AttributeError, match="did you mean BalanceInSync"):
        client.client.BalanceInSnyc  # noqa: B018
    for name in ("then", "__fspath__", "_ipython_display_", "Subscribe"):
        assert not hasattr(client.client, name)


def test_manyAtATime(client: Driver) -> None:
    """Many calls at a time are answered each with its own."""
    replies = client.together([("BalanceInSync", {"login": 1002, "amount": n}) for n in range(1, 51)])
    assert [reply.data["profit"] for reply in replies] == [float(n) for n in range(1, 51)]


def test_eventsFromTheBeginning(client: Driver) -> None:
    """Events come from where they are asked for on, and calls are answered meanwhile."""
    head = client.command("Ping").seq
    order = client.command("BalanceInSync", login=1001, amount=1).order
    first, second = client.events(2, from_seq=head)
    assert (first.event, first.data["order"]) == ("trade:event", order)
    assert second.event == "balance:event"
    assert [event.seq for event in client.events(1, from_seq=0, channels=["group:event"])] == [1]


def test_anotherLog(client: Driver) -> None:
    """A log that is not the one that is known is told as such."""
    with pytest.raises(ResyncRequired) as resync:
        client.events(1, from_seq=0, epoch="another")
    assert resync.value.seq == client.command("Ping").seq
    with pytest.raises(ResyncRequired):
        client.events(1, from_seq=10**9)


def test_nobodyThere(make: Make, nobody: int) -> None:
    """Without a server in time: for certain not applied, and why."""
    client = make(f"tcp:127.0.0.1:{nobody}", deadline=0.5)
    with pytest.raises(Unreachable, match=r"refused|failed"):
        client.command("BalanceInSync", login=1001, amount=1)


def test_deadlineOfACall(make: Make) -> None:
    """A server that takes the request and never answers: not known, with the key; and the deadline is the call's."""
    with speechless() as port:
        client = make(f"tcp:127.0.0.1:{port}")
        with pytest.raises(OutcomeUnknown) as unknown:
            client.command("BalanceInSync", login=1001, amount=1, idempotency_key="k", deadline=2)
        assert unknown.value.key == "k"
        client.hangUp()


def test_nobodyListens(make: Make) -> None:
    """To a server that takes the connection and says nothing no request is sent, so certainly it was not taken."""
    with speechless(after=0) as port:
        client = make(f"tcp:127.0.0.1:{port}")
        with pytest.raises(Unreachable, match="has said nothing"):
            client.command("BalanceInSync", login=1001, amount=1, deadline=0.5)
        client.hangUp()


def test_acrossARestart(make: Make, tmp_path: Path) -> None:
    """The daemon is killed and comes back: calls that wait are answered, once, and events go on where they were."""
    arguments = ("--demo", "--ledger", "sqlite:ledger", "--listen")
    with daemon(tmp_path, *arguments, LOOPBACK) as (first, port):
        client = make(f"tcp:127.0.0.1:{port}")
        head = client.command("BalanceInSync", login=1001, amount=1) and client.command("Ping").seq
        first.end(signal.SIGKILL)

    def again() -> None:
        with daemon(tmp_path, *arguments, f"tcp:{port}:interface=127.0.0.1"):
            served.set()
            done.wait(60)

    served, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=again)
    thread.start()
    try:
        replies = client.together([("BalanceInSync", {"login": 1001, "amount": 2})] * 5)
        assert all(isinstance(reply, Reply) for reply in replies), replies
        assert client.command("GetAccountByLogin", login=1001).balance == 11.0
        assert [event.seq for event in client.events(10, from_seq=head)] == list(range(head + 1, head + 11))
    finally:
        client.hangUp()
        done.set()
        thread.join()


def test_tokensAreFetched(make: Make, tmp_path: Path) -> None:
    """A token may be what fetches one; when it is no longer accepted, it is fetched again. It shows nowhere."""
    (tmp_path / "scalemgr.key").write_bytes(SECRET)
    (tmp_path / "scalemgr.toml").write_text(f'listen = ["{LOOPBACK}"]\nledger = "memory:"\n')
    fetched: list[str] = []

    def fetch() -> str:
        # The first has expired already.
        claims = {"id": "crm", "role": "manager", **({} if fetched else {"exp": 1})}
        fetched.append(jwtOf(claims))
        return fetched[-1]

    with daemon(tmp_path, "--config", "scalemgr.toml") as (_, port):
        client = make(f"tcp:127.0.0.1:{port}", token=fetch)
        assert client.command("AddGroup", group="g", currency="USD").group == "g"
        assert len(fetched) == 2
        assert fetched[1] not in repr(client.client)  # type: ignore[attr-defined]
        stranger = make(f"tcp:127.0.0.1:{port}", token="no-token")
        with pytest.raises(Refused) as refused:
            stranger.command("Ping")
        stranger.hangUp()
        assert refused.value.status == 401
        assert "no-token" not in str(refused.value)

        def broken() -> str:
            raise ValueError("secret")

        with pytest.raises(Unreachable, match="could not be fetched") as unreachable:
            make(f"tcp:127.0.0.1:{port}", token=broken, deadline=0.5).command("Ping")
        assert "secret" not in str(unreachable.value)
        client.hangUp()


SECRET = b"0123456789abcdef0123456789abcdef"


def jwtOf(claims: dict[str, Any]) -> str:
    import jwt

    return jwt.encode(claims, SECRET, algorithm="HS256")


def test_answerOfAnotherShape(make: Make, tmp_path: Path) -> None:
    """What a token withholds may be missing from an answer: then it is told what came, and that it was done."""
    (tmp_path / "scalemgr.key").write_bytes(SECRET)
    (tmp_path / "scalemgr.toml").write_text(f'listen = ["{LOOPBACK}"]\nledger = "memory:"\n')
    with daemon(tmp_path, "--config", "scalemgr.toml") as (_, port):
        client = make(f"tcp:127.0.0.1:{port}", token=jwtOf({"id": "crm", "role": "manager"}))
        client.command("AddGroup", group="g", currency="USD")
        client.command("AddUser", group="g", name="n", password="secret", leverage=1, enable=1, email="")
        order = client.command("BalanceInSync", login=1001, amount=1).order
        less = make(f"tcp:127.0.0.1:{port}", token=jwtOf({"id": "crm", "role": "manager", "see_accounts_balance": 0}))
        with pytest.raises(UnexpectedAnswer) as unexpected:
            less.command("GetTradeByOrder", order=order)
        for each in (client, less):
            each.hangUp()
        assert unexpected.value.data["order"] == order


def test_closed(make: Make, port: int) -> None:
    """A client that is closed says so."""
    client = make(f"tcp:127.0.0.1:{port}")
    client.command("Ping")
    client.hangUp()
    with pytest.raises(ClientClosed):
        client.command("Ping")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "http://x", "tcp:host", "tcp:host:0", "tcp:host:99999", "tcp::1"])
def test_badAddress(make: Make, address: str) -> None:
    """What is no address is refused with an example of one."""
    with pytest.raises(ValueError, match="such as tls:host:8443"):
        make(address)


def test_tlsOptionsNeedTls(make: Make) -> None:
    """To name a CA and not use TLS is a mistake."""
    with pytest.raises(ValueError, match="say tls:"):
        make("tcp:127.0.0.1:1", ca="ca.pem")


def test_closingServer(make: Make) -> None:
    """A server that takes connections only to end them is left alone for longer each time."""
    taken: list[None] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def end() -> None:
            with suppress(OSError):
                while True:
                    server.accept()[0].close()
                    taken.append(None)

        thread = threading.Thread(target=end)
        thread.start()
        try:
            with pytest.raises(ClientError):
                make(f"tcp:127.0.0.1:{server.getsockname()[1]}").command("Ping", deadline=2)
        finally:
            server.shutdown(socket.SHUT_RDWR)
    thread.join()
    # At a steady pace there would be some fifty.
    assert 1 < len(taken) < 12


def test_strangeServer(make: Make) -> None:
    """A server that speaks something else is told of, in the end."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            for _ in range(100):
                try:
                    peer, _address = server.accept()
                except OSError:
                    return
                with peer, suppress(ConnectionError):
                    peer.sendall(b"220 mail.example ESMTP\r\n")
                    peer.recv(1)

        thread = threading.Thread(target=speak)
        thread.start()
        try:
            with pytest.raises(ClientError, match="not a message"):
                make(f"tcp:127.0.0.1:{server.getsockname()[1]}").command("Ping", deadline=1)
        finally:
            server.shutdown(socket.SHUT_RDWR)
    thread.join()
