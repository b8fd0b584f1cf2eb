"""C{scalemgr status}: C{/status} of the daemon's web site, in a few lines.

As JSON it is what the site says, as it says it (L{scalemgr.web.status}).
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from .ending import Status, Stop
from .output import Output, addOutput, printable
from .server import addTimeout, addToken, tokenOf

__all__ = ["declare"]

_SITE = "http://127.0.0.1:8081"
_BYTES_MAX = 16 * 1024 * 1024
# Between two looks, in seconds.
_PAUSE_S = 0.2


def declare(parser: argparse.ArgumentParser) -> None:
    """Add its words."""
    parser.add_argument(
        "--web",
        default=os.environ.get("SCALEMGR_WEB") or _SITE,
        metavar="URL",
        help=f"where the site is, as [web] listen says; default: SCALEMGR_WEB, or {_SITE}",
    )
    addToken(parser)
    parser.add_argument("--ca", type=Path, metavar="PEM", help="https: the authorities to trust, not the system's")
    parser.add_argument(
        "--wait",
        action="store_true",
        help="until it is ready, but no longer than --timeout: for scripts that start one",
    )
    addTimeout(parser, 10.0)
    addOutput(parser)
    parser.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    told = _await(options) if options.wait else _fetch(options)
    Output(options).tell(told, _text(told))
    return Status.DONE if told["ready"] is True else Status.NO


def _await(options: argparse.Namespace) -> dict[str, Any]:
    """What it tells once it is ready; or, when there is no more time, whatever it tells then."""
    until = time.monotonic() + options.timeout
    while True:
        isLast = time.monotonic() + _PAUSE_S >= until
        try:
            told = _fetch(options)
            if told["ready"] is True or isLast:
                return told
        except Stop as e:
            if e.status != Status.UNREACHABLE or isLast:
                raise
        time.sleep(_PAUSE_S)


class _Stay(HTTPRedirectHandler):
    """A token is shown to nobody but who was named."""

    def redirect_request(self, *args: Any) -> None:
        return None


def _fetch(options: argparse.Namespace) -> dict[str, Any]:
    url = options.web.rstrip("/")
    if urlsplit(url).scheme not in ("http", "https"):
        raise Stop(f"{options.web!r} is no address of a site; expected one like {_SITE}", Status.WORDS)
    request = Request(f"{url}/status", headers={"Accept": "application/json"})
    token = tokenOf(options.token_file)
    shown = token() if callable(token) else token
    if shown is not None:
        request.add_unredirected_header("Authorization", f"Bearer {shown}")
    try:
        context = ssl.create_default_context(cafile=None if options.ca is None else str(options.ca))
        # No proxy: it is asked for what is here, and may be shown a token.
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context), _Stay)
        with opener.open(request, timeout=options.timeout) as answer:
            told = json.loads(answer.read(_BYTES_MAX))
        if not isinstance(told, dict) or "ready" not in told:
            raise ValueError("there is no ready in it")
    except HTTPError as e:
        what = "it wants a token that covers every group" if e.code in (401, 403) else f"it answers {e.code} {e.reason}"
        raise Stop(f"{url} does not tell its status: {what}", Status.UNREACHABLE) from e
    except ValueError as e:
        raise Stop(f"{url} is not a daemon's site, or a broken one: {e}", Status.UNREACHABLE) from e
    except (OSError, HTTPException) as e:
        why = e.reason if isinstance(e, URLError) else e
        raise Stop(f"{url} cannot be reached: {why}", Status.UNREACHABLE) from e
    return told


def _text(told: dict[str, Any]) -> str:
    """What an operator wants to know first. Of what a daemon does not tell there is no line."""

    def of(*path: str) -> Any:
        found: Any = told
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    lines = ["ready" if told["ready"] is True else "NOT READY"]
    if of("draining"):
        lines[0] += ", stopping"
    for check in of("checks") or ():
        lines.append(f"  {'ok ' if check.get('ok') else 'BAD'}  {check.get('name')}: {check.get('why')}")
    for name, value in (
        ("version", of("version")),
        ("up for", _time(of("uptime_s"))),
        ("log", f"{of('epoch')}, entry {of('seq')}"),
        ("views behind", of("views", "behind")),
        ("last commit took", _time(of("commit", "seconds"))),
        ("sessions", of("sessions", "count")),
        ("waiting", of("waiters", "count")),
        ("queued", of("queue")),
        ("answers", of("totals", "answers")),
        ("failed", of("totals", "failed")),
        ("disk free", _size(of("ledger", "free_bytes"))),
    ):
        if value is not None:
            lines.append(f"{name:18}{value}")
    return "\n".join(map(printable, lines))


def _time(seconds: Any) -> str | None:
    if not isinstance(seconds, (int, float)):
        return None
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    days, rest = divmod(int(seconds), 86400)
    clock = f"{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days} days, {clock}" if days else clock


def _size(size: Any) -> str | None:
    return f"{size / 1e9:.1f} GB" if isinstance(size, (int, float)) else None
