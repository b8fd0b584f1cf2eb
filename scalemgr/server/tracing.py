"""The lines of one request, under the trace that its client says it is a part of."""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent, Logger
from zope.interface import implementer

from ..wire.messages import traceIds

__all__ = ["traced"]


def traced(log: Logger, traceparent: str) -> Logger:
    """A logger that says the same in the same place, and with it C{trace_id} and C{parent_id}."""
    return Logger(log.namespace, log.source, _Adding(traceIds(traceparent), log.observer))


@implementer(ILogObserver)
class _Adding:
    """Adds something to each event on its way to an observer."""

    def __init__(self, fields: dict[str, str], observer: ILogObserver) -> None:
        self._fields = fields
        self._observer = observer

    def __call__(self, event: LogEvent) -> None:
        self._observer({**self._fields, **event})
