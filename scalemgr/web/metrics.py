"""C{/metrics}: the numbers that the rooms keep, as Prometheus reads them.

They are read when somebody asks, by a collector: prometheus_client's own counters take a lock for each count, and a
deposit cannot pay for that. No label grows with logins, or with anything that a peer says: C{command} is a command that
there is, or C{invalid}; C{status} one that they have answered with, or C{other}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from .. import __version__
from ..runtime.measures import Histogram
from .health import Health
from .seen import Seen

__all__ = ["CONTENT_TYPE", "INVALID", "Metrics"]

#: What the page is.
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode("ascii")
#: The command of what never came to be the request of one.
INVALID = "invalid"


class Metrics(Collector):
    """The page, and what is on it."""

    def __init__(self, seen: Seen, health: Health) -> None:
        self._seen = seen
        self._health = health
        self._registry = CollectorRegistry()
        self._registry.register(self)
        for collector in (ProcessCollector(registry=None), PlatformCollector(registry=None)):
            self._registry.register(collector)

    def page(self) -> bytes:
        """All of it, as text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What there is, as of now."""
        checks = {check.name: int(check.ok) for check in self._health.checks()}
        yield _gauge("ready", "1: this check is well; 0: it is not, and the daemon is not ready.", checks, "check")
        yield from self._ofRequests()
        yield from self._ofWaiting()
        yield from self._ofLedger()
        yield from self._ofSessions()

    def _ofRequests(self) -> Iterator[Metric]:
        counting = self._seen.counting
        requests = CounterMetricFamily(
            "scalemgr_requests_total",
            "Requests answered, by command and status. invalid: no such command, or no JSON.",
            labels=("command", "status"),
        )
        answers = HistogramMetricFamily(
            "scalemgr_request_seconds",
            "Seconds from a request to its answer, of answers that did not wait for an event.",
            labels=("command",),
        )
        waits = HistogramMetricFamily(
            "scalemgr_wait_seconds",
            "Seconds from a sync request to its answer, of answers that waited for an event.",
            labels=("command",),
        )
        for name, series in sorted(counting.series.items()):
            command = name or INVALID
            for status, count in sorted(series.statuses.items()):
                requests.add_metric((command, str(status)), count)
            for family, histogram in ((answers, series.answers), (waits, series.waits)):
                if any(histogram.counts):
                    _fill(family, histogram, (command,))
        yield from (requests, answers, waits)
        yield _counter(
            "timeouts",
            "Requests answered 504. void: withdrawn, and never applied; pending: may apply yet; question: a question.",
            counting.timeouts,
            "outcome",
        )
        yield _counter("replays", "Answers that were the outcome of an earlier request.", counting.replays)
        yield _counter(
            "conflicts", "Requests refused because their key or extID names another one.", counting.conflicts
        )
        yield _counter("rate_limited", "Requests refused because their caller asks too often.", counting.rateLimited)
        yield _counter(
            "capped",
            "Requests refused by a cap of their caller: amount, at once; day, in a day; currency, no cap names it.",
            counting.capped,
            "cap",
        )

    def _ofWaiting(self) -> Iterator[Metric]:
        house = self._seen.house
        commits = house.runtime.commits
        yield _gauge("waiters", "Requests that wait for their event now.", len(house.waiters))
        yield _gauge(
            "oldest_waiter_seconds",
            "For how many seconds the oldest of those has waited; 0: there is none.",
            house.waiters.oldestAge(),
        )
        yield _gauge("queue", "Requests that wait for their commit to begin.", house.runtime.queued)
        batches = HistogramMetricFamily("scalemgr_batch_requests", "Requests in a commit.")
        _fill(batches, commits.batches)
        yield batches
        seconds = HistogramMetricFamily("scalemgr_commit_seconds", "Seconds that a commit took until it was durable.")
        _fill(seconds, commits.seconds)
        yield seconds
        yield _counter("commit_failures", "Commits that failed.", commits.failures)

    def _ofLedger(self) -> Iterator[Metric]:
        house, storage = self._seen.house, self._seen.disk.storage
        ledger = house.ledger
        seq, progress = ledger.book.seq, ledger.progress
        yield _gauge("ledger_away", "1: the ledger cannot be reached; 0: it can be.", int(bool(ledger.away)))
        yield _gauge("log_seq", "The number of the last entry of the log.", seq)
        yield _gauge("views_behind", "Entries of the log that the views lack.", max(0, seq - progress.reached))
        yield _counter("projector_restarts", "Times that the process that makes the views ended.", progress.restarts)
        yield _counter("events", "Events broadcast to whoever listens, each counted once.", house.events.told)
        yield _gauge("ledger_bytes", "Bytes of the ledger's files.", storage.files, "file")
        if storage.free is not None:
            yield _gauge("ledger_free_bytes", "Bytes that are free on the ledger's disk.", storage.free)
        yield InfoMetricFamily(
            "scalemgr",
            "The version that runs, and the log that it serves.",
            {"version": __version__, "epoch": ledger.epoch},
        )

    def _ofSessions(self) -> Iterator[Metric]:
        seen, factory = self._seen, self._seen.factory
        yield _gauge("sessions", "Connections of clients.", factory.sessions())
        yield _counter("connections_refused", "Connections refused, by reason.", factory.refused, "reason")
        yield _counter("slow_readers", "Sessions cut off because they did not read.", factory.slowReaders)
        yield _gauge("unread_bytes", "Bytes that wait for sessions that do not read.", factory.unread.bytes)
        yield _counter("refused_tokens", "Tokens that were shown and not believed.", seen.auth.refused)
        yield _gauge("draining", "1: it stops, and takes no new work; 0: it serves.", int(seen.dispatcher.stopping))
        for name, what, expires in (
            ("certificate", "the certificate", seen.certificateExpires()),
            ("token", "the first token or certificate that an open session stands on", factory.expires()),
        ):
            if expires is not None:
                yield _gauge(
                    f"{name}_expires_seconds",
                    f"In how many seconds {what} ends; below 0: it has ended.",
                    expires - seen.house.clock.seconds(),
                )


def _counter(name: str, about: str, value: float | Mapping[str, float], label: str = "") -> Metric:
    return _valued(CounterMetricFamily(f"scalemgr_{name}_total", about, labels=(label,) if label else ()), value)


def _gauge(name: str, about: str, value: float | Mapping[str, float], label: str = "") -> Metric:
    return _valued(GaugeMetricFamily(f"scalemgr_{name}", about, labels=(label,) if label else ()), value)


def _valued(family: CounterMetricFamily | GaugeMetricFamily, value: float | Mapping[str, float]) -> Metric:
    """One value, or one for each value of the label."""
    if isinstance(value, Mapping):
        for of, number in sorted(value.items()):
            family.add_metric((of,), number)
    else:
        family.add_metric((), value)
    return family


def _fill(family: HistogramMetricFamily, histogram: Histogram, labels: Sequence[str] = ()) -> None:
    bounds = (*map(floatToGoString, histogram.bounds), "+Inf")
    family.add_metric(labels, list(zip(bounds, accumulate(histogram.counts), strict=True)), histogram.total)
