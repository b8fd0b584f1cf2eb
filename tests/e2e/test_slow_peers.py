"""Peers that read slowly, over a real socket: what the system does not take at once waits, and leaves in order."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from .daemons import LOOPBACK, daemon

COUNT = 30_000


def ask(number: int) -> bytes:
    """A request whose answer is long: its extID comes back."""
    return b'{"command":"Ping","extID":"%0190d"}\r\n' % number


@pytest.mark.parametrize("piece", [700, 65536])
def test_wholeAndInOrder(tmp_path: Path, piece: int) -> None:
    """A peer with a small window, who pauses now and then, gets each answer once, whole and in order; deposits that it
    makes meanwhile are answered before their own events."""
    with daemon(tmp_path, "--demo", "--listen", LOOPBACK) as (_, port), socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", port))
        peer.settimeout(30)
        deposit = b'{"command":"BalanceInSync","extID":"deposit-%d","data":{"login":1001,"amount":1}}\r\n'
        said = b"".join(ask(n) + (deposit % n if n % 1000 == 0 else b"") for n in range(COUNT))
        asking = threading.Thread(target=peer.sendall, args=(said,))
        asking.start()
        # Until all is full that lies between the two, and more.
        time.sleep(1)
        heard, lines, answered = b"", 0, 0
        numbers: list[int] = []
        booked: dict[int, str] = {}
        while answered < COUNT + COUNT // 1000 or len(booked) < COUNT // 1000:
            got = peer.recv(piece)
            assert got
            heard += got
            *whole, heard = heard.split(b"\r\n")
            for text in whole:
                lines += 1
                line = json.loads(text)
                if lines % 2000 == 0:
                    time.sleep(0.05)
                if line.get("event") == "trade:event":
                    assert line["data"]["order"] in booked
                elif "event" in line:
                    continue
                elif line["extID"].startswith("deposit"):
                    answered += 1
                    booked[line["data"]["order"]] = line["extID"]
                else:
                    answered += 1
                    numbers.append(int(line["extID"]))
        asking.join()
    assert numbers == list(range(COUNT))
    assert sorted(booked.values()) == sorted(f"deposit-{n}" for n in range(0, COUNT, 1000))
