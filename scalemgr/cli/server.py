"""Which daemon, and as whom: what every verb takes that asks one, and what its refusals mean for the exit status.

A token is never a word of the command: everybody on the machine can read those (C{ps}).
"""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..client import (
    BadParameters,
    Client,
    ClientError,
    NotApplied,
    OutcomeUnknown,
    Refused,
    Reply,
    Unanswered,
    Unreachable,
)
from ..client.address import parseAddress
from ..client.errors import UNTAKEN
from .ending import Status, Stop
from .output import Output
from .progress import patience

__all__ = ["addServer", "addTimeout", "addToken", "ask", "asking", "connected", "failure", "newKey", "tokenOf"]

_SERVER = "tcp:127.0.0.1:8080"
_BARE = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[^:\[\]/@\s]+):[0-9]+").fullmatch


def addServer(parser: argparse.ArgumentParser) -> None:
    """Add the words that name a daemon."""
    parser.add_argument(
        "--server",
        type=_address,
        # A str, so that what the environment says is checked like what is said here.
        default=os.environ.get("SCALEMGR_SERVER") or _SERVER,
        metavar="ADDRESS",
        help=f"host:port, or tls:host:port; default: SCALEMGR_SERVER, or {_SERVER}",
    )
    addToken(parser)
    _addTls(parser)
    addTimeout(parser, 30.0)


def addToken(parser: argparse.ArgumentParser) -> None:
    """Add the word that names a token."""
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="who has the token in it; default: SCALEMGR_TOKEN, or none, which a demo does not need. "
        "No word takes the token itself, for `ps` shows words to everybody",
    )


def addTimeout(parser: argparse.ArgumentParser, default: float) -> None:
    """Add the word that says how long to wait."""
    parser.add_argument(
        "--timeout", type=_seconds, default=default, metavar="S", help=f"seconds to wait (default: {default:g})"
    )


def _addTls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ca", type=Path, metavar="PEM", help="tls: the authorities to trust; default: SCALEMGR_CA, or the system's"
    )
    parser.add_argument(
        "--certificate",
        type=Path,
        metavar="PEM",
        help="tls: the client's own certificate; default: SCALEMGR_CERTIFICATE",
    )
    parser.add_argument(
        "--private-key",
        type=Path,
        metavar="PEM",
        help="tls: its private key, if that is not with it; default: SCALEMGR_PRIVATE_KEY",
    )
    parser.add_argument("--hostname", help="tls: what the server's certificate names, if not the host")


def _address(text: str) -> str:
    return f"tcp:{text}" if _BARE(text) else text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


@contextmanager
def connected(options: argparse.Namespace, **more: Any) -> Iterator[Client]:
    """
    A client of the daemon that was named.

    @param more: what else L{Client} takes.
    @raise Stop: if what was said of it makes no sense.
    """
    tls: dict[str, Any] = {
        "ca": _file(options, "ca"),
        "certificate": _file(options, "certificate"),
        "key": _file(options, "private_key"),
        "hostname": options.hostname,
    }
    try:
        # The client would read them again and again, for files change when certificates are renewed.
        parseAddress(options.server, **tls).sslContext()
        client = Client(options.server, token=tokenOf(options.token_file), deadline=options.timeout, **tls, **more)
    except (ValueError, OSError) as e:
        raise Stop(str(e), Status.WORDS) from e
    with _endedAtOnce(), client:
        try:
            yield client
        except Refused as e:
            if not _isDenied(e):
                raise
            message = _denial(options, e.message)
            raise Refused(e.command, e.key, e.status, {**e.data, "message": message}) from e


