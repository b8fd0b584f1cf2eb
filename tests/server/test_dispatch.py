"""From a request to its answer: names, roles, parameters, and what becomes of whatever a command does."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import LogEvent

from scalemgr.commands.base import command
from scalemgr.interfaces import IContext
from scalemgr.server.catalogue import CommandClash, checkCommands
from scalemgr.server.discovery import findCommands
from scalemgr.server.dispatch import Dispatcher
from scalemgr.wire.codes import RetCode
from scalemgr.wire.errors import ADD_BALANCE_ERROR, ManagerError, NotPermitted, Refused

from ..helpers import Daemon, Session, thirdParty, token

SECRET_DETAIL = "a detail that is nobody's business"


def ask(daemon: Daemon, command: str = "ThirdParty", **more: Any) -> dict[str, Any]:
    """The answer to one request of a manager."""
    session = daemon.staff()
    session.send(command, "x", **more)
    daemon.settle()
    [answer] = session.answers()
    assert answer["extID"] == "x"
    return answer


async def soon(value: Any) -> Any:
    return value


HOWS = {"plain": lambda value: value, "Deferred": succeed, "async def": soon}


@pytest.mark.parametrize("how", HOWS)
def test_answer(how: str) -> None:
    """What a command returns is the C{data} of the answer, whether it returns it now or later."""
    daemon = Daemon(also=[thirdParty(lambda context: HOWS[how]({"text": "it's", "n": [1, 2.5, None]}))])
    answer = ask(daemon)
    assert answer == {"extID": "x", "status": 200, "data": {"text": "it's", "n": [1, 2.5, None]}}


def test_answerLater() -> None:
    """A command may take its time; other requests of the session are answered meanwhile."""
    later: Deferred[dict[str, Any]] = Deferred()
    daemon = Daemon(also=[thirdParty(lambda context: later)])
    session = daemon.staff()
    session.send("ThirdParty", "slow")
    session.send("Ping", "fast")
    assert [answer["extID"] for answer in session.answers()] == ["fast"]
    later.callback({"done": True})
    assert session.answers() == [{"extID": "slow", "status": 200, "data": {"done": True}}]


def test_context() -> None:
    """A command is told who asks, under which extID, and what time it is, and gets its declared parameters."""
    seen: list[Any] = []

    class Params(Struct, frozen=True):
        a: int
        b: str = "default"

    def look(context: IContext, params: Params) -> dict[str, Any]:
        """Look."""
        seen.append((context.principal.id, context.principal.role, context.extID, context.clock.seconds(), params))
        return {}

    look.__annotations__["params"] = Params
    daemon = Daemon(also=[command("Look")(look)])
    session = daemon.connect(token("crm-7", "dealer"))
    session.send("Look", 5, {"a": 1, "unknown": 2})
    assert [answer["status"] for answer in session.answers()] == [200]
    assert seen == [("crm-7", 2, 5, daemon.clock.seconds(), Params(1))]


@pytest.mark.parametrize("name", ["NoSuchCommand", "balanceinsync", "BalanceInSync ", "then", "__deferred", "é"])
def test_unknownCommand(name: str) -> None:
    """A name that no command has, letter by letter, is answered with 404."""
    data = ask(Daemon(), name)
    assert (data["status"], data["data"]["reason"]) == (404, "RET_INVALID_METHOD")


def test_aliases() -> None:
    """A command answers to its older names too."""
    daemon = Daemon(also=[thirdParty(lambda context: {"it": 1}, aliases=("OldName", "OlderName"))])
    for name in ("ThirdParty", "OldName", "OlderName"):
        assert ask(daemon, name)["data"] == {"it": 1}


@pytest.mark.parametrize("role", [0, 1, 2, 3, 4, 9, 11])
def test_roles(role: int) -> None:
    """A command that is for some roles is refused to all others with 403, before it is run."""
    ran: list[int] = []
    commands = [
        thirdParty(lambda context: ran.append(role) or {}, "Some", roles=frozenset({2, 9})),
        thirdParty(lambda context: {}, "Any", roles=frozenset()),
    ]
    session = Daemon(also=commands).connect(token(role=role, login=1001))
    session.send("Some", "a")
    session.send("Any", "b")
    some, anybody = session.answers()
    assert anybody["status"] == 200
    if role in (2, 9):
        assert (some["status"], ran) == (200, [role])
    else:
        assert (some["status"], some["data"]["error"], ran) == (403, "RET_NOT_ENOUGH_RIGHTS", [])


def test_staffByDefault() -> None:
    """A command that says nothing of roles is for managers, dealers and admins."""
    daemon = Daemon(also=[thirdParty(lambda context: {})])
    statuses = {}
    for role in range(12):
        if role not in (6, 7, 8):
            session = daemon.connect(token(role=role, login=1001))
            session.send("ThirdParty", "a")
            statuses[role] = session.answers()[0]["status"]
    assert {role for role, status in statuses.items() if status == 200} == {1, 2, 3}
    assert {status for role, status in statuses.items() if role not in (1, 2, 3)} == {403}


# -- failures -----------------------------------------------------------------------------------------


def refuse() -> ManagerError:
    return Refused("not today", RetCode.RET_TRADE_MARKET_CLOSED, until=7)


async def failSoon(error: Exception) -> Any:
    raise error


def raiseIt(error: Exception) -> Any:
    raise error


FAILS = {"plain": raiseIt, "Deferred": fail, "async def": failSoon}


@pytest.mark.parametrize("how", FAILS)
def test_refusal(how: str, failures: list[LogEvent]) -> None:
    """A refusal, however it is raised, is answered as it says and is not a failure to be logged."""
    answer = ask(Daemon(also=[thirdParty(lambda context: FAILS[how](refuse()))]))
    assert answer["status"] == 423
    assert answer["data"] == {
        "error": "RET_TRADE_MARKET_CLOSED",
        "message": "not today",
        "code": 132,
        "reason": "RET_TRADE_MARKET_CLOSED",
        "until": 7,
    }
    assert failures == []


@pytest.mark.parametrize("how", FAILS)
def test_bug(how: str, failures: list[LogEvent]) -> None:
    """Any other failure is 500 with a reference under which the log has its traceback; nothing of it leaks."""
    daemon = Daemon(also=[thirdParty(lambda context: FAILS[how](ValueError(SECRET_DETAIL)))])
    session = daemon.staff()
    for extID in "ab":
        session.send("ThirdParty", extID)
    raw = session.raw()
    assert raw.count(b'"status":500') == 2
    assert b"detail" not in raw
    assert b"ValueError" not in raw
    references = [event["reference"] for event in failures]
    assert len(set(references)) == 2
    for event in failures:
        assert event["reference"].encode() in raw
        assert SECRET_DETAIL in event["log_failure"].getTraceback()
    failures.clear()


@pytest.mark.parametrize("how", FAILS)
def test_cancelled(how: str, failures: list[LogEvent]) -> None:
    """A command that something of its own cancelled is answered too, and its extID is free again."""
    session = Daemon(also=[thirdParty(lambda context: FAILS[how](CancelledError()))]).staff()
    for _ in range(2):
        session.send("ThirdParty", "x")
        assert [(answer["extID"], answer["status"]) for answer in session.answers()] == [("x", 500)]
    failures.clear()


@pytest.mark.parametrize(
    "result", [None, [], 7, "text", {"x": float("nan")}, {"x": {1, 2}}, {"x": b"bytes"}, {"x": object()}]
)
@pytest.mark.parametrize("how", HOWS)
def test_resultThatIsNone(how: str, result: object, failures: list[LogEvent]) -> None:
    """A command that returns no JSON object is a bug: 500, logged, and the session lives."""
    daemon = Daemon(also=[thirdParty(lambda context: HOWS[how](result))])
    session = daemon.staff()
    session.send("ThirdParty", "x")
    session.send("Ping", "y")
    assert [(answer["extID"], answer["status"]) for answer in session.answers()] == [("x", 500), ("y", 200)]
    assert len(failures) == 1
    failures.clear()


@pytest.mark.parametrize(
    "code", [RetCode.RET_NOT_ENOUGH_RIGHTS, RetCode.RET_ERR_PERMISSIONS, RetCode.RET_USER_NOT_FOUND]
)
def test_denied(code: RetCode) -> None:
    """Refusals of the caller or the login are 401 under the command's published error, and say no more."""
    daemon = Daemon(
        also=[
            thirdParty(lambda context: raiseIt(Refused(SECRET_DETAIL, code, secret=1)), denied=ADD_BALANCE_ERROR),
            thirdParty(lambda context: raiseIt(NotPermitted("plain")), "Plain"),
        ]
    )
    assert ask(daemon) == {
        "extID": "x",
        "status": 401,
        "data": {
            "error": "ADD_BALANCE_ERROR",
            "message": "Invalid login or insufficient permissions",
            "code": code,
            "reason": code.name,
        },
    }
    assert ask(daemon, "Plain")["status"] == 403


