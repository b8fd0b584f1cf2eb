"""The console's pages and what they ask for, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scalemgr.web.console import STATEMENT_ROWS
from scalemgr.web.guard import OPERATOR

from ..helpers import booked, token
from .house import Visitor, Windowed

PAGES = Path(__file__).parent.parent.parent / "scalemgr/web/pages"
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}


@pytest.fixture
def house() -> Iterator[Windowed]:
    """A daemon with a console; nothing is left of it afterwards."""
    made = Windowed()
    yield made
    made.close()


@pytest.mark.parametrize("path", ["/", "/pages/console.js", "/stream", "/statement", "/login", "/nothing", "/pages/x"])
def test_nothingFromOutside(house: Windowed, path: str) -> None:
    """Whatever is answered, a browser may not load or send anything elsewhere because of it, nor guess what it is."""
    answer = house.ask(path, "HEAD")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy == POLICY or policy == {"default-src": "'none'", "frame-ancestors": "'none'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin")
    assert answer.headers["cache-control"] in ("no-store", "no-cache")


def test_pagesNameNothingOutside() -> None:
    """No page has an address of another host, a style or a script of its own, or makes HTML out of text."""
    for page in PAGES.iterdir():
        text = page.read_text("utf-8")
        for address in ("http://", "https://", "//cdn", "url("):
            assert address not in text.replace("http://www.w3.org/2000/svg", ""), page
        for danger in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "<style",
        ):
            assert danger not in text, page
        assert " style=" not in text
        assert " onclick=" not in text


def test_pages(house: Windowed) -> None:
    """All that the page is made of is served as what it is, and not sent again to who has it."""
    text = house.ask("/").text
    for page in PAGES.iterdir():
        if page.suffix == ".html":
            assert house.ask(f"/pages/{page.name}").status == 404
            continue
        answer = house.ask(f"/pages/{page.name}")
        assert answer.status == 200
        assert answer.body == page.read_bytes()
        assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
        again = house.ask(f"/pages/{page.name}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
    for name in ("console.css", "console.js", "theme.js", "icon.svg"):
        assert f"/pages/{name}" in text


@pytest.mark.parametrize("path", ["/pages", "/pages/", "/pages/../entry.py", "/pages/%2e%2e/entry.py", "/pages/a/b"])
def test_nothingElseIsServed(house: Windowed, path: str) -> None:
    """There is no way from the pages to other files."""
    assert house.ask(path).status == 404


def test_nothingIsChanged(house: Windowed) -> None:
    """Nothing but the two forms takes anything else than GET, and who looks may change nothing."""
    for path in ("/", "/stream", "/statement?login=1001", "/pages/console.js"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert house.ask(path, method).status == 405
    for flag in ("set_accounts", "del_accounts", "set_accounts_balance", "del_accounts_balance", "set_finance"):
        assert not OPERATOR.may(flag)


def test_statement(house: Windowed) -> None:
    """A statement is what GetStatement answers, newest first, to the letter."""
    session = house.daemon.staff()
    for amount in (10.0, -2.5):
        booked(house.daemon, session, amount=amount, command="BalanceInSync" if amount > 0 else "BalanceOutSync")
    session.send("GetStatement", "s", {"login": 1001, "limit": STATEMENT_ROWS, "newest_first": True})
    house.daemon.settle()
    [expected] = session.answers()
    answer = house.ask("/statement?login=1001")
    assert (answer.status, answer.json) == (200, expected["data"])
    assert answer.json["closing_balance"] == 7.5
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


def test_statementInPages(house: Windowed) -> None:
    """Pages go back from the newest, all as of the first one's entry; none is longer than a page may be."""
    session = house.daemon.staff()
    for _ in range(5):
        booked(house.daemon, session)
    first = house.ask("/statement?login=1001&limit=2").json
    booked(house.daemon, session)
    last = first["rows"][-1][0]
    second = house.ask(f"/statement?login=1001&limit=3&after_seq={last}&as_of={first['seq']}").json
    assert [row[3] for row in first["rows"] + second["rows"]] == [5, 4, 3, 2, 1]
    assert first["count"] == second["count"] == 5
    for n in range(STATEMENT_ROWS):
        session.deposit(f"many-{n}")
    house.daemon.settle()
    assert len(house.ask("/statement?login=1001&limit=100000").json["rows"]) == STATEMENT_ROWS


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 400, "login: required"),
        ("login=abc", 400, "login: expected int, got str"),
        ("login=-1", 400, "login: expected int, got str"),
        ("login=1001&from=x", 400, "from: expected int, got str"),
        ("login=1001&from=2&to=1", 400, "to: expected it after from"),
        ("login=1001&limit=0", 400, "limit"),
        ("login=77", 404, "login 77 does not exist, or not for you"),
        ("login=%ff%fe", 400, "login: expected int, got str"),
    ],
)
def test_statementRefused(house: Windowed, query: str, status: int, words: str) -> None:
    """What cannot be answered is refused as on the wire, in the command's own words."""
    answer = house.ask(f"/statement?{query}")
    assert answer.status == status
    assert words in answer.json["message"]


def test_statementsAreByWhatOneMaySee(house: Windowed) -> None:
    """A token's mask, its flags and its role hold for statements as they do on the wire."""
    house.eyes.guard.isLocal = False
    booked(house.daemon, house.daemon.staff())

    def ask(**claims: object) -> int:
        return house.ask("/statement?login=1001", headers={"Authorization": f"Bearer {token(**claims)}"}).status

    assert ask() == 200
    assert ask(groups="demo") == 200
    assert ask(groups="real-*") == 404
    assert ask(see_accounts_balance=0) == 403
    assert ask(role="user", login=1002) == 403


def test_statementThatNobodyWaitsFor(house: Windowed) -> None:
    """A browser that goes before its statement is made takes the question with it: the ledger is told to let it be."""
    asked: list[bool] = []
    house.daemon.ledger.statement = lambda *of: asked.append(of[-1].isOver)  # type: ignore[method-assign]
    house.daemon.queryThread.held = True
    visitor = Visitor(house)
    visitor.say(b"GET /statement?login=1001 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    visitor.lose()
    house.daemon.queryThread.release()
    house.daemon.settle()
    assert asked == [True]
    assert visitor.answers() == []


def test_statementWhileItStops(house: Windowed) -> None:
    """While the daemon stops a statement is refused like any other work."""
    house.daemon.dispatcher.stopping = True
    assert house.ask("/statement?login=1001").status == 503
