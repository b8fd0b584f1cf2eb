-- Views that take less to keep up. Views of an older shape are made again, so nothing is kept here.
DROP TABLE key;
DROP TABLE view;

-- One row: of which log, and how much of it is in.
CREATE TABLE view (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    epoch      TEXT    NOT NULL,             -- the log's
    seq        INTEGER NOT NULL,             -- the last entry that is in
    forgotten  INTEGER NOT NULL DEFAULT 0,   -- idempotency keys up to this entry no longer count
    swept      INTEGER NOT NULL DEFAULT 0,   -- and up to this one they are gone
    boot       TEXT    NOT NULL DEFAULT ''   -- the boot of the machine in which it is written, and by whom; '': at rest
) STRICT;

-- The idempotency keys, each with the entry that used it first. There must never be a second, while it counts.
-- Each is kept once, and there is no index by entry, for keys come in any order and each index is a page to be written:
-- those that are forgotten are swept out many at a time.
-- (The columns of the primary key first: else quick_check of SQLite 3.40 takes rows that are sound for damaged ones.)
CREATE TABLE key (
    principal  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    PRIMARY KEY (principal, key)
) STRICT, WITHOUT ROWID;
