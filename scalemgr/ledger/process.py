"""The projector in a process of its own, as the daemon sees it.

Outside the daemon's interpreter and on another core it takes nothing from deposits, and its end hurts none: it is
started again, and questions wait meanwhile. L{projecting} is what runs there.

Between the two is a pair of sockets that carries one JSON array a packet. To it: C{["begin", made, kind, source]}
first; C{["wake", head]}; C{["want", seq]}; C{["suspect", seen, anew]}; C{["stop", head]}, or no head: not
to finish. From it: C{["state", reached, made, failing]}; C{["log", level, text, traceback]}; C{["refused", why]}, then
it ends. However the daemon ends, the system closes its socket, and the other end ends, too.

What is to be followed goes over that line, and not where other users of the machine can read it: it may have passwords.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import msgspec
import ujson
from twisted.logger import Logger, LogLevel

from .errors import LedgerRefused
from .projector import ISource, Projector

__all__ = ["Line", "ProcessProjector"]

# No packet has more bytes.
_PACKET_MAX = 65536

# How long to wait before another one is started: at first, and at most.
_AGAIN_SECONDS = 1.0
_AGAIN_SECONDS_MAX = 60.0
# How often it is said that one is waited for which does not begin.
_LATE_SECONDS = 10.0
# How long one that should finish may take before it is killed. What it has not done is done at the next start.
_FINISH_SECONDS = 60.0

_log = Logger()


class Line:
    """
    One end of what the two talk over.

    @param end: a C{SOCK_SEQPACKET} socket, which is closed with this.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def say(self, *message: Any, wait: bool = True) -> None:
        """
        Tell the other end, if there still is one: whether there is, is found when it is listened to.

        @param wait: until there is room; else it is not said if there is none.
        """
        try:
            self._end.send(ujson.dumps(message).encode("ascii"), 0 if wait else socket.MSG_DONTWAIT)
        except OSError:
            pass

    def hear(self) -> list[Any] | None:
        """What the other end says next; C{None} if that was all."""
        try:
            packet = self._end.recv(_PACKET_MAX)
        except OSError:
            return None
        return list(ujson.loads(packet)) if packet else None

    def waitFor(self, seconds: float) -> bool:
        """Block until there is something to hear; C{False} if it takes longer."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def close(self) -> None:
        """Hang up."""
        self._end.close()


class ProcessProjector(Projector):
    """
    Has the log followed by another process, which is started at once and begins when it is told to.

    @raise LedgerRefused: if no process can be started.
    """

    def __init__(self, source: ISource) -> None:
        super().__init__(source)
        self._stopping = False
        # The last head that it was told of. It is told of one at a time, so its socket never fills.
        self._told = 0
        self._thread = threading.Thread(target=self._run, name="scalemgr projector", daemon=True)
        try:
            self._start()
        except OSError as e:
            raise LedgerRefused(f"the process that makes the views cannot be started: {e}") from e

    def _start(self) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # -P: nothing is imported from the folder that it happens to be started in.
        program = [sys.executable, "-P", "-m", f"{__package__}.projecting"]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - of our own
                [*program, str(its.fileno())],
                # What this process imports from, however it came by it.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                # What a terminal sends to the daemon, such as Ctrl-C, is not for it.
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            its.close()
        self._line: Line | None = Line(ours)
        self._told = 0

    @property
    def pid(self) -> int:
        """The process that does it now."""
        return self._process.pid

    def begin(self) -> None:
        self._sendBegin()
        while not self._thread.is_alive():
            message = self._receiveOrSay()
            if message is None:
                raise LedgerRefused("the process that makes the views has ended; see what it has said")
            if message[0] == "refused":
                raise LedgerRefused(message[1])
            self._take(*message)
            if message[0] == "state":
                self._thread.start()

    def wake(self, head: int) -> None:
        with self._state:
            self._head = max(self._head, head)
            self._tellHead()

    def _tellHead(self) -> None:
        """It is told when it has what it was told of last; until then, new heads gather."""
        if self._head > self._told and self.reached >= self._told:
            self._told = self._head
            self._send("wake", self._head)

    def suspect(self, seen: int, anew: bool = False) -> None:
        with self._state:
            if seen == self.made:
                self._send("suspect", seen, anew)

    def _want(self, seq: int) -> None:
        self._send("want", seq)

    def stop(self, finish: bool = True) -> None:
        with self._state:
            self._stopping = True
            self._send("stop", self._head if finish else None)
            self._state.notify_all()
        if self._thread.ident is None:
            self._hangUp()
            self._process.wait()
            return
        self._thread.join(_FINISH_SECONDS)
        if self._thread.is_alive():
            _log.warn("views: they are not finished after {s:g} s; the next start does the rest", s=_FINISH_SECONDS)
            self._process.kill()
            self._thread.join()

    # -- the other end ----------------------------------------------------------------------------------

    def _sendBegin(self) -> None:
        self._send("begin", self.made, self._source.kind, msgspec.to_builtins(self._source))

    def _send(self, *message: Any) -> None:
        if self._line is not None:
            # If there is no room it is far behind with what it was told already.
            self._line.say(*message, wait=False)

    def _receive(self) -> list[Any] | None:
        """The next message; C{None} if there will be none."""
        assert self._line is not None
        return self._line.hear()

    def _receiveOrSay(self) -> list[Any] | None:
        """The same, and it is said if that is long in coming: nobody is served meanwhile."""
        assert self._line is not None
        while not self._line.waitFor(_LATE_SECONDS):
            _log.warn("views: still waiting for the process that makes them ({pid}) to begin", pid=self.pid)
        return self._line.hear()

    def _take(self, kind: str, *rest: Any) -> None:
        if kind == "state":
            with self._state:
                self._set(*rest)
                self._tellHead()
        elif kind == "log":
            level, text, traceback = rest
            _log.emit(LogLevel.lookupByName(level), "{log_text}", log_text=text, log_traceback=traceback or None)
        else:
            _log.error("views: they cannot be made now: {why}", why=rest[0])

    def _run(self) -> None:
        pause, isBack = _AGAIN_SECONDS, True
        while True:
            begun = time.monotonic()
            while (message := self._receive()) is not None:
                self._take(*message)
                if message[0] == "state" and not isBack:
                    isBack = True
                    _log.info("views: the process that makes them is back, at entry {seq}", seq=self.reached)
            if time.monotonic() - begun > _AGAIN_SECONDS_MAX:
                # That it ended was no habit.
                pause = _AGAIN_SECONDS
            if not self._another(pause):
                return
            isBack = False
            pause = min(2 * pause, _AGAIN_SECONDS_MAX)

    def _another(self, pause: float) -> bool:
        """It has ended. Start another one, unless it should have."""
        self._hangUp()
        status = self._process.wait()
        with self._state:
            if self._stopping:
                return False
        _log.critical(
            "views: the process that makes them has ended with status {status}; another is started in {s:g} s",
            status=status,
            s=pause,
        )
        with self._state:
            if self._state.wait_for(lambda: self._stopping, pause):
                return False
            try:
                self._start()
            except OSError as e:
                _log.error("views: no process can be started: {why}", why=e)
                return True
            self.restarts += 1
            # It may find them damaged, and make them again.
            self.made += 1
            self._sendBegin()
        return True

    def _hangUp(self) -> None:
        with self._state:
            if self._line is not None:
                self._line.close()
            self._line = None
