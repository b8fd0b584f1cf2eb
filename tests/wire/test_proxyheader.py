"""The header of the PROXY protocol: what is one, what is none, and what is yet to become one."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalemgr.wire.proxyheader import HEADER_MAX, BadHeader, Header, readHeader

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
#: The longest line that there is, by the specification: 107 bytes.
LONGEST = b"PROXY UNKNOWN " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n"


def v2(command: int = 0x21, kind: int = 0x11, told: bytes = b"", more: bytes = b"") -> bytes:
    """A header of version 2, put together here and not by what is tested."""
    return SIGNATURE + bytes([command, kind]) + (len(told) + len(more)).to_bytes(2) + told + more


def addresses(source: str, port: int) -> bytes:
    """What version 2 says of a connection from there."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    there = socket.inet_pton(family, source)
    return there + bytes(len(there)) + port.to_bytes(2) + b"\x20\xfb"


V4, V6 = addresses("203.0.113.9", 51234), addresses("2001:db8::9", 51234)
# PP2_TYPE_ALPN, PP2_TYPE_NOOP.
TLVS = b"\x01\x00\x02h2" + b"\x04\x00\x10" + bytes(16)


@pytest.mark.parametrize(
    ("header", "host", "port"),
    [
        (b"PROXY TCP4 203.0.113.9 10.0.0.11 51234 8443\r\n", "203.0.113.9", 51234),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 0 65535\r\n", "2001:db8::9", 0),
        (b"PROXY TCP6 2001:0db8:0:0:0:0:0:0009 ::1 1 2\r\n", "2001:db8::9", 1),
        (b"PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n", "::ffff:203.0.113.9", 1),
        (b"PROXY UNKNOWN\r\n", "", 0),
        (b"PROXY UNKNOWN what it says is to be ignored\r\n", "", 0),
        (LONGEST, "", 0),
        (v2(told=V4), "203.0.113.9", 51234),
        (v2(told=V4, more=TLVS), "203.0.113.9", 51234),
        (v2(kind=0x21, told=V6), "2001:db8::9", 51234),
        (v2(kind=0x21, told=V6, more=TLVS), "2001:db8::9", 51234),
        (v2(kind=0x31, told=b"/run/client".ljust(216, b"\0")), "", 0),
        (v2(kind=0x00), "", 0),
        (v2(kind=0x00, told=TLVS), "", 0),
        (v2(0x20, 0x00), "", 0),
        (v2(0x20, 0x11, V4), "", 0),
        (v2(0x20, 0x11), "", 0),
        (v2(0x20, 0x7F, TLVS), "", 0),
        (v2(told=V4, more=bytes(HEADER_MAX - 28)), "203.0.113.9", 51234),
    ],
)
def test_whoIsNamed(header: bytes, host: str, port: int) -> None:
    """A header says who is there, in either version, and where it ends; however it is cut, it is none before that."""
    expected = Header(len(header), str(ip_address(host)) if host else "", port)
    assert readHeader(header) == expected
    assert readHeader(header + b'{"command": "Ping"}\r\n' + header) == expected
    assert [readHeader(header[:n]) for n in range(len(header))] == [None] * len(header)


def test_longestIsTheLongest() -> None:
    """The line that the tests take for the longest is as long as the specification says."""
    assert len(LONGEST) == 107


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"command": "Ping"}\r\n', "does not begin with a PROXY header"),
        (b"\x16\x03\x01", "does not begin with a PROXY header"),
        (b"\r\n\r\n\r\n", "does not begin with a PROXY header"),
        (b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "does not begin with a PROXY header"),
        (b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "not as specified"),
        (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n", "not as specified"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "not as specified"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n", "not as specified"),
        (b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", "not as specified"),
        (b"PROXY UNKNOWNS\r\n", "not as specified"),
        (b"PROXY \r\n", "not as specified"),
        (b"PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n", "no good addresses"),
        (b"PROXY TCP4 1.2.3.4 localhost 1 1\r\n", "no good addresses"),
        (b"PROXY TCP4 ::1 ::1 1 1\r\n", "no good addresses"),
        (b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", "no good addresses"),
        (b"PROXY TCP6 fe80::1%eth0%0 ::1 1 1\r\n", "no good addresses"),
        (b"PROXY TCP6 fe80::1%\x1b[31m\nforged ::1 1 1\r\n", "no good addresses"),
        (b"PROXY TCP6 ::1 fe80::1%eth0 1 1\r\n", "no good addresses"),
        (b"PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n", "no good addresses"),
        (b"PROXY TCP4 1.2.3.\xb24 1.2.3.4 1 1\r\n", "no good addresses"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", "no good addresses"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 -1\r\n", "no good addresses"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "no good addresses"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n\r\n", "no good addresses"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", "no good addresses"),
        (LONGEST[:-2] + b"\n\n", "no end within 107 bytes"),
        (LONGEST[:-2] + b" \r\n", "no end within 107 bytes"),
        (v2(0x11, told=V4), "a version or a command that is not known"),
        (v2(0x22, told=V4), "a version or a command that is not known"),
        (SIGNATURE + b"\x31", "a version or a command that is not known"),
        (v2(kind=0x12, told=V4), "of no TCP connection"),
        (v2(kind=0x22, told=V6), "of no TCP connection"),
        (v2(kind=0x10, told=V4), "of no TCP connection"),
        (v2(kind=0x41, told=V4), "of no TCP connection"),
        (v2(told=V4[:-1]), "too short for its addresses"),
        (v2(kind=0x21, told=V6[:-1]), "too short for its addresses"),
        (v2(kind=0x31, told=bytes(215)), "too short for its addresses"),
        (v2(told=V4, more=bytes(HEADER_MAX - 27)), f"has {HEADER_MAX + 1} bytes, and may have {HEADER_MAX}"),
        (v2(0x20, 0, bytes(65535))[:16], "has 65551 bytes"),
    ],
)
def test_whatIsNone(data: bytes, why: str) -> None:
    """What is not exactly as specified is no header, as soon as that is seen; and of what it was nothing is told."""
    with pytest.raises(BadHeader, match=why):
        readHeader(data)


@given(st.one_of(st.binary(), st.binary().map(b"PROXY ".__add__), st.binary().map((SIGNATURE + b"\x21").__add__)))
def test_anythingElse(data: bytes) -> None:
    """Whatever comes is a header, none, or yet to become one; and what can become one is within its bound."""
    try:
        header = readHeader(data)
    except BadHeader:
        return
    assert header is not None or len(data) < HEADER_MAX
    if header is not None:
        assert 0 < header.size <= len(data)
