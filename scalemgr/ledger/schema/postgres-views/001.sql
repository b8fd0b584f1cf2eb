-- The views: the log arranged for questions. All of them together can be deleted (TRUNCATE view is enough) and are then
-- made again; a part must not, for nobody sees that it is missing. One gateway at a time writes them, any number of
-- them ask; they may be on another server than the log.
-- Text compares by its bytes, whatever the database does by itself, so that every engine answers alike. JSON is text,
-- for its bytes are to stay as they are.

-- One row: of which log, and how much of it is in.
CREATE TABLE view (
    id         integer PRIMARY KEY CHECK (id = 1),
    epoch      text    NOT NULL,            -- the log's
    seq        bigint  NOT NULL,            -- the last entry that is in
    stamp      text    NOT NULL DEFAULT '', -- of the page of the log that it is on
    forgotten  bigint  NOT NULL DEFAULT 0,  -- idempotency keys up to this entry no longer count
    swept      bigint  NOT NULL DEFAULT 0   -- and up to this one they are gone
);

-- What is said of a group, as of the last entry about it.
CREATE TABLE "group" (
    "group"  text COLLATE "C" PRIMARY KEY,
    shown    text     NOT NULL,  -- the name as it is on the wire: a JSON string, escaped as the clients need it
    record   text     NOT NULL,  -- a JSON object
    deleted  boolean  NOT NULL   -- there is none any more, but there may be trades of it
);

-- Accounts as they are, also the deleted ones. Apart from their profiles, so that many are on one page: each movement
-- of money changes a row here, and if the page has room for it no index has to be told.
CREATE TABLE account (
    login            bigint PRIMARY KEY,
    "group"          text COLLATE "C" NOT NULL,
    enable           bigint   NOT NULL,
    currency         text COLLATE "C" NOT NULL,       -- of its group, as is
    digits           integer  NOT NULL,               -- how many decimals it has
    balance          bigint   NOT NULL DEFAULT 0,     -- minor units
    credit           bigint   NOT NULL DEFAULT 0,     -- minor units
    balance_version  bigint   NOT NULL DEFAULT 0,
    pending          bigint   NOT NULL DEFAULT 0,     -- requests for money that await approval
    deleted          boolean  NOT NULL DEFAULT false  -- it is closed for good
) WITH (fillfactor = 50);

-- The accounts of some groups, in the order of their logins.
CREATE INDEX account_of_group ON account ("group", login);

CREATE TABLE profile (
    login   bigint PRIMARY KEY,
    record  text NOT NULL        -- a JSON object; with the password's hash
);

-- Trades as they are: what is searched and sorted by, and the record.
CREATE TABLE trade (
    "order"          bigint PRIMARY KEY,
    login            bigint   NOT NULL,
    "group"          text COLLATE "C" NOT NULL,  -- the account's, as of now: when it moves, its trades follow
    cmd              integer  NOT NULL,
    state            integer  NOT NULL,
    reason           integer  NOT NULL,
    digits           integer  NOT NULL,
    open_time        bigint   NOT NULL,
    close_time       bigint   NOT NULL,
    update_time      bigint   NOT NULL,
    balance_version  bigint   NOT NULL,
    profit           bigint   NOT NULL,          -- minor units
    data             text     NOT NULL           -- the record as it was last broadcast, a JSON object
);

-- The history of an account (GetTradesHistoryByLogin), and all else that is asked of one login.
CREATE INDEX trade_of_login ON trade (login, close_time);
-- What has changed since: how a client catches up that knows no seq. Grows at its end.
CREATE INDEX trade_updated ON trade (update_time);
-- The latest first: how tables of trades are sorted, as in the published example. Grows at its end, but for imports.
CREATE INDEX trade_opened ON trade (open_time);
-- The trades of some groups in a range of time; and all that counts and totals need, so that to add up a million
-- trades is to read this and not the records.
CREATE INDEX trade_of_group ON trade ("group", close_time) INCLUDE (state, cmd, digits, profit);

-- The decimals that money in trades or on accounts has, or had.
CREATE TABLE digits (
    digits  integer PRIMARY KEY
);

-- One row an entry that moved money, made for statements.
CREATE TABLE movement (
    seq             bigint PRIMARY KEY,  -- the entry
    time_ms         bigint   NOT NULL,   -- when it was booked
    login           bigint   NOT NULL,
    "order"         bigint   NOT NULL,
    type            integer  NOT NULL,   -- the EV_RECORD_* of the trade
    cmd             integer  NOT NULL,
    balance_change  bigint   NOT NULL,   -- minor units
    credit_change   bigint   NOT NULL,
    balance         bigint   NOT NULL,   -- what was there then
    credit          bigint   NOT NULL,
    comment         text     NOT NULL    -- as it is on the wire: a JSON string
);

-- The statement of an account; its balance as of a time.
CREATE INDEX movement_of_login ON movement (login, seq, time_ms);

-- The idempotency keys, each with the entry that used it first. There must never be a second, while it counts.
-- There is no index by entry, for keys come in any order and each index is a page to be written: those that are
-- forgotten are swept out many at a time.
CREATE TABLE key (
    principal  text COLLATE "C" NOT NULL,
    key        text COLLATE "C" NOT NULL,
    seq        bigint NOT NULL,
    PRIMARY KEY (principal, key)
);
