"""What happens, in order, and what is said of it: each line has the time since the beginning, and can be checked."""

from __future__ import annotations

import asyncio
import csv
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from scalemgr.client import AsyncClient

from .balancer import Balancer
from .checks import bookings, differences, digest
from .errors import Failed
from .gateways import Gateway, configure, scalemgr
from .people import Follower, Payer, Payment, more
from .processes import freePorts

__all__ = ["Story"]

_GATEWAYS = 3
_PAYERS = 6
# So many payments are to be booked between one thing that happens and the next.
_MEANWHILE = 250
# Who was cut off comes back after a moment; only then it is worth telling who is where.
_SETTLE_S = 0.3


class Story:
    """
    @param folder: an empty one, for what the processes need and say.
    @param ledger: the URL of an empty database.
    @param haproxy: the program.
    @param say: is told each line.
    """

    def __init__(self, folder: Path, ledger: str, haproxy: str, say: Callable[[str], object]) -> None:
        self._folder = folder
        self._ledger = ledger
        self._haproxy = haproxy
        self._say = say
        self._began = time.monotonic()
        self._token: str | None = None

    def tell(self, text: str) -> None:
        """Something has happened."""
        self._say(f"{time.monotonic() - self._began:5.1f} s  {text}")

    async def run(self) -> str:
        """
        All of it.

        @return: what was shown, in one line.
        @raise Failed: if something is not as it should be.
        """
        async with AsyncExitStack() as stack:
            await self._build(stack)
            await self._crash()
            await self._restart()
            return await self._compare()

    # -- what happens -----------------------------------------------------------------------------------

    async def _build(self, stack: AsyncExitStack) -> None:
        configure(self._folder, self._ledger)
        ports = freePorts(2 * _GATEWAYS)
        self._gateways = [Gateway(f"gw{n + 1}", self._folder, ports[2 * n], ports[2 * n + 1]) for n in range(_GATEWAYS)]
        for gateway in self._gateways:
            stack.callback(gateway.close)
            gateway.start()
        made = asyncio.to_thread(scalemgr, self._folder, "token", "--id", "payers", "--role", "manager")
        self._token, *_ = await asyncio.gather(made, *(gateway.ready() for gateway in self._gateways))
        where = ", ".join(f"{gateway.name} on {gateway.port} (process {gateway.pid})" for gateway in self._gateways)
        self.tell(f"three gateways are ready, which were started at once: {where}")
        self._balancer = Balancer(self._haproxy, self._folder, self._gateways)
        stack.callback(self._balancer.close)
        self._balancer.start()
        for gateway in self._gateways:
            await self._balancer.sees(gateway, "UP")
        self.tell(f"HAProxy on {self._balancer.port} has asked each for /readyz, and finds all three UP")
        logins = await self._office()
        self._followers = [Follower(gateway.name, gateway.address, self._token) for gateway in self._gateways]
        for follower in self._followers:
            stack.push_async_callback(follower.close)
            follower.start()
        self._payers = [
            Payer(f"payer{n + 1}", self._balancer.address, self._token, logins[n % len(logins)]) for n in range(_PAYERS)
        ]
        for payer in self._payers:
            stack.push_async_callback(payer.close)
            payer.start()
        booked = await more(self._payers, _MEANWHILE)
        self.tell(
            f"{_PAYERS} payers deposit through HAProxy, and a follower at each gateway hears of it: "
            f"{booked:,} payments are booked; sessions: {await self._sessions()}"
        )

    async def _office(self) -> list[int]:
        """A group and accounts; their logins."""
        async with AsyncClient(self._balancer.address, token=self._token) as office:
            await office.AddGroup(group="real", currency="USD")
            accounts = [
                await office.MngAddAccount(
                    group="real",
                    name=f"Account {n}",
                    password=f"secret-{n}",
                    leverage=100,
                    enable=1,
                    email="a@b.example",
                )
                for n in range(_GATEWAYS)
            ]
        return [account.login for account in accounts]

    async def _crash(self) -> None:
        """The second gateway is killed, and comes back after a while."""
        gateway, follower = self._gateways[1], self._followers[1]
        underWay = sum(len(payer.payments) - payer.told for payer in self._payers)
        await gateway.end(signal.SIGKILL)
        heard = follower.seq
        self.tell(
            f"kill -9 of {gateway.name}: {underWay} payments are under way at the three; "
            f"its follower has heard of entry {heard}"
        )
        booked = await more(self._payers, _MEANWHILE)
        await self._balancer.sees(gateway, "DOWN")
        self.tell(
            f"those that were cut off have repeated through another gateway: {booked:,} payments are booked; "
            f"HAProxy finds {gateway.name} DOWN; sessions: {await self._sessions()}"
        )
        gateway.start()
        await gateway.ready()
        await self._balancer.sees(gateway, "UP")
        head = await self._head(gateway)
        await follower.reach(head)
        self.tell(
            f"{gateway.name} is started again (process {gateway.pid}), has read what it missed, and is UP; "
            f"its follower went on from entry {heard}, and is at entry {follower.seq}"
        )

    async def _restart(self) -> None:
        """The third gateway is told to end, and comes back at once."""
        gateway = self._gateways[2]
        seconds = await gateway.end(signal.SIGTERM)
        booked = await more(self._payers, _MEANWHILE)
        self.tell(
            f"SIGTERM to {gateway.name}: what it had taken it has answered, and ended, in {seconds:.1f} s; "
            f"its payers have gone elsewhere, and {booked:,} payments are booked; sessions: {await self._sessions()}"
        )
        gateway.start()
        await gateway.ready()
        await self._balancer.sees(gateway, "UP")
        booked = await more(self._payers, _MEANWHILE)
        self.tell(f"{gateway.name} is started again, and UP; {booked:,} payments are booked")

    async def _sessions(self) -> str:
        await asyncio.sleep(_SETTLE_S)
        return ", ".join(f"{name} {count}" for name, count in sorted((await self._balancer.sessions()).items()))

    async def _head(self, gateway: Gateway) -> int:
        """The last entry that a gateway knows of."""
        async with AsyncClient(gateway.address, token=self._token) as client:
            return int((await client.Ping()).seq)

    # -- what is to be seen from it ---------------------------------------------------------------------

    async def _compare(self) -> str:
        for payer in self._payers:
            await payer.finish()
        payments = {key: payment for payer in self._payers for key, payment in payer.payments.items()}
        replayed = sum(payment.replayed for payment in payments.values())
        self.tell(
            f"the payers stop: {len(payments):,} payments, each answered with its order; {replayed} of them had been "
            "booked, and not answered, when their gateway ended: the repeat was told"
        )
        await self._repeat(payments[f"{self._payers[0].name}-1"])
        heads = [await self._head(gateway) for gateway in self._gateways]
        for follower in self._followers:
            await follower.reach(max(heads))
        live = {f"the follower at {follower.gateway}": follower.lines for follower in self._followers}
        lines = self._followers[0].lines
        self._demand(differences(live), "the followers have not heard the same")
        self._demand(bookings(payments, lines), "the events are not what was paid")
        self.tell(
            f"each of the three followers has heard {len(lines):,} events, "
            f"{sum(map(len, lines)) / 1e6:.1f} MB, the same bytes in the same order: sha256 {digest(lines)}; "
            f"every key is in them once, with its order, and the balances are their sums"
        )
        again = {f"the log at {gateway.name}": await self._log(gateway, max(heads)) for gateway in self._gateways}
        self._demand(differences({"a follower": lines, **again}), "the logs are not the same")
        digests = ", ".join(
            f"{gateway.name} {digest(again[f'the log at {gateway.name}'])}" for gateway in self._gateways
        )
        self.tell(f"read once more from entry 1, through each gateway: {digests}")
        paid = self._list(payments.values())
        verified, reconciled = await asyncio.gather(
            asyncio.to_thread(scalemgr, self._folder, "verify", "--text"),
            asyncio.to_thread(scalemgr, self._folder, "reconcile", paid, "--text"),
        )
        self.tell(f"scalemgr verify: {verified}")
        self.tell(f"scalemgr reconcile, with the list of what was paid: {reconciled}")
        return (
            f"Shown: {len(payments):,} payments through three gateways, one killed and one restarted meanwhile, each "
            "booked exactly once; every gateway has told the same events, byte for byte; and the ledger is sound."
        )

    async def _repeat(self, payment: Payment) -> None:
        """Ask for a payment again, through each gateway."""
        said = []
        for gateway in self._gateways:
            async with AsyncClient(gateway.address, token=self._token) as client:
                reply = await client.call("BalanceInSync", payment.data, idempotency_key=payment.key)
            if not reply.replayed or reply.data["order"] != payment.order:
                raise Failed(
                    f"{payment.key} is order {payment.order}, and {gateway.name} said to a repeat: {reply.line}"
                )
            said.append(f"{gateway.name} order {reply.data['order']}")
        self.tell(f"{payment.key}, asked for once more through each gateway, is replayed: {', '.join(said)}")

    async def _log(self, gateway: Gateway, head: int) -> Sequence[str]:
        """Every event that a gateway has in its log."""
        follower = Follower(gateway.name, gateway.address, self._token)
        try:
            follower.start()
            await follower.reach(head)
        finally:
            await follower.close()
        return follower.lines

    def _list(self, payments: Iterable[Payment]) -> str:
        """What was paid, as a payment provider lists it."""
        path = self._folder / "payments.csv"
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("reference", "login", "amount"))
            rows.writerows((payment.key, payment.login, payment.amount) for payment in payments)
        return str(path)

    def _demand(self, wrong: Sequence[str], what: str) -> None:
        if wrong:
            raise Failed("\n".join((what, *wrong)))
