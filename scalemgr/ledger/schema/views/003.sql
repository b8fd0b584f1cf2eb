-- What questions with filters and statements need. Views of an older shape are made again, so nothing is kept here.
DROP TABLE "group";
DROP TABLE account;
DROP TABLE trade;

-- What is said of a group, as of the last entry about it.
CREATE TABLE "group" (
    "group"  TEXT PRIMARY KEY,
    shown    TEXT    NOT NULL,  -- the name as it is on the wire: a JSON string, escaped as the clients need it
    record   TEXT    NOT NULL,  -- a JSON object
    deleted  INTEGER NOT NULL   -- 1: there is none any more, but there may be trades of it
) STRICT, WITHOUT ROWID;

-- Accounts as they are, also the deleted ones. Apart from their profiles, so that many are on one page: each movement
-- of money changes a row here.
CREATE TABLE account (
    login            INTEGER PRIMARY KEY,
    "group"          TEXT    NOT NULL,
    enable           INTEGER NOT NULL,
    currency         TEXT    NOT NULL,            -- of its group, as is
    digits           INTEGER NOT NULL,            -- how many decimals it has
    balance          INTEGER NOT NULL DEFAULT 0,  -- minor units
    credit           INTEGER NOT NULL DEFAULT 0,  -- minor units
    balance_version  INTEGER NOT NULL DEFAULT 0,
    pending          INTEGER NOT NULL DEFAULT 0,  -- requests for money that await approval
    deleted          INTEGER NOT NULL DEFAULT 0   -- 1: it is closed for good
) STRICT;

-- The accounts of some groups, in the order of their logins.
CREATE INDEX account_of_group ON account ("group");

CREATE TABLE profile (
    login   INTEGER PRIMARY KEY,
    record  TEXT NOT NULL        -- a JSON object; with the password's hash
) STRICT;

-- Trades as they are: what is searched and sorted by, and the record.
CREATE TABLE trade (
    "order"          INTEGER PRIMARY KEY,
    login            INTEGER NOT NULL,
    "group"          TEXT    NOT NULL,  -- the account's, as of now: when it moves, its trades follow
    cmd              INTEGER NOT NULL,
    state            INTEGER NOT NULL,
    reason           INTEGER NOT NULL,
    digits           INTEGER NOT NULL,
    open_time        INTEGER NOT NULL,
    close_time       INTEGER NOT NULL,
    update_time      INTEGER NOT NULL,
    balance_version  INTEGER NOT NULL,
    profit           INTEGER NOT NULL,  -- minor units
    data             TEXT    NOT NULL   -- the record as it was last broadcast, a JSON object
) STRICT;

-- The history of an account (GetTradesHistoryByLogin), and all else that is asked of one login.
CREATE INDEX trade_of_login ON trade (login, close_time);
-- What has changed since: how a client catches up that knows no seq. Grows at its end.
CREATE INDEX trade_updated ON trade (update_time);
-- The latest first: how tables of trades are sorted, as in the published example. Grows at its end, but for imports.
CREATE INDEX trade_opened ON trade (open_time);
-- The trades of some groups in a range of time; and all that counts and totals need, so that to add up a million
-- trades is to read this and not the records.
CREATE INDEX trade_of_group ON trade ("group", close_time, state, cmd, digits, profit);

-- The decimals that money in trades or on accounts has, or had.
CREATE TABLE digits (
    digits  INTEGER PRIMARY KEY
) STRICT;

-- One row an entry that moved money, made for statements.
CREATE TABLE movement (
    seq             INTEGER PRIMARY KEY,  -- the entry
    time_ms         INTEGER NOT NULL,     -- when it was booked
    login           INTEGER NOT NULL,
    "order"         INTEGER NOT NULL,
    type            INTEGER NOT NULL,     -- the EV_RECORD_* of the trade
    cmd             INTEGER NOT NULL,
    balance_change  INTEGER NOT NULL,     -- minor units
    credit_change   INTEGER NOT NULL,
    balance         INTEGER NOT NULL,     -- what was there then
    credit          INTEGER NOT NULL,
    comment         TEXT    NOT NULL      -- as it is on the wire: a JSON string
) STRICT;

-- The statement of an account; its balance as of a time.
CREATE INDEX movement_of_login ON movement (login, seq, time_ms);
