"""A deposit, booked once whatever happens: run it again, and it is the same one. Beside: twist scalemgr --demo"""

import sys

from scalemgr.client import Client, NotApplied, OutcomeUnknown

with Client(sys.argv[1] if len(sys.argv) > 1 else "tcp:127.0.0.1:8080") as client:
    try:
        trade = client.BalanceInSync(login=1001, amount="250.00", idempotency_key="payment-4711")
        print(f"booked: order {trade.order}, {trade.profit:.2f}")
    except (NotApplied, OutcomeUnknown) as e:
        sys.exit(str(e))
