"""What a proxy says before the first byte of whom it speaks for: the header of the PROXY protocol, both versions.

One line of text::

    PROXY TCP4 203.0.113.9 10.0.0.11 51234 8443\\r\\n

or, since version 2, the same in binary: twelve bytes that are nothing else, version and command, kinds of the
addresses, the length of what follows, addresses and ports; then what else the proxy knows (TLVs), which is skipped
here. Everything that comes after the header is the client's.

A proxy that connects for its own sake, to see whether anybody is there, says C{LOCAL}; one that cannot tell whom it
speaks for says C{UNKNOWN} or C{UNSPEC}; and one whose client came over a UNIX socket has no address to tell. Then it is
the proxy itself that is there.

What is read here is believed, so it is read strictly: what is not exactly as specified (and what is about datagrams) is
no header.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address

from msgspec import Struct

__all__ = ["HEADER_MAX", "BadHeader", "Header", "readHeader"]

#: How many bytes a header may have: addresses take 232 at most, and the largest TLV in use is a client's certificate.
HEADER_MAX = 4096

_V1 = b"PROXY "
_V1_MAX = 107
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
# Up to the length.
_V2_HEAD = 16

# By version 2's byte: the kind of the addresses, and how many bytes they and the ports take.
_UNSPEC, _TCP4, _TCP6, _STREAM = 0x00, 0x11, 0x21, 0x31
_TAKES = {_UNSPEC: 0, _TCP4: 12, _TCP6: 36, _STREAM: 216}


class BadHeader(Exception):
    """What came is no header; the message says why, for the operator, and nothing of what it was."""


class Header(Struct, frozen=True):
    """
    A header that is whole.

    @ivar size: how many bytes it has.
    @ivar host: the address of whom the proxy speaks for; empty: it is there for itself, or does not say.
    @ivar port: his port.
    """

    size: int
    host: str = ""
    port: int = 0


def readHeader(data: bytes) -> Header | None:
    """
    The header that a connection begins with.

    @param data: all that has come so far.
    @return: C{None} if it is yet to be whole: then there are less than L{HEADER_MAX} bytes.
    @raise BadHeader: as soon as it cannot become one.
    """
    if data.startswith(_V2[: len(data)]):
        return _readV2(data)
    if data.startswith(_V1[: len(data)]):
        return _readV1(data)
    raise BadHeader("what it sent does not begin with a PROXY header")


def _readV1(data: bytes) -> Header | None:
    line, end, _ = data[:_V1_MAX].partition(b"\r\n")
    if not end:
        if len(data) >= _V1_MAX:
            raise BadHeader(f"its PROXY line has no end within {_V1_MAX} bytes")
        return None
    size = len(line) + len(end)
    words = line[len(_V1) :].split(b" ")
    if words[0] == b"UNKNOWN":
        # Whatever it says besides is to be ignored.
        return Header(size)
    kind = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}.get(words[0])
    if kind is None or len(words) != 5:
        raise BadHeader("its PROXY line is not as specified")
    try:
        # Any text behind a % would do as the name of an interface, which no such header has.
        if b"%" in line:
            raise AddressValueError(line)
        source, _ = (kind(word.decode("ascii")) for word in words[1:3])
        port, _ = (_portOf(word) for word in words[3:])
    except (AddressValueError, ValueError) as e:
        raise BadHeader("its PROXY line has no good addresses and ports") from e
    return Header(size, str(source), port)


def _portOf(word: bytes) -> int:
    port = int(word) if word.isdigit() else -1
    if not 0 <= port <= 65535 or str(port).encode() != word:
        raise ValueError(word)
    return port


def _readV2(data: bytes) -> Header | None:
    # What is wrong is said as soon as it is there.
    versionAndCommand, kind = data[12:13], data[13:14]
    if versionAndCommand and versionAndCommand[0] not in (0x20, 0x21):
        raise BadHeader("its PROXY header has a version or a command that is not known")
    isLocal = versionAndCommand == b"\x20"
    if kind and not isLocal and kind[0] not in _TAKES:
        raise BadHeader("its PROXY header is of no TCP connection")
    if len(data) < _V2_HEAD:
        return None
    length = int.from_bytes(data[14:_V2_HEAD])
    size = _V2_HEAD + length
    if size > HEADER_MAX:
        raise BadHeader(f"its PROXY header has {size} bytes, and may have {HEADER_MAX}")
    # Of one that is there for itself the addresses, if there are any, mean nothing.
    if not isLocal and length < _TAKES[kind[0]]:
        raise BadHeader("its PROXY header is too short for its addresses")
    if len(data) < size:
        return None
    told = data[_V2_HEAD:size]
    if not isLocal and kind[0] == _TCP4:
        return Header(size, str(IPv4Address(told[:4])), int.from_bytes(told[8:10]))
    if not isLocal and kind[0] == _TCP6:
        return Header(size, str(IPv6Address(told[:16])), int.from_bytes(told[32:34]))
    return Header(size)
