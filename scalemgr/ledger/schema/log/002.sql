-- The log in pages: a row holds entries that follow one another, so that to keep or read one costs a fraction of a row.

ALTER TABLE entry RENAME TO old_entry;

-- One row a page: what of one commit follows one another, at most 32 entries. No index but the number itself: nothing
-- but this append stands between a deposit and its answer.
CREATE TABLE page (
    last     INTEGER PRIMARY KEY,  -- the number of its last entry; entries count from 1, without a gap
    first    INTEGER NOT NULL,     -- the number of its first
    entries  TEXT    NOT NULL      -- a JSON array with an array for each entry, its fields as the view below has them
) STRICT;

-- Put together as text, so that what is JSON already stays as it is, byte for byte.
WITH RECURSIVE start (seq) AS (
    SELECT min(seq) FROM old_entry
    UNION ALL
    SELECT (SELECT min(seq) FROM old_entry WHERE seq >= start.seq + 32) FROM start WHERE seq IS NOT NULL
)
INSERT INTO page SELECT
    (SELECT max(seq) FROM old_entry WHERE seq < start.seq + 32),
    start.seq,
    (
        SELECT '[' || group_concat(
            '[' || seq || ',' || time_ms || ',' || json_quote(event) || ',' || type || ',' || json_quote("group")
            || ',' || login || ',' || "order" || ',' || balance || ',' || credit || ',' || json_quote(principal)
            || ',' || json_quote(key)
            || ',' || json_quote(iif(fingerprint IS NULL, NULL, lower(hex(fingerprint))))
            || ',' || data || ifnull(',' || record, '') || ']'
        ) || ']'
        FROM (SELECT * FROM old_entry WHERE seq BETWEEN start.seq AND start.seq + 31 ORDER BY seq)
    )
FROM start WHERE seq IS NOT NULL;

-- Where something was no JSON there would be no page to read: this fails then, and all is as it was.
UPDATE page SET entries = NULL WHERE NOT json_valid(entries);

DROP TABLE old_entry;

-- One row an entry, for people; it is slow.
CREATE VIEW entry AS SELECT
    json_extract(value, '$[0]')  AS seq,          -- from 1, without a gap
    json_extract(value, '$[1]')  AS time_ms,      -- milliseconds since 1970
    json_extract(value, '$[2]')  AS event,        -- the name of the event it is broadcast as, or of what is not broadcast
    json_extract(value, '$[3]')  AS type,         -- the EV_RECORD_* of that event; of a refusal, its RET_*
    json_extract(value, '$[4]')  AS "group",      -- the group it belongs to: who may see it
    json_extract(value, '$[5]')  AS login,        -- the account, or 0
    json_extract(value, '$[6]')  AS "order",      -- the trade, or 0
    json_extract(value, '$[7]')  AS balance,      -- the change of the account's balance, in minor units
    json_extract(value, '$[8]')  AS credit,       -- the change of its credit, in minor units
    json_extract(value, '$[9]')  AS principal,    -- who asked
    json_extract(value, '$[10]') AS key,          -- the idempotency key, if there was one
    json_extract(value, '$[11]') AS fingerprint,  -- what was asked, condensed, in hex
    json_extract(value, '$[12]') AS data,         -- the event's data, as it is sent
    json_extract(value, '$[13]') AS record        -- what else is kept, a JSON object, never sent
FROM page, json_each(entries);
