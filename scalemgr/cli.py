"""The C{scalemgr} command. Each verb prints its result on standard output and what went wrong on standard error.

Exit status: 0 it is so, 1 it is not (or was refused), 2 the words were wrong.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace
from twisted.logger import globalLogBeginner

from . import __version__
from .believing import keyFilesOf
from .commands.base import FLAGS
from .commands.describe import parameters
from .commands.markdown import document, examples
from .config import AuthSettings, ConfigError, Settings, load
from .finance.masks import Mask
from .ledger.audit import verify
from .ledger.errors import LedgerRefused
from .ledger.url import folderOf
from .playground import play
from .server.auth import roleFrom
from .server.discovery import findCommands
from .server.dispatch import CommandClash, checkCommands, packageOf
from .server.keys import KeyFile, KeyRefused, makeSecret, sign
from .server.tokens import isTokenId
from .wire.codes import SessionType
from .wire.errors import PermissionDenied

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point of the command."""
    options = _parser().parse_args(arguments)
    # What the libraries log is not what was asked for.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    try:
        status: int = options.run(options)
    except (ConfigError, KeyRefused, LedgerRefused) as e:
        print(f"scalemgr: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough; say nothing at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scalemgr",
        description="Tools for the scalemgr daemon, which `twistd scalemgr` starts.",
    )
    parser.add_argument("--version", action="version", version=f"scalemgr {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    verb = verbs.add_parser("demo", help="start a demo daemon, make a deposit, show what went over the wire")
    verb.set_defaults(run=_demo)

    verb = verbs.add_parser(
        "token",
        help="make a token",
        epilog="example: scalemgr token --config scalemgr.toml --id crm --role manager --groups 'real-*,!real-test'",
    )
    verb.add_argument("--config", type=Path, help="the daemon's configuration, for the algorithm and the key")
    verb.add_argument("--id", help="whose token it is; idempotency keys are per id")
    verb.add_argument("--role", type=_role, help="manager, dealer, admin, user, or a SESSION_* number")
    verb.add_argument("--groups", type=_mask, help="group mask; everything if left out")
    verb.add_argument(
        "--explicit-keys",
        action="store_true",
        help="only an idempotency_key names a request, for a client that uses its extIDs again",
    )
    verb.add_argument("--login", type=int, help="of a user: the account that it may see; its --id if left out")
    verb.add_argument(
        "--without",
        action="append",
        default=[],
        choices=sorted(FLAGS),
        metavar="FLAG",
        help=f"take away what the role may do otherwise (repeatable): {', '.join(FLAGS)}",
    )
    verb.add_argument(
        "--only",
        action="append",
        default=[],
        choices=sorted(FLAGS),
        metavar="FLAG",
        help="take away all of them but this (repeatable)",
    )
    verb.add_argument("--days", type=_days, default=30.0, help="how long it is good for; 0: for ever (default: 30)")
    verb.add_argument("--kid", help="which of the configuration's named keys to sign with; the first key if left out")
    verb.add_argument("--token-id", type=_tokenId, help="its jti, to revoke it by; something random if left out")
    verb.add_argument("--private-key", type=Path, help="PEM file to sign with (RS256, EdDSA)")
    verb.add_argument("--new-key", action="store_true", help="first make that key's file, a secret (HS256)")
    verb.set_defaults(run=_token)

    verb = verbs.add_parser("commands", help="list every command that the daemon finds, with its package")
    verb.add_argument("--markdown", action="store_true", help="as a document, with all that is declared of them")
    verb.set_defaults(run=_commands)

    verb = verbs.add_parser(
        "verify",
        help="fold the log again and compare everything with it; may run beside the daemon",
        epilog="example: scalemgr verify --ledger sqlite:/var/lib/scalemgr",
    )
    verb.add_argument("--ledger", required=True, metavar="URL", help="sqlite:FOLDER")
    verb.set_defaults(run=_verify)
    return parser


def _role(text: str) -> SessionType:
    try:
        return roleFrom(int(text) if text.isdigit() else text)
    except PermissionDenied:
        expected = "manager, dealer, admin, user, or a SESSION_* number"
        raise argparse.ArgumentTypeError(f"{text!r} is no role; expected {expected}") from None


def _mask(text: str) -> str:
    try:
        mask = Mask(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from None
    if any(" " in pattern.strip() for pattern in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} has a space in a name, and no group has; use commas")
    return mask.text


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1
    if not 0 <= days <= 36525:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days")
    return days


def _tokenId(text: str) -> str:
    if not isTokenId(text):
        raise argparse.ArgumentTypeError(
            "it cannot be a line of the list of revoked tokens: too long, or not plain text"
        )
    return text


def _demo(options: argparse.Namespace) -> int:
    return play()


def _token(options: argparse.Namespace) -> int:
    config: Path | None = options.config
    settings = Settings() if config is None else load(config)
    auth = settings.auth
    key = _keyToSignWith(auth, Path.cwd() if config is None else config.absolute().parent, options.kid)
    if options.new_key:
        if auth.algorithm != "HS256":
            raise KeyRefused(f"--new-key makes secrets for HS256; make a key pair for {auth.algorithm} with openssl")
        makeSecret(key.path)
        print(f"scalemgr: {key.path} is made; keep it secret", file=sys.stderr)
        if options.id is None and options.role is None:
            return 0
    if options.id is None or options.role is None:
        print("scalemgr: a token needs --id and --role", file=sys.stderr)
        return 2
    if options.role == SessionType.SESSION_USER and options.login is None and not options.id.isdigit():
        print("scalemgr: the token of a user needs --login, the account that it may see", file=sys.stderr)
        return 2
    if options.role != SessionType.SESSION_USER and options.login is not None:
        print("scalemgr: --login is for users; others see the accounts of their --groups", file=sys.stderr)
        return 2
    now = int(time.time())
    claims = _claims(options, auth.audience, now)
    if auth.algorithm != "HS256":
        if options.private_key is None:
            raise KeyRefused(f"a token for {auth.algorithm} is signed with --private-key FILE")
        key = replace(key, path=options.private_key)
    print(sign(auth.algorithm, key.path, claims, key.kid))
    until = (
        time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now + options.days * 86400)) if options.days else "for ever"
    )
    print(f"scalemgr: valid {'until ' if options.days else ''}{until}", file=sys.stderr)
    print(f"scalemgr: its id, to revoke it by, is {claims['jti']}", file=sys.stderr)
    if options.groups is None and options.role != SessionType.SESSION_USER:
        print("scalemgr: it covers every group; --groups narrows that", file=sys.stderr)
    return 0


