"""A line for each request that was answered, or for those that failed: as C{requests} of C{[log]} says.

For people::

    BalanceInSync "pay-1" of crm: 504 SYNC_TIMEOUT, void, after 5.002 s (login 1001, order 7)

For machines, with C{command}, C{extID} (as the client wrote it, with its type), C{principal}, C{login}, C{order},
C{status}, C{error}, C{outcome} (L{Told.outcome <scalemgr.interfaces.Told.outcome>}), C{replayed}, C{duration} (in
seconds), and C{trace_id} and C{parent_id} of one that is a part of a trace. Of a request's C{data} nothing is told
but the numbers of its account and its trade, and no token ever is. What is C{untaken} (429, 503, what is malformed or
not permitted) may be asked again under the same name; what is C{refused} is so for good.

What failed is what is answered with 500 and above. It is C{error} if money may have moved, or if it is our own fault;
C{warn} if it is certain that nothing did; all else is C{info}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.logger import Logger, LogLevel
from zope.interface import implementer

from ..config import Settings
from ..interfaces import IWatcher, Told
from ..wire.messages import encode, traceIds
from .lines import FIELD_CHARACTERS_MAX, textLine, timeText
from .log import Log
from .printing import printable

__all__ = ["RequestLines"]

_ENCODE = msgspec.json.Encoder().encode
_FAILED = 500
# So important is a request that failed, by its outcome.
_LEVELS = {"void": LogLevel.warn, "refused": LogLevel.warn, "untaken": LogLevel.warn}


@implementer(IWatcher)
class RequestLines:
    """
    Writes them.

    @param log: where to. C{None}: an operator has chosen another observer, which gets them as events.
    @param time: the time of day, in unix seconds.
    @param seconds: the time, of a clock that is never set.
    """

    _logger = Logger()

    def __init__(
        self, log: Log | None, settings: Settings, time: Callable[[], float], seconds: Callable[[], float]
    ) -> None:
        self._log = log
        self._time = time
        self.seconds = seconds
        self._choose(settings)
        # All lines of one second begin alike.
        self._second, self._begin = -1, ""

    def _choose(self, settings: Settings) -> None:
        self._none, self._all = settings.log.requests == "none", settings.log.requests == "all"

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """What puts other settings in force: an C{IReloadable}."""
        return lambda: self._choose(settings)

    def told(self, told: Told) -> None:
        if self._none or (told.status < _FAILED and not self._all):
            return
        level = LogLevel.info if told.status < _FAILED else _LEVELS.get(told.outcome, LogLevel.error)
        log = self._log
        if log is None:
            self._logger.emit(level, "{text}", text=inWords(told), **fields(told))
        elif level < log.least:
            return
        elif log.json:
            log.write(self._asJson(told, level))
        else:
            trace = told.traceparent and "".join(f" {n}={v}" for n, v in traceIds(told.traceparent).items())
            log.write(textLine(timeText(self._time(), " "), level, inWords(told) + trace, colours=log.colours))

    def _asJson(self, told: Told, level: LogLevel) -> str:
        """The same members as L{fields}, in half the time that a general encoder takes."""
        now = self._time()
        second = int(now)
        if second != self._second:
            self._second, self._begin = second, timeText(second, "T")[:-4]
        error = "null" if told.error is None else _quoted(_nameOf(told))
        trace = told.traceparent and "".join(f',"{n}":"{v}"' for n, v in traceIds(told.traceparent).items())
        return (
            f'{{"time":"{self._begin}{int(now * 1000) % 1000:03}Z","level":"{level.name}",'
            f'"message":{_quoted(inWords(told))},"where":"{__name__}",'
            f'"command":{_quoted(told.command)},"extID":{told.extID},"principal":{_quoted(told.principal)},'
            f'"login":{told.login},"order":{told.order},"status":{told.status},"error":{error},'
            f'"outcome":"{told.outcome}","replayed":{"true" if told.replayed else "false"},'
            f'"duration":{told.seconds:.6f}{trace}}}\n'
        )


def inWords(told: Told) -> str:
    """What there is to say of a request, for people, on one line."""
    error = "" if told.error is None else f" {_nameOf(told)}"
    text = (
        f"{told.command or 'an unknown command'} {told.extID} of {told.principal or 'nobody'}: "
        f"{told.status}{error}, {told.outcome}, after {told.seconds:.3f} s"
    )
    if told.login and told.order:
        text += f" (login {told.login}, order {told.order})"
    elif told.login or told.order:
        text += f" (login {told.login})" if told.login else f" (order {told.order})"
    return printable(text)


def fields(told: Told) -> dict[str, Any]:
    """What there is to say of a request, for machines."""
    return {
        "command": told.command,
        "extID": str(told.extID),
        "principal": told.principal,
        "login": told.login,
        "order": told.order,
        "status": told.status,
        "error": None if told.error is None else _nameOf(told),
        "outcome": told.outcome,
        "replayed": told.replayed,
        "duration": told.seconds,
        **traceIds(told.traceparent),
    }


def _quoted(text: str) -> str:
    """A text as JSON."""
    return _ENCODE(text).decode("ascii") if text.isascii() else encode(text)


def _nameOf(told: Told) -> str:
    """The published name of a refusal; a plugin may call it anything."""
    assert told.error is not None
    return printable(told.error.error, FIELD_CHARACTERS_MAX)
