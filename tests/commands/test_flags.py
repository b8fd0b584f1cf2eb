"""What a token withholds: the published manager flags, and the account of a user."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import capturedLogs, eventAsText

from scalemgr.commands.base import FLAGS

from ..helpers import Daemon, Session, builtIn, fresh, token

EVENTS = {"trade:event", "balance:event", "user:event", "group:event"}
FLAGGED = sorted((command.name, flag) for command in builtIn() for flag in command.flags)
COMMANDS = {command.name: command for command in builtIn()}


def ask(daemon: Daemon, session: Session, command: str, /, **data: Any) -> dict[str, Any]:
    """The one answer to a request."""
    session.send(command, fresh(), data)
    daemon.settle()
    [answer] = session.answers()
    return answer


def test_everyFlagIsTaken() -> None:
    """Each flag that is documented withholds something."""
    taken = {flag for _, flag in FLAGGED}
    assert taken <= FLAGS.keys()
    assert FLAGS.keys() - taken == set()


@pytest.mark.parametrize(("name", "flag"), FLAGGED)
@pytest.mark.parametrize("value", [0, False])
def test_withheld(name: str, flag: str, value: object) -> None:
    """A token with a flag as 0 is refused every command that takes it, before anything else is looked at."""
    daemon = Daemon()
    before = daemon.ledger.book.seq
    answer = ask(daemon, daemon.connect(token(**{flag: value})), name)
    if COMMANDS[name].denied:
        assert (answer["status"], answer["data"]["error"]) == (401, "ADD_BALANCE_ERROR")
        assert answer["data"]["reason"] == "RET_NOT_ENOUGH_RIGHTS"
        assert flag in answer["data"]["detail"]
    else:
        assert (answer["status"], answer["data"]["error"]) == (403, "RET_NOT_ENOUGH_RIGHTS")
        assert flag in answer["data"]["message"]
    assert daemon.ledger.book.seq == before


@pytest.mark.parametrize("claims", [{}, {"set_accounts_balance": 1}, {"set_accounts_balance": True}])
def test_notWithheld(claims: dict[str, Any]) -> None:
    """A flag that is absent or 1 leaves what the role may do."""
    daemon = Daemon()
    answer = ask(daemon, daemon.connect(token(**claims)), "BalanceIn", login=1001, amount=1)
    assert answer["status"] == 200


def test_noFlagGrants() -> None:
    """A flag as 1 gives nobody more than the role has."""
    daemon = Daemon()
    user = daemon.connect(token("1001", "user", set_accounts_balance=1, set_accounts=1, del_accounts=1))
    assert ask(daemon, user, "BalanceIn", login=1001, amount=1)["status"] == 401
    dealer = daemon.connect(token("d", "dealer", set_accounts=1))
    assert ask(daemon, dealer, "AddGroup", group="x", currency="USD")["status"] == 403


@pytest.mark.parametrize("value", ["0", "no", 2, -1, 0.5, [], {}])
def test_flagThatIsNone(value: object) -> None:
    """A token with a flag that is neither 0 nor 1 is not taken for either: it is refused."""
    daemon = Daemon()
    answer = ask(daemon, daemon.connect(token(see_trades=value)), "Ping")
    assert (answer["status"], answer["data"]["error"]) == (401, "PERMISSION_DENIED")


def test_fourEyes() -> None:
    """Who may only ask for money books none, and who may only approve makes up none."""
    daemon = Daemon()
    psp = daemon.connect(token("psp", set_accounts_balance=0, approve_finance=0, decline_finance=0))
    boss = daemon.connect(token("boss", set_accounts_balance=0, set_finance=0))
    assert ask(daemon, psp, "BalanceIn", login=1001, amount=5)["status"] == 401
    made = ask(daemon, psp, "MngCreateFinanceRequest", login=1001, cmd=6, amount=5)
    order = made["data"]["order"]
    assert ask(daemon, psp, "MngApproveFinanceRequest", order=order)["status"] == 401
    assert daemon.balance() == 0
    assert ask(daemon, boss, "MngCreateFinanceRequest", login=1001, cmd=6, amount=5)["status"] == 401
    assert ask(daemon, boss, "MngApproveFinanceRequestSync", order=order)["data"]["state"] == 3
    assert daemon.balance() == 500


@pytest.mark.parametrize(
    ("flag", "withheld"),
    [
        ("see_accounts", {"user:event", "group:event"}),
        ("see_accounts_balance", {"balance:event", "trade:event"}),
        ("see_trades", {"trade:event"}),
    ],
)
def test_eventsWithheld(flag: str, withheld: set[str]) -> None:
    """What somebody may not see is not told as an event either, live or replayed, whatever is chosen."""
    daemon = Daemon()
    office, blind = daemon.staff(), daemon.connect(token("blind", **{flag: 0}))
    assert ask(daemon, blind, "Subscribe", chanels=sorted(EVENTS))["data"]["chanels"] == sorted(EVENTS - withheld)
    assert ask(daemon, blind, "SubscribeAll")["status"] == 200
    profile = {"group": "demo", "name": "n", "password": "secret-1", "leverage": 1, "enable": 1, "email": "e"}
    for name, data in (("AddGroup", {"group": "x", "currency": "USD"}), ("AddUser", profile)):
        assert ask(daemon, office, name, **data)["status"] == 200
    assert ask(daemon, office, "BalanceIn", login=1001, amount=1)["status"] == 200
    every = set(EVENTS)
    assert {line["event"] for line in blind.lines()} == every - withheld
    blind.send("Subscribe", "s", {"chanels": sorted(every), "from_seq": 0})
    daemon.settle()
    assert {line["event"] for line in blind.lines() if "event" in line} == (every - withheld) | {"replay:done"}


def test_availableIsNotTold() -> None:
    """Who may move money but not see balances is not told what is there, in a repeat either."""
    daemon = Daemon()
    assert ask(daemon, daemon.staff(), "BalanceIn", login=1001, amount=70)["status"] == 200
    blind = daemon.connect(token("blind", see_accounts_balance=0))
    for _ in range(2):
        blind.send("BalanceOut", "same", {"login": 1001, "amount": -100})
        daemon.settle()
        [answer] = blind.answers()
        assert answer["status"] == 409
        assert "available" not in answer["data"]


@pytest.mark.parametrize("claims", [{"id": "ann"}, {"id": "0"}, {"id": "1", "login": 0}, {"id": "1", "login": "x"}])
def test_userWithoutALogin(claims: dict[str, Any]) -> None:
    """The token of a user that names no account is refused: it would see all of them, or none and wonder."""
    daemon = Daemon()
    with capturedLogs() as logged:
        assert ask(daemon, daemon.connect(token(role="user", **claims)), "Ping")["status"] == 401
    assert "it is a user's and names no login" in eventAsText(logged[0])


@pytest.mark.parametrize("flag", ["see_trades", "see_accounts_balance"])
def test_notToldByChanging(flag: str) -> None:
    """Who may not see trades cannot change one by its order either, for the answer would tell what is there; to deposit
    is another thing."""
    daemon = Daemon()
    assert ask(daemon, daemon.staff(), "BalanceIn", login=1001, amount=70, comment="secret")["status"] == 200
    blind = daemon.connect(token("blind", **{flag: 0}))
    for order in (1, 2):
        answer = ask(daemon, blind, "BalanceInSync", login=1001, amount=70, order=order)
        assert (answer["status"], answer["data"]["error"]) == (401, "ADD_BALANCE_ERROR")
        assert flag in answer["data"]["detail"]
    assert daemon.balance() == 7000
    assert ask(daemon, blind, "BalanceInSync", login=1001, amount=1)["status"] == 200
