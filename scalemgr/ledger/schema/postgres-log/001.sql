-- The log: the truth. Append-only; nothing in it is ever changed or deleted.

-- One row: which log this is, and what has been handed out.
CREATE TABLE ledger (
    id          integer PRIMARY KEY CHECK (id = 1),
    epoch       text   NOT NULL,  -- names this log; a log that was restored from elsewhere gets another
    created_ms  bigint NOT NULL,  -- milliseconds since 1970
    next_order  bigint NOT NULL,  -- no order from here up was ever reserved
    -- of the server, when orders were last reserved: another one has taken over since if it is not that now
    timeline    text   NOT NULL DEFAULT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
    whole       boolean NOT NULL DEFAULT true  -- false: it is being copied here, and not at its end
);

-- One row a page: what of one commit follows one another, at most 32 entries. No index but the number itself: nothing
-- but this append stands between a deposit and its answer.
CREATE TABLE page (
    last     bigint PRIMARY KEY,  -- the number of its last entry; entries count from 1, without a gap
    first    bigint NOT NULL CHECK (first <= last),
    stamp    text   NOT NULL,     -- of the commit that it is of; no two have the same
    entries  text   NOT NULL      -- a JSON array with an array for each entry
);

-- A page is compressed if that is cheap. As it is by default, it takes three times as long as all else that the server
-- does to keep it; where there is nothing better, before version 14 and where it was left out, it is kept as it is.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE page ALTER COLUMN entries SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    ALTER TABLE page ALTER COLUMN entries SET STORAGE EXTERNAL;
END
$$;

-- What a gateway has told somebody that it was not booked, and never will be: no other may book it after that, of what
-- it was asked for before. A row is of use for as long as a request may be on its way, which is minutes.
CREATE TABLE renounced (
    n          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    gateway    text NOT NULL,     -- which one has told
    principal  text NOT NULL,     -- who asked
    key        text NOT NULL      -- the idempotency key
);

-- At most one row: the book at some entry, so that a start is quick. It can be deleted.
CREATE TABLE book (
    id     integer PRIMARY KEY CHECK (id = 1),
    last   bigint NOT NULL,       -- the entry
    stamp  text   NOT NULL,       -- of the page that ends there
    body   bytea  NOT NULL
);
