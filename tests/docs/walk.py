"""A document, followed to the letter.

Of a Markdown file, in order: a fenced block of ``sh`` is pasted into one bash, which stays the same for the whole
document; a block of ``text`` right after it is what that must print, where C{...} stands for anything. A block
of another language whose first line is a comment with nothing but a file's name (``# deposit.py``) is saved under
that name. Anything else is prose.

The ports that documents use stand for free ones, so that several can be followed at once on a machine where something
listens already.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

__all__ = ["ROOT", "Block", "Walk", "follow"]

ROOT = Path(__file__).parent.parent.parent
#: How long one block may take, in seconds.
PATIENCE_S = 60.0
#: The ports that documents use.
PORTS = ("8080", "8081", "8443", "8444")

_FENCED = re.compile(r"^```(?P<kind>\S*)[^\n]*\n(?P<text>.*?)^```$(?P<gap>\n*)", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"(?:#|//|<\?php //|--) (?P<name>[\w.-]+)\n")


class Block(Struct, frozen=True):
    """
    A fenced block.

    @ivar line: where it stands in its document.
    @ivar follows: does it stand right after another one?
    """

    kind: str
    text: str
    line: int
    follows: bool

    @property
    def name(self) -> str | None:
        """The file that it is to be."""
        found = _NAMED.match(self.text)
        return found["name"] if found and self.kind not in ("sh", "text", "") else None


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    text = document.read_text("utf-8")
    found, end = [], -1
    for match in _FENCED.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match["kind"], match["text"], line, match.start() == end))
        end = match.end()
    return found


class Walk:
    """
    One walk through a document, in a folder of its own.

    @param home: an empty folder.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ports = dict(zip(PORTS, _freePorts(len(PORTS)), strict=True))
        (home / ".tools").mkdir()
        # As the installed command is found on the PATH.
        command = home / ".tools" / "scalemgr"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m scalemgr "$@"\n')
        command.chmod(0o755)
        path = os.pathsep.join([str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=home,
            env={
                **os.environ,
                "PATH": path,
                "PYTHONPATH": str(ROOT),
                "HOME": str(home),
                "CHECKOUT": str(ROOT),
                "NO_COLOR": "1",
                # Where the command looks by itself.
                "SCALEMGR_SERVER": self.here("tcp:127.0.0.1:8080"),
                "SCALEMGR_WEB": self.here("http://127.0.0.1:8081"),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._said = b""
        self._count = 0

    def here(self, text: str) -> str:
        """Text of a document, as it is to be followed here."""
        return re.sub(r"\b(" + "|".join(PORTS) + r")\b", lambda m: self._ports[m[0]], text)

    def save(self, block: Block) -> None:
        """Make the file that a block is."""
        assert block.name is not None
        (self._home / block.name).write_text(self.here(block.text), "utf-8")

    def paste(self, block: Block) -> str:
        """
        Have a block of commands carried out; what was printed.

        @raise AssertionError: if one of them fails, or they take too long.
        """
        assert self._shell.stdin is not None
        self._count += 1
        script, end = self._home / ".tools" / f"block-{self._count}", f"---- end {self._count}"
        script.write_text(self.here(block.text), "utf-8")
        self._shell.stdin.write(
            f"__failed=; set -o pipefail; trap '__failed=\"$__failed [$BASH_COMMAND: $?]\"' ERR; source {script}; "
            f'trap - ERR; echo; echo "{end}$__failed"\n'.encode()
        )
        self._shell.stdin.flush()
        said, failed = self._readTo(end)
        assert not failed, f"line {block.line}: failed: {failed}\n{said}"
        return said

    def _readTo(self, end: str) -> tuple[str, str]:
        assert self._shell.stdout is not None
        until = time.monotonic() + PATIENCE_S
        mark = f"\n{end}".encode()
        while mark not in self._said or b"\n" not in self._said.split(mark, 1)[1]:
            ready, _, _ = select.select([self._shell.stdout], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"it takes more than {PATIENCE_S:g} s; so far:\n{self._said.decode(errors='replace')}"
            data = os.read(self._shell.stdout.fileno(), 65536)
            assert data, f"the shell ended:\n{self._said.decode(errors='replace')}"
            self._said += data
        said, rest = self._said.split(mark, 1)
        failed, self._said = rest.split(b"\n", 1)
        return said.decode().rstrip("\n"), failed.decode().strip()

    def end(self) -> None:
        """Whatever was started in the shell is gone afterwards."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._shell.pid, number)
            except ProcessLookupError:
                break
            if number == signal.SIGTERM:
                _allGone(self._shell)
        self._shell.wait(PATIENCE_S)
        assert self._shell.stdout is not None
        self._shell.stdout.close()


def follow(document: Path, walk: Walk) -> None:
    """
    Follow a document to its end, where the walk ends, too.

    @raise AssertionError: if a command fails, or prints something else than the document shows.
    """
    try:
        printed = ""
        for block in blocks(document):
            if block.name is not None:
                walk.save(block)
            elif block.kind == "sh":
                printed = walk.paste(block)
            elif block.kind == "text" and block.follows:
                wanted = walk.here(block.text)
                assert matches(printed, wanted), f"line {block.line}: it printed\n{printed}\n-- and not\n{wanted}"
    finally:
        walk.end()


def matches(printed: str, wanted: str) -> bool:
    """Is what was printed as a document says, C{...} being anything?"""
    parts = [re.escape(part) for part in wanted.strip("\n").split("...")]
    return re.fullmatch(".*".join(parts), printed.strip("\n"), re.DOTALL) is not None


def _allGone(shell: subprocess.Popen[bytes]) -> None:
    """Wait until nothing is left of a shell's session, for a while."""
    until = time.monotonic() + 15
    while time.monotonic() < until:
        shell.poll()
        try:
            os.killpg(shell.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)


def _freePorts(count: int) -> Iterator[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return iter(ports)
