-- The views: the log arranged for questions. Everything here can be deleted and is then made again.

-- One row: of which log, and how much of it is in.
CREATE TABLE view (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    epoch  TEXT    NOT NULL,  -- the log's
    seq    INTEGER NOT NULL   -- the last entry that is in
) STRICT;

-- What is said of a group, as of the last entry about it.
CREATE TABLE "group" (
    "group"  TEXT PRIMARY KEY,
    record   TEXT NOT NULL     -- a JSON object
) STRICT, WITHOUT ROWID;

-- Accounts as they are.
CREATE TABLE account (
    login            INTEGER PRIMARY KEY,
    "group"          TEXT    NOT NULL,
    record           TEXT    NOT NULL,            -- the profile, a JSON object; with the password's hash
    balance          INTEGER NOT NULL DEFAULT 0,  -- minor units
    credit           INTEGER NOT NULL DEFAULT 0,  -- minor units
    balance_version  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Trades as they are.
CREATE TABLE trade (
    "order"  INTEGER PRIMARY KEY,
    "group"  TEXT NOT NULL,  -- the account's, when the trade last changed
    data     TEXT NOT NULL   -- the record as it was last broadcast, a JSON object
) STRICT;