def _keyToSignWith(auth: AuthSettings, base: Path, kid: str | None) -> KeyFile:
    """The first key there is, or the one of this name."""
    files = keyFilesOf(auth, base)
    if kid is None:
        return files[0]
    for file in files:
        if file.kid == kid:
            return file
    known = ", ".join(file.kid for file in files if file.kid) or "none that has a name"
    raise KeyRefused(f"no key is named {kid}: auth.key_files has {known}. Add '{kid}=FILE' to it")


def _claims(options: argparse.Namespace, audience: str, now: int) -> dict[str, object]:
    """What a token says."""
    claims: dict[str, object] = {"id": options.id, "role": int(options.role), "iat": now}
    claims["jti"] = secrets.token_hex(8) if options.token_id is None else options.token_id
    if options.days:
        claims["exp"] = now + int(options.days * 86400)
    if options.groups is not None:
        claims["groups"] = options.groups
    if options.explicit_keys:
        claims["key"] = "explicit"
    if options.login is not None:
        claims["login"] = options.login
    withheld = FLAGS.keys() - set(options.only) if options.only else set()
    for flag in sorted(withheld.union(options.without)):
        claims[flag] = 0
    if audience:
        claims["aud"] = audience
    return claims


def _commands(options: argparse.Namespace) -> int:
    found = findCommands()
    if options.markdown:
        print(document(found.commands, examples()), end="")
        return 1 if found.broken else 0
    for command in sorted(found.commands, key=lambda c: c.name):
        names = ", ".join((command.name, *command.aliases))
        roles = " ".join(sorted(SessionType(role).name for role in command.roles)) or "any"
        print(f"{names}  [{packageOf(command)}]\n    {command.summary}\n    roles: {roles}")
        if command.flags:
            print(f"    flags: {' '.join(sorted(command.flags))}")
        for p in parameters(command.params):
            need = "required" if p.required else "optional" if p.default is None else f"default {p.default!r}"
            what = "; ".join(filter(None, (p.description, p.limits)))
            print(f"    {p.name}: {p.type}, {need}{f' - {what}' if what else ''}")
    for broken in found.broken:
        print(f"BROKEN  [{broken.module}]\n    its commands are missing: {broken.failure.getErrorMessage()}")
        print("    " + broken.failure.getTraceback().strip().replace("\n", "\n    "))
    try:
        checkCommands(found.commands, ())
    except CommandClash as e:
        print(f"CLASH  the daemon will not start: {e}")
        return 1
    return 1 if found.broken else 0


def _verify(options: argparse.Namespace) -> int:
    audit = verify(folderOf(options.ledger, Path.cwd()))
    for difference in audit.differences:
        print(difference)
    count = len(audit.differences)
    verdict = f"{count} {'difference' if count == 1 else 'differences'}" if count else "no difference"
    print(
        f"log {audit.epoch}: {audit.seq} entries ({audit.events} events, {audit.refusals} refusals, "
        f"{audit.seq - audit.events - audit.refusals} others), "
        f"{audit.keys} keys, {audit.accounts} accounts, {audit.trades} trades as of entry {audit.seq}: {verdict}"
    )
    return 1 if audit.differences else 0


if __name__ == "__main__":
    sys.exit(main())
