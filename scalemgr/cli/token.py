"""C{scalemgr token}: a token, alone on standard output, also into a pipe. What else there is to say is on standard
error.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from ..commands.base import FLAGS
from ..config import AuthSettings, ConfigError, Settings, load
from ..daemon.believing import keyFilesOf
from ..finance.masks import Mask
from ..server.auth import roleFrom
from ..server.keys import KeyFile, KeyRefused, makeSecret, sign
from ..server.tokens import isTokenId
from ..wire.codes import SessionType
from ..wire.errors import PermissionDenied
from .ending import Status, Stop, stopping

__all__ = ["declare"]


def declare(parser: argparse.ArgumentParser) -> None:
    """Add its words."""
    parser.add_argument("--config", type=Path, help="the daemon's configuration, for the algorithm and the key")
    parser.add_argument("--id", help="whose token it is; idempotency keys are per id")
    parser.add_argument("--role", type=_role, help="manager, dealer, admin, user, or a SESSION_* number")
    parser.add_argument("--groups", type=_mask, help="group mask; everything if left out")
    parser.add_argument(
        "--explicit-keys",
        action="store_true",
        help="only an idempotency_key names a request, for a client that uses its extIDs again",
    )
    parser.add_argument("--login", type=int, help="of a user: the account that it may see; its --id if left out")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=sorted(FLAGS),
        metavar="FLAG",
        help=f"take away what the role may do otherwise (repeatable): {', '.join(FLAGS)}",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=sorted(FLAGS),
        metavar="FLAG",
        help="take away all of them but this (repeatable)",
    )
    parser.add_argument("--days", type=_days, default=30.0, help="how long it is good for; 0: for ever (default: 30)")
    parser.add_argument("--kid", help="which of the configuration's named keys to sign with; the first key if left out")
    parser.add_argument("--token-id", type=_tokenId, help="its jti, to revoke it by; something random if left out")
    parser.add_argument("--private-key", type=Path, help="PEM file to sign with (RS256, EdDSA)")
    parser.add_argument("--new-key", action="store_true", help="first make that key's file, a secret (HS256)")
    parser.add_argument("--json", action="store_true", help="as a JSON object, with what it says")
    parser.set_defaults(run=_token)


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


@stopping(ConfigError, KeyRefused)
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
            return Status.DONE
    if options.id is None or options.role is None:
        raise Stop("a token needs --id and --role", Status.WORDS)
    if options.role == SessionType.SESSION_USER and options.login is None and not options.id.isdigit():
        raise Stop("the token of a user needs --login, the account that it may see", Status.WORDS)
    if options.role != SessionType.SESSION_USER and options.login is not None:
        raise Stop("--login is for users; others see the accounts of their --groups", Status.WORDS)
    now = int(time.time())
    claims = _claims(options, auth.audience, now)
    if auth.algorithm != "HS256":
        if options.private_key is None:
            raise KeyRefused(f"a token for {auth.algorithm} is signed with --private-key FILE")
        key = replace(key, path=options.private_key)
    token = sign(auth.algorithm, key.path, claims, key.kid)
    print(json.dumps({"token": token, **claims}) if options.json else token)
    until = (
        time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now + options.days * 86400)) if options.days else "for ever"
    )
    print(f"scalemgr: valid {'until ' if options.days else ''}{until}", file=sys.stderr)
    print(f"scalemgr: its id, to revoke it by, is {claims['jti']}", file=sys.stderr)
    if options.groups is None and options.role != SessionType.SESSION_USER:
        print("scalemgr: it covers every group; --groups narrows that", file=sys.stderr)
    return Status.DONE


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
