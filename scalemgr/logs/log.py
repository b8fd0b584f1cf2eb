"""The log: takes events, and request lines, and has them written as they should be."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import ILogObserver, LogEvent, LogLevel
from zope.interface import implementer

from ..config import Settings
from .lines import LEVELS, asJson, asText, levelOf
from .writer import IStream, Writer

__all__ = ["Log"]


@implementer(ILogObserver)
class Log:
    """
    An observer of events.

    @param json: one JSON object a line; else text for people.
    @param colours: may a terminal be told to show them?
    @param level: what the command line says of it; C{None}: the settings say it, also when they are read again.
    @ivar least: what is less important is not said.
    """

    def __init__(
        self,
        stream: IStream,
        settings: Settings,
        time: Callable[[], float],
        *,
        json: bool,
        colours: bool = False,
        level: LogLevel | None = None,
    ) -> None:
        self.json = json
        self.colours = colours and not json
        self._time = time
        self._level = level
        self.least = self._leastOf(settings)
        self._writer = Writer(stream, self._leftOut)
        self.write, self.start, self.stop = self._writer.write, self._writer.start, self._writer.stop

    def __call__(self, event: LogEvent) -> None:
        if levelOf(event) >= self.least:
            self.write(self._line(event))

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """What puts the level of other settings in force: an C{IReloadable}."""
        least = self._leastOf(settings)

        def apply() -> None:
            self.least = least

        return apply

    def _leastOf(self, settings: Settings) -> LogLevel:
        return LEVELS[settings.log.level] if self._level is None else self._level

    def _line(self, event: LogEvent) -> str:
        return asJson(event) if self.json else asText(event, colours=self.colours)

    def _leftOut(self, count: int) -> str:
        return self._line(
            {
                "log_time": self._time(),
                "log_level": LogLevel.error,
                "log_namespace": __name__,
                "log_format": "{count} lines of this log are missing: they could not be written, or not soon enough",
                "count": count,
            }
        )
