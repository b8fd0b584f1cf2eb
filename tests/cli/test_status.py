"""scalemgr status, against a site that says what the daemon's does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

Say = Callable[..., tuple[int, str, str]]

READY: dict[str, Any] = {
    "version": "0.1.0",
    "epoch": "e",
    "seq": 12,
    "uptime_s": 90061.5,
    "ready": True,
    "draining": False,
    "checks": [{"name": "ledger", "ok": True, "why": "it was written 3 s ago"}],
    "commit": {"seconds": 0.0031},
    "views": {"behind": 0},
    "ledger": {"free_bytes": 5_000_000_000},
    "sessions": {"count": 2},
}


@contextmanager
def site(answer: bytes, status: int = 200, **headers: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A site that gives this answer, and what it was asked."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_ready(said: Say) -> None:
    """A daemon that is ready is status 0; for scripts it is what the site says, for people a few lines."""
    with site(json.dumps(READY).encode()) as (url, asked):
        status, out, _ = said("status", "--web", url)
        assert (status, json.loads(out)) == (0, READY)
        status, out, _ = said("status", "--web", f"{url}/", "--text")
    assert status == 0
    lines = out.splitlines()
    assert lines[:2] == ["ready", "  ok   ledger: it was written 3 s ago"]
    assert "up for            1 days, 1:01:01" in lines
    assert "last commit took  3.1 ms" in lines
    assert [request["path"] for request in asked] == ["/status", "/status"]
    assert "authorization" not in asked[0]


def test_notReady(said: Say) -> None:
    """One that is not is status 1, and says what is not well; what it does not tell is no line."""
    told = {
        "ready": False,
        "draining": True,
        "checks": [{"name": "ledger", "ok": False, "why": "the disk\x1b is full"}],
    }
    with site(json.dumps(told).encode()) as (url, _):
        status, out, _ = said("status", "--web", url, "--text")
    assert status == 1
    assert out.splitlines() == [
        "NOT READY, stopping",
        "  BAD  ledger: the disk\\x1b is full",
        "log               None, entry None",
    ]


@pytest.mark.parametrize(
    ("answer", "code", "headers", "why"),
    [
        (b"", 401, {}, "wants a token"),
        (b"", 404, {}, "it answers 404"),
        (b"", 302, {"Location": "http://127.0.0.1:1/"}, "it answers 302"),
        (b"<html>", 200, {}, "is not a daemon's site"),
        (b"[]", 200, {}, "is not a daemon's site"),
    ],
)
def test_noStatus(
    said: Say, monkeypatch: pytest.MonkeyPatch, answer: bytes, code: int, headers: dict[str, str], why: str
) -> None:
    """What does not tell is status 4; a token is shown to who was named, and to nobody it sends us to."""
    monkeypatch.setenv("SCALEMGR_TOKEN", "secret")
    with site(answer, code, **headers) as (url, asked):
        status, out, err = said("status", "--web", url)
    assert (status, out) == (4, "")
    assert why in err
    assert "secret" not in err
    assert [request["authorization"] for request in asked] == ["Bearer secret"]


def test_nobodyThere(said: Say) -> None:
    """Where nobody answers it is status 4; what is no address is status 2."""
    status, _, err = said("status", "--web", "http://127.0.0.1:1")
    assert status == 4
    assert "cannot be reached: " in err
    assert said("status", "--web", "file:///etc/passwd")[0] == 2


def test_waited(said: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --wait it is asked until it is ready; whoever never is is told as he is, and who is not there as ever."""
    with site(json.dumps({**READY, "ready": False}).encode()) as (url, asked):
        status, out, _ = said("status", "--web", url, "--wait", "--timeout", "0.5")
        assert (status, json.loads(out)["ready"]) == (1, False)
        assert len(asked) > 1
    assert said("status", "--web", "http://127.0.0.1:1", "--wait", "--timeout", "0.3")[0] == 4
    answers = iter([{**READY, "ready": False}, READY])
    monkeypatch.setattr("scalemgr.cli.status._fetch", lambda options: next(answers))
    assert said("status", "--wait")[0] == 0


def test_ofADaemon(said: Say, server: str) -> None:
    """A real daemon's site says what is asked of it: no line is without its value."""
    status, out, _ = said("status", "--text")
    assert status == 0
    assert "None" not in out
    told = json.loads(said("status", "--json")[1])
    assert (told["ready"], told["epoch"]) == (True, json.loads(said("call", "Ping")[1])["epoch"])
