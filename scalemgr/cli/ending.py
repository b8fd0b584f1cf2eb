"""How a verb ends: the exit statuses that scripts rely on, and how to end with one of them from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

__all__ = ["STATUSES", "Status", "Stop", "stopping"]


class Status(IntEnum):
    """
    The exit statuses, the same for every verb.

    @cvar DONE: it is done, or so.
    @cvar NO: it is not so, or it was refused, or not taken: certainly nothing was booked by this attempt.
    @cvar WORDS: the words, or a file that they name, make no sense; nothing was tried.
    @cvar UNKNOWN: it may have been booked, or may yet be, or scalemgr failed in the middle. The same line again makes
        certain: the key was told.
    @cvar UNREACHABLE: the server cannot be reached, or does not let us in; nothing was booked by this attempt.
    @cvar INTERRUPTED: by Ctrl-C.
    @cvar UNREAD: whoever read the output has gone, as C{head} does, or it cannot be written; what was to be done is.
    """

    DONE = 0
    NO = 1
    WORDS = 2
    UNKNOWN = 3
    UNREACHABLE = 4
    INTERRUPTED = 130
    UNREAD = 141


#: The same for people.
STATUSES = """\
exit status:
  0    done, or so
  1    not so, or refused, or not taken: certainly nothing was booked by this attempt
  2    the words, or a file that they name, make no sense; nothing was tried
  3    it may have been booked: say the same again with the --key that was printed
  4    the server cannot be reached, or does not let us in; nothing was booked by this attempt
  130  Ctrl-C
  141  done, but whoever read the output has gone, or it cannot be written"""


class Stop(Exception):
    """
    The end of a verb.

    @ivar status: how it ends. The text of the exception is one sentence for standard error.
    """

    def __init__(self, sentence: str, status: Status = Status.NO) -> None:
        super().__init__(sentence)
        self.status = status


@contextmanager
def stopping(*kinds: type[Exception], status: Status = Status.NO) -> Iterator[None]:
    """Where one of these exceptions is raised, the verb ends with its text: around a part of it, or as a decorator."""
    try:
        yield
    except kinds as e:
        raise Stop(str(e), status) from e
