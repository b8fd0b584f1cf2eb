"""What is held against each other at the end. Each of these gives sentences of what is not as it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from itertools import zip_longest
from typing import Any

import ujson

from .people import Payment

__all__ = ["bookings", "differences", "digest"]

_SHOWN = 5


def digest(lines: Iterable[str]) -> str:
    """What tells two streams of events apart, in a few letters."""
    return sha256("\r\n".join(lines).encode()).hexdigest()[:12]


def differences(streams: Mapping[str, Sequence[str]]) -> list[str]:
    """Where events are not the same bytes in the same order: each stream against the first one."""
    (first, wanted), *others = streams.items()
    found = []
    for name, lines in others:
        for number, (one, other) in enumerate(zip_longest(wanted, lines), 1):
            if one != other:
                found.append(f"event {number} differs: {first} has {one}, and {name} has {other}")
                break
    return found


def bookings(payments: Mapping[str, Payment], lines: Iterable[str]) -> list[str]:
    """Payments that the events do not have exactly once and as they were asked for, and what nobody asked for."""
    found: list[str] = []
    times: Counter[str] = Counter()
    balances: Counter[int] = Counter()
    said: dict[int, Any] = {}
    for event in map(ujson.loads, lines):
        data = event["data"]
        if event["event"] == "balance:event":
            said[data["login"]] = data["balance"]
        if event["event"] != "trade:event":
            continue
        key = data["comment"]
        payment = payments.get(key)
        times[key] += 1
        balances[data["login"]] += _cents(data["profit"])
        if payment is None:
            found.append(f"order {data['order']} is booked, and nobody asked for it")
        elif (data["login"], _cents(data["profit"])) != (payment.login, _cents(payment.amount)):
            found.append(f"{key} is booked with {data['profit']} on {data['login']}, and was {payment.amount}")
        elif data["order"] != payment.order:
            found.append(f"{key} is booked as order {data['order']}, and its payer was told {payment.order}")
    found += [f"{key} is booked {times[key]} times" for key in payments if times[key] != 1]
    found += [
        f"account {login} has {said.get(login)}, and was paid {cents / 100:.2f}"
        for login, cents in balances.items()
        if _cents(said.get(login, 0)) != cents
    ]
    return found[:_SHOWN]


def _cents(amount: Any) -> int:
    """An amount as it was asked for, or as it stands in an event: numbers there are exact to the cent."""
    return round(Decimal(str(amount)) * 100)
