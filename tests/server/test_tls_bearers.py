"""Who the bearer of a client certificate is."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509

from scalemgr.server.bearers import Bearer, BearerRefused, Bearers, Nobody, described
from scalemgr.wire.codes import SessionType

from ..certificates import Authority

AUTHORITY = Authority()
CRM = Bearer(subject="CN=crm,O=Example", id="crm", role="manager")


def of(certificate: x509.Certificate, *entries: Bearer) -> str:
    """Whose it is by these entries."""
    return Bearers(entries).of(certificate).id


def client(subject: str = "CN=crm,O=Example", *names: x509.GeneralName) -> x509.Certificate:
    return AUTHORITY.client(subject, names).certificate


def bySan(san: str, id: str = "crm") -> Bearer:
    return Bearer(san=san, id=id, role="dealer")


def test_wholePrincipal() -> None:
    """The bearer has what its entry says, as if a token said it, and until the certificate ends."""
    certificate = client()
    entry = Bearer(
        subject="CN=crm,O=Example",
        id="crm",
        role="SESSION_DEALER",
        groups="real-*,!real-test",
        key="explicit",
        without=["set_finance"],
    )
    principal = Bearers([entry]).of(certificate)
    assert (principal.id, principal.role, principal.explicit) == ("crm", SessionType.SESSION_DEALER, True)
    assert (principal.mask.covers("real-usd"), principal.mask.covers("real-test")) == (True, False)
    assert (principal.may("set_finance"), principal.may("set_accounts_balance")) == (False, True)
    assert principal.expires == certificate.not_valid_after_utc.timestamp()
    assert principal.login == 0


def test_user() -> None:
    """A user is bound to the account that its entry names."""
    entry = Bearer(subject="CN=crm,O=Example", id="ann", role=0, login=1001)
    principal = Bearers([entry]).of(client())
    assert (principal.role, principal.login) == (SessionType.SESSION_USER, 1001)


@pytest.mark.parametrize(
    "subject",
    [
        "CN=crm",
        "O=Example,CN=crm",
        "CN=CRM,O=Example",
        "CN=crm,O=Example,C=DE",
        "CN=crm+O=Example",
        "CN=crm2,O=Example",
        "CN=crm,OU=Example",
        "CN=crm\\,O\\=Example",
    ],
)
def test_otherSubjects(subject: str) -> None:
    """A certificate whose subject has less, more, other or differently arranged attributes is nobody's."""
    with pytest.raises(Nobody, match="is of none of"):
        of(client(subject), CRM)


def test_subjectAsTheLogWritesIt() -> None:
    """What the log says of a certificate can be put into the configuration as it is, whatever is in it."""
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "ops@example.com"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, 'a, b=c "d" \\ é'),
        ]
    )
    certificate = client(subject.rfc4514_string())
    assert certificate.subject == subject
    written = described(certificate).removesuffix(", issued by CN=Test CA")
    assert of(certificate, Bearer(subject=written, id="crm", role=1)) == "crm"


@pytest.mark.parametrize(
    ("name", "san"),
    [
        (x509.DNSName("crm.example.com"), "crm.example.com"),
        (x509.DNSName("CRM.example.com"), "crm.EXAMPLE.com"),
        (x509.RFC822Name("crm@example.com"), "crm@example.com"),
        (x509.UniformResourceIdentifier("spiffe://example/crm"), "spiffe://example/crm"),
        (x509.DNSName("*.example.com"), "*.example.com"),
    ],
)
def test_names(name: x509.GeneralName, san: str) -> None:
    """One alternative name of the right kind is enough, among others."""
    others = x509.DNSName("other.example.com"), x509.RFC822Name("other@example.com")
    assert of(client("CN=whatever", *others, name), bySan(san)) == "crm"


@pytest.mark.parametrize(
    ("name", "san"),
    [
        (x509.DNSName("*.example.com"), "crm.example.com"),
        (x509.DNSName("crm.example.com.evil.net"), "crm.example.com"),
        (x509.UniformResourceIdentifier("crm.example.com"), "crm.example.com"),
        (x509.RFC822Name("CRM@example.com"), "crm@example.com"),
        (x509.UniformResourceIdentifier("spiffe://example/CRM"), "spiffe://example/crm"),
        (x509.UniformResourceIdentifier("crm@example.com"), "crm@example.com"),
        (x509.DNSName("spiffe://example/crm"), "spiffe://example/crm"),
    ],
)
def test_otherNames(name: x509.GeneralName, san: str) -> None:
    """A name that only looks like it, or is of another kind, does not do, and the subject's CN is no name."""
    with pytest.raises(Nobody):
        of(client("CN=crm.example.com", name), bySan(san))


