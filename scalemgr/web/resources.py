"""The pages that machines read: C{/metrics}, C{/livez}, C{/readyz}, C{/status}; and how a page says no.

C{/livez} and C{/readyz} are for everybody who gets here; who may not oversee the house is only told which check
failed. See L{scalemgr.web.guard} for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from .guard import Guard
from .health import Check, Health
from .metrics import CONTENT_TYPE, Metrics
from .status import Status

__all__ = ["Front", "Live", "MetricsPage", "Page", "Ready", "Refusal", "StatusPage", "said", "saidAsJson"]

_JSON = b"application/json"


def said(request: Request, status: int, text: str) -> bytes:
    """An answer in words."""
    request.setResponseCode(status, HTTPStatus(status).phrase.encode("ascii"))
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return f"{text}\n".encode()


def saidAsJson(request: Request, status: int, value: Any) -> bytes:
    """An answer as JSON."""
    request.setResponseCode(status, HTTPStatus(status).phrase.encode("ascii"))
    request.setHeader(b"Content-Type", _JSON)
    return msgspec.json.encode(value)


class Page(Resource):
    """
    What is at one path. There is nothing below it.

    @cvar methods: those that it understands; what understands GET understands HEAD.
    """

    methods: Sequence[bytes] = (b"GET",)

    def getChild(self, path: bytes, request: Request) -> IResource:
        return Refusal(404, "There is no such page.")

    def render(self, request: Request) -> Any:
        body = self.respond(request)
        if request.method == b"HEAD" and isinstance(body, bytes):
            # Twisted would write down what was asked for, and there may be a token in it.
            request.setHeader(b"Content-Length", b"%d" % len(body))
            return b""
        return body

    def respond(self, request: Request) -> Any:
        """What it says to any method, as to GET: bytes, or C{NOT_DONE_YET}."""
        asked = b"GET" if request.method == b"HEAD" else request.method
        if asked not in self.methods:
            allowed = b", ".join((*self.methods, b"HEAD") if b"GET" in self.methods else self.methods)
            request.setHeader(b"Allow", allowed)
            return said(request, 405, f"This page understands {allowed.decode('ascii')} only.")
        return self.answer(request)

    def answer(self, request: Request) -> Any:
        """What it says to a method that it understands: bytes, or C{NOT_DONE_YET}."""
        raise NotImplementedError


class Refusal(Page):
    """What is at a path where there is nothing for whoever asks, whatever he asks."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__()
        self._status = status
        self._text = text

    def respond(self, request: Request) -> bytes:
        return said(request, self._status, self._text)


class Front(Page):
    """The folder of all pages; C{/} itself says which there are."""

    def getChild(self, path: bytes, request: Request) -> IResource:
        return self if not path and not request.postpath else super().getChild(path, request)

    def answer(self, request: Request) -> bytes:
        paths = sorted(name.decode("ascii") for name in self.children)
        return said(request, 200, "\n".join(f"/{path}" for path in paths))


class Live(Page):
    """C{/livez}: that it answers is the answer."""

    def answer(self, request: Request) -> bytes:
        return said(request, 200, "ok")


class Ready(Page):
    """C{/readyz}: 200 or 503, and a line for each check; as JSON with C{?json}, or who accepts only that."""

    def __init__(self, health: Health, guard: Guard) -> None:
        super().__init__()
        self._health = health
        self._guard = guard

    def answer(self, request: Request) -> bytes:
        checks = self._health.checks()
        if not self._guard.mayOversee(self._guard.principalOf(request)):
            checks = [Check(check.name, check.ok, "") for check in checks]
        ready = all(check.ok for check in checks)
        status = 200 if ready else 503
        if request.uri.endswith(b"?json") or request.getHeader(b"accept") == _JSON:
            told = [{"name": check.name, "ok": check.ok, "why": check.why} for check in checks]
            return saidAsJson(request, status, {"ready": ready, "checks": told})
        lines = [f"{'ok ' if check.ok else 'NOT'} {check.name}" + (check.why and f": {check.why}") for check in checks]
        return said(request, status, "\n".join(["ready" if ready else "not ready", *lines]))


class _Overseen(Page):
    """What is about the house as a whole."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    def answer(self, request: Request) -> bytes:
        principal = self._guard.principalOf(request)
        if principal is None:
            request.setHeader(b"WWW-Authenticate", b'Bearer realm="scalemgr"')
            return said(request, 401, "This needs a token: Authorization: Bearer ...")
        if not self._guard.mayOversee(principal):
            return said(request, 403, "This is for managers, dealers and admins whose group mask is *.")
        return self.told(request)

    def told(self, request: Request) -> bytes:
        """What it says to whoever may know."""
        raise NotImplementedError


class MetricsPage(_Overseen):
    """C{/metrics}."""

    def __init__(self, metrics: Metrics, guard: Guard) -> None:
        super().__init__(guard)
        self._metrics = metrics

    def told(self, request: Request) -> bytes:
        request.setHeader(b"Content-Type", CONTENT_TYPE)
        return self._metrics.page()


class StatusPage(_Overseen):
    """C{/status}."""

    def __init__(self, status: Status, guard: Guard) -> None:
        super().__init__(guard)
        self._status = status

    def told(self, request: Request) -> bytes:
        return saidAsJson(request, 200, self._status.whole())
