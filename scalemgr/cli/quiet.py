"""What libraries log is not what was asked for."""

from __future__ import annotations

from twisted.logger import globalLogBeginner

__all__ = ["hush"]


def hush() -> None:
    """Nothing of what is logged in this process is shown."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
