"""A back office's day over one socket, and nothing else: no client library, no scalemgr.

    twist --log-format=text scalemgr --demo        # in one terminal
    python examples/back_office.py                 # in another

A group and an account are made, money comes and goes, credit is granted, a withdrawal is asked for and approved, a
deposit is taken back; then the statement. Run it again: each request has the name that it had, so every answer is
the first one's, and nothing happens twice. With a real daemon: back_office.py HOST PORT TOKEN.
"""

import json
import socket
import sys

# What is not said is as in a demo.
HOST, PORT, TOKEN = (sys.argv[1:] + ["127.0.0.1", "8080", ""][len(sys.argv) - 1 :])[:3]


class Line:
    """One connection. Answers are told from events by having no "event", and from each other by their extID."""

    def __init__(self, host, port, token):
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.file = self.socket.makefile("rb")
        self.token = token

    def ask(self, name, command, **data):
        request = {"command": command, "extID": f"back-office-{name}", "data": data}
        if self.token:
            request["__token"] = self.token
        self.socket.sendall(json.dumps(request).encode("ascii") + b"\r\n")
        while True:
            line = self.file.readline()
            if not line:
                sys.exit("the server has closed the connection")
            message = json.loads(line)
            if "event" not in message and message["extID"] == request["extID"]:
                break
        again = " (as before)" if message.get("replayed") else ""
        print(f"{message['status']} {command}{again}")
        if message["status"] != 200:
            sys.exit(f"{message['data']['error']}: {message['data']['message']}")
        return message["data"]


line = Line(HOST, PORT, TOKEN)
line.ask("group", "AddGroup", group="example-usd", currency="USD")
account = line.ask(
    "account",
    "MngAddAccount",
    group="example-usd",
    name="Ann O'Hara",
    password="change-me-1",
    leverage=100,
    enable=1,
    email="ann@example.com",
)
login = account["login"]

deposit = line.ask("deposit", "BalanceInSync", login=login, amount=250.0, comment="Card 4711")
mistake = line.ask("mistake", "BalanceInSync", login=login, amount=999.99, comment="Card 4711, booked twice")
line.ask("withdrawal", "BalanceOutSync", login=login, amount=-59.97, comment="Wire 12")
line.ask("credit", "CreditInSync", login=login, amount=100, comment="Welcome")
pending = line.ask("request", "MngCreateFinanceRequestSync", login=login, cmd=8, amount=-40.03, gw_uuid="psp-77")
line.ask("approval", "MngApproveFinanceRequestSync", order=pending["order"])
line.ask("correction", "DeleteBalanceSync", order=mistake["order"])

statement = line.ask("statement", "GetStatement", login=login)
print(f"\nStatement of {login}, {statement['currency']}, as of entry {statement['seq']} of the log")
column = {name: n for n, name in enumerate(statement["structure"])}
print(f"{'opening':>52} {statement['opening_balance']:>10.2f} {statement['opening_credit']:>10.2f}")
for row in statement["rows"]:
    seq, order, comment = (row[column[name]] for name in ("seq", "order", "comment"))
    moved = row[column["amount"]] + row[column["credit_amount"]]
    balance, credit = row[column["balance"]], row[column["credit"]]
    print(f"{seq:>6} {order:>6} {comment[:26]:<26} {moved:>10.2f} {balance:>10.2f} {credit:>10.2f}")
print(f"{'closing':>52} {statement['closing_balance']:>10.2f} {statement['closing_credit']:>10.2f}")

# 250.00 - 59.97 - 40.03, to the cent.
if (statement["closing_balance"], statement["closing_credit"]) != (150.0, 100.0):
    sys.exit("the statement does not close with what it should")
