"""The list of payments that is to be deposited: a CSV, as a payment provider sends it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random

from msgspec import Struct

__all__ = ["DIGITS", "Payment", "drawn", "read", "write"]

#: The currencies that there are accounts in, each with its decimals.
DIGITS = {"USD": 2, "JPY": 0, "BHD": 3}

# What many people pay: two payments must not be taken for one because they look the same.
_USUAL = (50, 100, 100, 250)
_ODD = ("", "", "", "", " Zoë's", ' "gift"', ", again", " 付款")
_HEAD = ("reference", "login", "amount")


class Payment(Struct, frozen=True):
    """
    One line.

    @ivar reference: what names it, and it alone.
    @ivar amount: as it is written there, exact.
    """

    reference: str
    login: int
    amount: str


def drawn(random: Random, logins: Mapping[str, Sequence[int]], count: int) -> list[Payment]:
    """
    So many payments.

    @param logins: the accounts, by currency.
    """
    payments = []
    for n in range(count):
        currency = random.choice(list(logins))
        reference = f"pay-{n + 1:05}{random.choice(_ODD)}"
        payments.append(Payment(reference, random.choice(logins[currency]), _amount(random, DIGITS[currency])))
    return payments


def _amount(random: Random, digits: int) -> str:
    if random.random() < 0.3:
        return f"{Decimal(random.choice(_USUAL)):.{digits}f}"
    return f"{Decimal(random.randint(1, 10 ** random.randint(1, 11))).scaleb(-digits):f}"


def write(path: Path, payments: Iterable[Payment]) -> None:
    """Make the list."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(_HEAD)
        rows.writerows((payment.reference, payment.login, payment.amount) for payment in payments)


def read(path: Path) -> list[Payment]:
    """What is in it."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return [Payment(reference, int(login), amount) for reference, login, amount in rows]
