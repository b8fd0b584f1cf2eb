"""From a client certificate to a principal.

Whoever has come in with a certificate of an authority that is trusted, and whom one entry of C{[[tls.clients]]} names,
needs no token. An entry names its bearer in one of two ways:

- C{subject}: the whole subject, as RFC 4514 writes it (C{CN=crm,O=Example}), which is how the log writes it, too;
  compared attribute by attribute, all of them, in their order;
- C{san}: one DNS name, e-mail address or URI among its alternative names; compared as a whole, C{*} stands for itself.

A certificate that several entries name is nobody's: which of them was meant is not for us to guess. It is not looked
at whether a certificate was revoked: its entry is taken out of the configuration, and that read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from cryptography import x509
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from ..commands.base import FLAGS
from ..finance.masks import EVERYTHING, Mask
from ..wire.codes import SessionType
from ..wire.errors import PermissionDenied
from .auth import Principal, isId, roleFrom

__all__ = ["Bearer", "BearerRefused", "Bearers", "Nobody", "described"]

_DESCRIBED_CHARACTERS_MAX = 200


class BearerRefused(Exception):
    """An entry of C{[[tls.clients]]} cannot be used; the message says which and why, for the operator."""


class Nobody(Exception):
    """A certificate is nobody's; the message says why, for the operator."""


class Bearer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who the bearer of a client certificate is; it needs no token. Everything but the first two is as in a token."""

    subject: str = ""
    san: str = ""
    id: str
    role: str | int
    groups: str = "*"
    login: Annotated[int, Meta(ge=0, lt=10**15)] = 0
    key: str = ""
    without: list[str] = field(default_factory=list)


#: What a certificate is known by: its subject, or the kind of an alternative name and that.
_Mark = x509.Name | tuple[type[x509.GeneralName], str]


class Bearers:
    """
    The entries of C{[[tls.clients]]}.

    @raise BearerRefused: if one cannot be used, or two name the same certificate.
    """

    def __init__(self, entries: Iterable[Bearer] = ()) -> None:
        self._of: dict[_Mark, Principal] = {}
        for number, entry in enumerate(entries):
            try:
                mark = _mark(entry)
                if mark in self._of:
                    raise ValueError(f"another entry has the same {'subject' if entry.subject else 'san'}")
                self._of[mark] = _principal(entry)
            except ValueError as e:
                raise BearerRefused(f"[{number}] ({entry.id}): {e}") from None

    def of(self, certificate: x509.Certificate) -> Principal:
        """
        Who the bearer of a certificate is, until the certificate ends. That it is genuine is for others to see to.

        @raise Nobody: if no entry names it, or several do.
        """
        try:
            named = [self._of[mark] for mark in {certificate.subject, *_names(certificate)} if mark in self._of]
            expires = certificate.not_valid_after_utc.timestamp()
        except ValueError as e:
            raise Nobody(f"its certificate, {described(certificate)}, cannot be read: {e}") from e
        if not named:
            raise Nobody(f"its certificate, {described(certificate)}, is of none of [[tls.clients]]")
        if len(named) > 1:
            ids = ", ".join(sorted(principal.id for principal in named))
            raise Nobody(f"its certificate, {described(certificate)}, is of several of [[tls.clients]]: {ids}")
        return replace(named[0], expires=expires)


def described(certificate: x509.Certificate) -> str:
    """A certificate for people. What a stranger wrote into it is cut short, and cannot pass for more than text."""
    try:
        text = f"{_shown(certificate.subject.rfc4514_string()) or 'of no name'}, issued by "
        return text + (_shown(certificate.issuer.rfc4514_string()) or "nobody")
    except ValueError:
        return "which cannot be read"


def _shown(text: str) -> str:
    if len(text) > _DESCRIBED_CHARACTERS_MAX:
        text = text[: _DESCRIBED_CHARACTERS_MAX - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _mark(entry: Bearer) -> _Mark:
    if bool(entry.subject) == bool(entry.san):
        raise ValueError("expected either a subject or a san")
    if entry.san:
        kind = _kind(entry.san)
        return kind, _folded(kind, entry.san)
    try:
        return x509.Name.from_rfc4514_string(entry.subject)
    except ValueError as e:
        raise ValueError(
            f"subject: expected what RFC 4514 writes, such as CN=crm,O=Example, not {entry.subject!r}"
        ) from e


def _kind(san: str) -> type[x509.GeneralName]:
    """What kind of alternative name this is."""
    if ":" in san:
        return x509.UniformResourceIdentifier
    return x509.RFC822Name if "@" in san else x509.DNSName


def _folded(kind: type[x509.GeneralName], san: str) -> str:
    """DNS does not tell large letters from small ones; the others must be written alike."""
    return san.lower() if kind is x509.DNSName else san


def _names(certificate: x509.Certificate) -> Iterator[_Mark]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in names:
        if isinstance(name, (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier)):
            yield type(name), _folded(type(name), name.value)


def _principal(entry: Bearer) -> Principal:
    if not isId(entry.id):
        raise ValueError("id: expected 1 to 200 printable characters")
    try:
        role = roleFrom(entry.role)
    except PermissionDenied:
        known = ", ".join(role.name.removeprefix("SESSION_").lower() for role in SessionType)
        raise ValueError(f"role: expected one of {known}, not {entry.role!r}") from None
    if entry.key not in ("", "explicit", "extid"):
        raise ValueError(f"key: expected explicit or extid, not {entry.key!r}")
    unknown = [flag for flag in entry.without if flag not in FLAGS]
    if unknown:
        raise ValueError(f"without: expected some of {', '.join(FLAGS)}, not {unknown[0]!r}")
    isUser = role == SessionType.SESSION_USER
    if isUser and not entry.login:
        raise ValueError("login: a user needs one: the account that it may see")
    return Principal(
        entry.id,
        role,
        EVERYTHING if entry.groups == "*" else Mask(entry.groups),
        explicit=entry.key == "explicit" if entry.key else None,
        login=entry.login if isUser else 0,
        withheld=frozenset(entry.without),
    )