def test_otherRefusalsAreNotDenied() -> None:
    """A refusal for another reason keeps its own status and name, also in a finance command."""
    daemon = Daemon(also=[thirdParty(lambda context: raiseIt(refuse()), denied=ADD_BALANCE_ERROR)])
    answer = ask(daemon)
    assert (answer["status"], answer["data"]["error"]) == (423, "RET_TRADE_MARKET_CLOSED")


# -- stopping -----------------------------------------------------------------------------------------


def stillAnswered(daemon: Daemon, session: Session) -> list[tuple[str, int]]:
    daemon.settle()
    return [(answer["extID"], answer["status"]) for answer in session.answers()]


def test_stopping() -> None:
    """A server that stops answers everything new with 503, does nothing for it, and finishes what it has."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.ledgerThread.held = True
    session.deposit("before")
    daemon.settle()
    daemon.dispatcher.stopping = True
    session.deposit("after")
    session.send("Ping", "ping")
    session.send("NoSuchCommand", "none")
    for answer in session.answers():
        assert (answer["status"], answer["data"]["error"]) == (503, "RET_ERR_SHUTDOWN")
    daemon.ledgerThread.release()
    assert stillAnswered(daemon, session) == [("before", 200)]
    assert daemon.balance() == 1000


def test_stoppedRuntime() -> None:
    """Also a request that has got past the door before it was shut is refused with 503, and not applied."""
    daemon = Daemon()
    session = daemon.staff()
    daemon.readerThread.held = True
    session.deposit("a", order=999)
    daemon.runtime.stop()
    daemon.readerThread.release()
    assert stillAnswered(daemon, session) == [("a", 503)]
    assert daemon.balance() == 0


# -- the table of commands --------------------------------------------------------------------------------


def test_clash() -> None:
    """Two commands with one name, be it an older one, are an error that names both their packages."""
    one, two = thirdParty(lambda context: {}, "One"), thirdParty(lambda context: {}, "Two", aliases=("One",))
    two.__module__ = "acme.plugin"
    for commands in ([one, two], [two, one], [one, thirdParty(lambda context: {}, "One")]):
        with pytest.raises(CommandClash, match="named One"):
            Dispatcher(commands, None, None)  # type: ignore[arg-type]
    with pytest.raises(CommandClash, match=r"one of tests\.helpers, one of acme\.plugin"):
        checkCommands([one, two], [])


def test_required() -> None:
    """A command that must be there and is not is an error that names it."""
    checkCommands(findCommands().commands, ["BalanceInSync", "AddUser"])
    with pytest.raises(CommandClash, match="Missing, Other"):
        checkCommands(findCommands().commands, ["Other", "BalanceInSync", "Missing"])


def test_builtIn() -> None:
    """The built-in commands are found like anybody's, none twice, each with a sentence about itself."""
    found = findCommands()
    names = [command.name for command in found.commands]
    assert found.broken == []
    assert len(names) == len(set(names))
    assert {"BalanceIn", "BalanceInSync", "MngAddAccount", "GetAccountByLogin", "GetTradeByOrder", "AddGroup"} <= {
        *names
    }
    assert all(command.summary.endswith(".") for command in found.commands)
