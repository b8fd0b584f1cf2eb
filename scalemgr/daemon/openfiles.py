"""How many files the process may have open.

Each session is one, and so is each connection to the site, and each of a proxy that has yet to say of whom it is.
"""

from __future__ import annotations

from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit

from twisted.logger import Logger

from ..server.proxied import WAITING_MAX
from ..web.site import CONNECTIONS_MAX

__all__ = ["raiseLimit"]

_log = Logger()

_BESIDE_SESSIONS = 100 + CONNECTIONS_MAX + WAITING_MAX


def raiseLimit(sessions: int) -> None:
    """See that there may be so many sessions, as far as the system allows: its usual limit is far below."""
    wanted = sessions + _BESIDE_SESSIONS
    soft, hard = getrlimit(RLIMIT_NOFILE)
    if soft == RLIM_INFINITY or soft >= wanted:
        return
    possible = wanted if hard == RLIM_INFINITY else min(wanted, hard)
    setrlimit(RLIMIT_NOFILE, (possible, hard))
    if possible < wanted:
        _log.warn(
            "the system allows {possible} open files, limits.sessions needs {wanted}: "
            "raise the one (ulimit -n, LimitNOFILE=) or lower the other",
            possible=possible,
            wanted=wanted,
        )
