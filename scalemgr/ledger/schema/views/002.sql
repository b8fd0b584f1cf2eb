-- The idempotency keys that count, each with the entry that used it first. There must never be a second.
CREATE TABLE key (
    seq        INTEGER PRIMARY KEY,  -- the entry
    principal  TEXT NOT NULL,
    key        TEXT NOT NULL,
    UNIQUE (principal, key)
) STRICT;