def test_severalEntries() -> None:
    """A certificate that two entries name, be they of one kind or of both, is nobody's; each alone would do."""
    certificate = client("CN=crm,O=Example", x509.DNSName("a.example"), x509.DNSName("b.example"))
    entries = [CRM, bySan("a.example", "a"), bySan("b.example", "b")]
    for entry in entries:
        assert of(certificate, entry) == entry.id
    with pytest.raises(Nobody, match=r"is of several of \[\[tls.clients\]\]: a, b$"):
        of(certificate, *entries[1:])
    with pytest.raises(Nobody, match=r"a, crm$"):
        of(certificate, *entries[:2])


def test_noEntries() -> None:
    """Without entries every certificate is nobody's."""
    with pytest.raises(Nobody, match=r"^its certificate, CN=crm,O=Example, issued by CN=Test CA, is of none"):
        of(client())


def test_unreadableNames() -> None:
    """Alternative names that cannot be read make the certificate nobody's, also if its subject is somebody's."""
    own = AUTHORITY.own
    garbled = x509.UnrecognizedExtension(x509.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x03\xff\xff\xff")
    good = client()
    builder = x509.CertificateBuilder(
        own.certificate.subject,
        good.subject,
        good.public_key(),
        1,
        good.not_valid_before_utc,
        good.not_valid_after_utc,
    )
    certificate = builder.add_extension(garbled, critical=False).sign(own.key, good.signature_hash_algorithm)  # type: ignore[arg-type]
    assert of(good, CRM) == "crm"
    with pytest.raises(Nobody, match="cannot be read"):
        of(certificate, CRM)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subject": ""}, "[0] (crm): expected either a subject or a san"),
        ({"san": "crm.example.com"}, "[0] (crm): expected either a subject or a san"),
        ({"subject": "crm"}, "subject: expected what RFC 4514 writes, such as CN=crm,O=Example, not 'crm'"),
        ({"subject": "CN="}, "subject: expected what RFC 4514 writes"),
        ({"id": ""}, "id: expected 1 to 200 printable characters"),
        ({"id": "a\nb"}, "id: expected 1 to 200 printable characters"),
        ({"id": "x" * 201}, "id: expected 1 to 200 printable characters"),
        ({"role": "boss"}, "role: expected one of user, manager, dealer, admin, system"),
        ({"role": 7}, "not 7"),
        ({"groups": "!real-*"}, "includes no group"),
        ({"key": "order"}, "key: expected explicit or extid, not 'order'"),
        ({"without": ["set_money"]}, "without: expected some of see_accounts, set_accounts"),
        ({"role": "user"}, "login: a user needs one"),
    ],
)
def test_entriesThatCannotBeUsed(change: dict[str, Any], said: str) -> None:
    """An entry that says something wrong is refused with its place and what was expected."""
    entry: dict[str, Any] = {"subject": "CN=crm,O=Example", "id": "crm", "role": "manager", **change}
    with pytest.raises(BearerRefused) as error:
        Bearers([Bearer(**entry)])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (CRM, Bearer(subject="CN=crm,O=Example", id="other", role="admin")),
        (bySan("crm.example.com"), bySan("CRM.example.com")),
    ],
)
def test_twoEntriesForOne(first: Bearer, second: Bearer) -> None:
    """Two entries with the same subject or name are refused: which one counts would be a guess."""
    with pytest.raises(BearerRefused, match=r"^\[1\] .*: another entry has the same"):
        Bearers([first, second])


def test_describedIsHarmless() -> None:
    """What a stranger writes into a certificate reaches the log cut short and without control characters."""
    text = described(
        client("CN=a\nsession 1 from 10.0.0.1: all is well\x1b[2J" + "," + ",".join(["O=" + "x" * 60] * 20))
    )
    assert text.isprintable()
    assert len(text) < 500
