"""Who may come in: from which addresses, and how many from each; and who is believed when he says of whom he comes.

Whoever connects from elsewhere is let go of without a word. One connection too many from one address is told so. An
IPv6 address counts with its neighbours in the same /64, which one machine has to itself; what comes over a UNIX
socket has no address, and no bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct
from twisted.internet.interfaces import IAddress

__all__ = ["Gate", "GateRules", "Network", "hostOf", "neighboursOf", "networks"]

Network = IPv4Network | IPv6Network

_NEIGHBOURS_BITS = 64


class GateRules(Struct, frozen=True):
    """
    Who may come in.

    @ivar allow: from where; empty: from everywhere.
    @ivar perAddress: how many connections of one address at a time; 0: as many as there are.
    @ivar proxies: where those are who say of whom they speak (L{scalemgr.server.proxied}).
    """

    allow: tuple[Network, ...] = ()
    perAddress: int = 0
    proxies: tuple[Network, ...] = ()


class Gate:
    """
    Lets connections in, and counts those that are in.

    @ivar rules: may be changed at any time. Nobody who is in is put out.
    """

    def __init__(self, rules: GateRules | None = None) -> None:
        self.rules = GateRules() if rules is None else rules
        # Whoever is in the table has a connection, so it is no longer than the list of those.
        self._inside: Counter[object] = Counter()

    def isAllowed(self, peer: IAddress | None) -> bool:
        """May anybody come from there?"""
        allow = self.rules.allow
        address = _addressOf(peer)
        return not allow or address is None or any(address in network for network in allow)

    def isProxy(self, peer: IAddress | None) -> bool:
        """Is it one of those who say of whom they speak? Who has no address is none."""
        proxies = self.rules.proxies
        address = _addressOf(peer) if proxies else None
        return address is not None and any(address in network for network in proxies)

    def enter(self, peer: IAddress | None) -> bool:
        """May one more come from there? If so, it is in until it L{leave}s."""
        address = _addressOf(peer)
        if address is None:
            return True
        house = _houseOf(address)
        if self.rules.perAddress and self._inside[house] >= self.rules.perAddress:
            return False
        self._inside[house] += 1
        return True

    def leave(self, peer: IAddress | None) -> None:
        """One that was let in is gone."""
        address = _addressOf(peer)
        if address is not None:
            house = _houseOf(address)
            self._inside[house] -= 1
            if not self._inside[house]:
                del self._inside[house]

    def __len__(self) -> int:
        """How many addresses are in the table."""
        return len(self._inside)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """
    Networks as they are written: C{10.1.0.0/16}, C{2001:db8::/32}, or one address.

    @raise ValueError: with a sentence for the operator.
    """
    return tuple(_network(text) for text in texts)


def hostOf(peer: IAddress | None) -> str:
    """Where somebody is from, for the log."""
    return getattr(peer, "host", None) or "this machine"


def neighboursOf(host: str) -> object:
    """What is counted together with the address that L{hostOf} says: the same for all that one machine may have."""
    try:
        return _houseOf(_read(host))
    except ValueError:
        return host


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as e:
        raise ValueError(f"{text!r} is no address and no network: {e}") from None


def _addressOf(peer: IAddress | None) -> IPv4Address | IPv6Address | None:
    host = getattr(peer, "host", None)
    return None if host is None else _read(host)


def _read(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host)
    # A door for both kinds shows IPv4 inside IPv6.
    return getattr(address, "ipv4_mapped", None) or address


def _houseOf(address: IPv4Address | IPv6Address) -> object:
    """What is counted together."""
    if isinstance(address, IPv4Address):
        return address
    return int(address) >> _NEIGHBOURS_BITS
