"""All that an operator asks first, as one JSON object: C{/status}.

::

    {"version": "0.1.0", "epoch": "<the log's name>", "seq": 1234,
     "now": 1763836800.25, "since": 1763830000.0, "uptime_s": 6800.2,
     "ready": true, "draining": false,
     "checks": [{"name": "ledger", "ok": true, "why": "..."}, ...],
     "rates": {"minute": {...}, "hour": {...}},
     "totals": {"answers": 5, "failed": 0, "timeouts": {"void": 0, "pending": 0, "question": 0}, "replays": 0,
                "conflicts": 0, "rate_limited": 0, "refused_tokens": 0, "slow_readers": 0, "events": 10,
                "refused_connections": {"sessions": 0, "address": 0, "network": 0}},
     "queue": 0,
     "waiters": {"count": 1, "oldest_s": 0.004,
                 "oldest": [{"age_s": 0.004, "kind": "trade", "order": 7, "session": 12}, ...]},
     "commit": {"last": 1763836800.1, "seconds": 0.003, "under_way_s": 0.0, "failures": 0, "failing": ""},
     "views": {"seq": 1234, "behind": 0, "failing": "", "restarts": 0},
     "ledger": {"folder": "/var/lib/scalemgr", "bytes": {"log.db": 4096, ...}, "free_bytes": 123456789,
                "refusal": "", "looked": 1763836795.0, "away": ""},
     "sessions": {"count": 1, "unread_bytes": 0,
                  "listed": [{"number": 12, "principal": "crm", "role": "MANAGER", "peer": "127.0.0.1",
                              "in_flight": 1, "buffered_bytes": 0, "since": 1763830001.5, "seq": 1234,
                              "kid": "2026", "token_id": "crm-1", "expires": 1795366800.0}, ...]},
     "certificate_expires": null,
     "history": {"columns": ["time", "answers", ...], "minute": {"every_s": 1, "rows": [[...], ...]},
                 "hour": {"every_s": 10, "rows": [[...], ...]}}}

Times are unix seconds, C{..._s} are seconds, C{..._bytes} bytes. C{rates} has a row of L{scalemgr.web.history} each, by
the names of its columns, over all of the last minute and hour; C{null} before there is one. C{checks} are those of
L{scalemgr.web.health}: C{why} says how things are, be they well or not. C{commit.last} is null before the first,
C{failing} is empty while all is well. C{ledger.folder} is empty, and C{free_bytes} null, of a ledger in memory;
C{ledger.away} says why the ledger cannot be reached, and is empty while it can be.
Of waiters the oldest 100 are listed, of sessions the first 1000. C{principal} and C{role} are empty of who has shown no
token, C{seq} is the last entry that led to an event that it was sent. C{kid} is the name of the key that its token was
signed with, C{token_id} the token's C{jti}, either empty if there is none; C{expires} is when that token ends, or the
certificate that it came in with instead, and null of what never does. Tokens and keys are nowhere.

L{Status.brief} is the same less C{history}: what changes from second to second.
"""

from __future__ import annotations

from typing import Any

from .. import __version__
from ..server.seen import SessionSeen
from .health import Health
from .history import COLUMNS, History, Row
from .seen import Seen

__all__ = ["SESSIONS_MAX", "WAITERS_MAX", "Status"]

#: How many are listed.
SESSIONS_MAX = 1000
WAITERS_MAX = 100


class Status:
    """Tells how things stand. It is made when the daemon begins to serve."""

    def __init__(self, seen: Seen, health: Health, history: History) -> None:
        self._seen = seen
        self._health = health
        self._history = history
        self._since = seen.house.clock.seconds()
        self._began = seen.timer.seconds()

    def whole(self) -> dict[str, Any]:
        """All of it."""
        return {**self.brief(), "history": self._history.told()}

    def brief(self) -> dict[str, Any]:
        """All but the history."""
        seen = self._seen
        house, factory, counting = seen.house, seen.factory, seen.counting
        ledger, commits = house.ledger, house.runtime.commits
        progress, seq = ledger.progress, ledger.book.seq
        checks = self._health.checks()
        disk = seen.disk
        return {
            "version": __version__,
            "epoch": ledger.epoch,
            "seq": seq,
            "now": round(house.clock.seconds(), 3),
            "since": round(self._since, 3),
            "uptime_s": round(seen.timer.seconds() - self._began, 3),
            "ready": all(check.ok for check in checks),
            "draining": seen.dispatcher.stopping,
            "checks": [{"name": check.name, "ok": check.ok, "why": check.why} for check in checks],
            "rates": {"minute": _named(self._history.lastMinute()), "hour": _named(self._history.lastHour())},
            "totals": {
                "answers": counting.answers,
                "failed": counting.failed,
                "timeouts": dict(counting.timeouts),
                "replays": counting.replays,
                "conflicts": counting.conflicts,
                "rate_limited": counting.rateLimited,
                "refused_tokens": seen.auth.refused,
                "slow_readers": factory.slowReaders,
                "events": house.events.told,
                "refused_connections": dict(factory.refused),
            },
            "queue": house.runtime.queued,
            "waiters": {
                "count": len(house.waiters),
                "oldest_s": round(house.waiters.oldestAge(), 3),
                "oldest": [
                    {"age_s": round(w.age, 3), "kind": w.kind, "order": w.order, "session": w.session}
                    for w in house.waiters.oldest(WAITERS_MAX)
                ],
            },
            "commit": {
                "last": commits.last,
                "seconds": round(commits.lastSeconds, 6),
                "under_way_s": round(commits.underWay, 3),
                "failures": commits.failures,
                "failing": commits.failing,
            },
            "views": {
                "seq": progress.reached,
                "behind": max(0, seq - progress.reached),
                "failing": progress.failing,
                "restarts": progress.restarts,
            },
            "ledger": {
                "folder": disk.storage.folder,
                "bytes": dict(disk.storage.files),
                "free_bytes": disk.storage.free,
                "refusal": disk.storage.refusal,
                "looked": round(disk.looked, 3),
                "away": ledger.away,
            },
            "sessions": {
                "count": factory.sessions(),
                "unread_bytes": factory.unread.bytes,
                "listed": [_session(session) for session in factory.seen(SESSIONS_MAX)],
            },
            "certificate_expires": seen.certificateExpires(),
        }


def _named(row: Row | None) -> dict[str, float | None] | None:
    return None if row is None else dict(zip(COLUMNS, row, strict=True))


def _session(session: SessionSeen) -> dict[str, Any]:
    return {
        "number": session.number,
        "principal": session.principal,
        "role": session.role,
        "peer": session.peer,
        "in_flight": session.inFlight,
        "buffered_bytes": session.buffered,
        "since": round(session.since, 3),
        "seq": session.seq,
        "kid": session.kid,
        "token_id": session.tokenId,
        "expires": session.expires,
    }
