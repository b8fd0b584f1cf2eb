-- The log: the truth. Append-only; nothing in it is ever changed or deleted.

-- One row: which log this is, and what has been handed out.
CREATE TABLE ledger (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    epoch       TEXT    NOT NULL,  -- names this log; a log that was restored from elsewhere gets another
    created_ms  INTEGER NOT NULL,  -- milliseconds since 1970
    next_order  INTEGER NOT NULL   -- no order from here up was ever reserved
) STRICT;

-- One row an entry. No index but the number itself: nothing but this append stands between a deposit
-- and its answer.
CREATE TABLE entry (
    seq         INTEGER PRIMARY KEY,  -- from 1, without a gap
    time_ms     INTEGER NOT NULL,     -- milliseconds since 1970
    event       TEXT    NOT NULL,     -- the name of the event it is broadcast as, or of what is not broadcast
    type        INTEGER NOT NULL,     -- the EV_RECORD_* of that event; of a refusal, its RET_*
    "group"     TEXT    NOT NULL,     -- the group it belongs to: who may see it
    login       INTEGER NOT NULL,     -- the account, or 0
    "order"     INTEGER NOT NULL,     -- the trade, or 0
    balance     INTEGER NOT NULL,     -- the change of the account's balance, in minor units
    credit      INTEGER NOT NULL,     -- the change of its credit, in minor units
    principal   TEXT    NOT NULL,     -- who asked
    key         TEXT,                 -- the idempotency key, if there was one
    fingerprint BLOB,                 -- what was asked, condensed
    data        TEXT    NOT NULL,     -- the event's data, byte for byte as it is sent
    record      TEXT                  -- what else is kept, a JSON object, never sent
) STRICT;