@contextmanager
def _endedAtOnce() -> Iterator[None]:
    """
    Ctrl-C ends the process there and then, without an exception: that could strike anywhere in the client, which has a
    thread of its own. Nothing is lost: what is printed is flushed, and a key was told, and is in the outbox, before.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        # It is ignored, as under nohup.
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(Status.INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _file(options: argparse.Namespace, name: str) -> Path | None:
    """A file of TLS, as it was said; or, where TLS is spoken, as the environment has it."""
    file: Path | None = getattr(options, name)
    if file is None and options.server.startswith("tls:"):
        found = os.environ.get(f"SCALEMGR_{name.upper()}")
        file = Path(found) if found else None
    return file


def tokenOf(file: Path | None) -> str | Callable[[], str] | None:
    """
    The token that was named, or what reads it.

    @raise Stop: if the file cannot be read.
    """
    if file is None:
        return os.environ.get("SCALEMGR_TOKEN", "").strip() or None

    def read() -> str:
        return file.read_text("ascii").strip()

    try:
        read()
    except (OSError, UnicodeDecodeError) as e:
        raise Stop(f"{file} cannot be read: {getattr(e, 'strerror', None) or 'a token is ASCII'}", Status.WORDS) from e
    # Again for each connection: who writes a new token into it need not start anew what runs for long.
    return read


def ask(client: Client, command: str, data: Mapping[str, Any], *, key: str | None = None) -> Reply:
    """
    Ask, and if it takes long tell a person so.

    @raise ClientError: as L{Client.call}.
    """
    with patience(f"no answer to {command} yet; it is asked again until it is certain, or the time is up"):
        return client.call(command, data, idempotency_key=key)


def newKey() -> str:
    """
    A name for a request that its caller has not named, told on standard error before anything is sent.

    @raise Stop: if it cannot be told.
    """
    key = str(uuid4())
    try:
        print(f"scalemgr: its key is {key}; to say the same again, add --key {key}", file=sys.stderr, flush=True)
    except OSError as e:
        raise Stop(f"its key cannot be told ({e.strerror}), so nothing was sent; name it with --key") from e
    return key


@contextmanager
def asking(output: Output) -> Iterator[None]:
    """
    Where what a client raises becomes the end of the verb. For scripts it is on standard output as well.

    @raise Stop: for each L{ClientError}.
    """
    try:
        yield
    except ClientError as e:
        status, sentence, record = failure(e)
        if output.isJson:
            # How it ended is worth more than that nobody reads it.
            with suppress(Stop, BrokenPipeError):
                output.tell(record, "")
        raise Stop(sentence, status) from e


def failure(error: ClientError) -> tuple[Status, str, dict[str, Any]]:
    """The exit status for it, what there is to say, and the same for scripts."""
    record: dict[str, Any] = {"error": type(error).__name__, "outcome": UNTAKEN, "message": str(error)}
    key = getattr(error, "key", None)
    if key is not None:
        record["idempotency_key"] = key
    if isinstance(error, NotApplied):
        record["outcome"] = error.outcome
    if isinstance(error, Refused):
        record |= {**error.data, "status": error.status, "outcome": error.outcome}
        if _isDenied(error):
            record["message"] = error.message
            return Status.UNREACHABLE, error.message, record
        return Status.NO, _ofThisOnly(error), record
    if isinstance(error, OutcomeUnknown):
        record |= {"outcome": "pending", "order": error.order}
        do = "look for what it would have done" if key is None else f"say the same again with --key {key} to know"
        return Status.UNKNOWN, f"whether it was applied is not known: {error.reason}; {do}", record
    if isinstance(error, (Unreachable, Unanswered)):
        return Status.UNREACHABLE, _ofThisOnly(error), record
    return Status.WORDS if isinstance(error, BadParameters) else Status.NO, _ofThisOnly(error), record


def _denial(options: argparse.Namespace, says: str) -> str:
    """What to do about it that the server does not let us in."""
    if options.token_file is not None:
        return f"the server does not accept the token in {options.token_file}; its log says why"
    if os.environ.get("SCALEMGR_TOKEN", "").strip():
        return "the server does not accept the token in SCALEMGR_TOKEN; its log says why"
    if _file(options, "certificate") is not None:
        return f"the server does not take the certificate for a token ({says}): --token-file FILE or SCALEMGR_TOKEN"
    return "the server wants a token: --token-file FILE or SCALEMGR_TOKEN"


def _isDenied(error: Refused) -> bool:
    return error.status == 401 and error.error == "PERMISSION_DENIED"


def _ofThisOnly(error: ClientError) -> str:
    """Its text; and what it says nothing about, where that could be taken for a licence to use another key."""
    if not isinstance(error, NotApplied) or error.key is None or error.outcome != UNTAKEN:
        return str(error)
    if isinstance(error, Refused) and error.isAnothers:
        return str(error)
    return f"{error}; of an earlier attempt with this key that says nothing"
