-- insert_events: append events, whose rows follow; their positions are the next of the AUTOINCREMENT
-- sequence. Undoing a statement of many rows alone would cost a copy of every page it touches.
INSERT OR ROLLBACK INTO ledger_events
    (originator_id, originator_version, topic, state, contents) VALUES;

-- event_row: one of insert_events
(?, ?, ?, ?, ?);

-- stream_versions: the version of every stream of a list, in its order, 0 where it has no events
SELECT coalesce(
    (SELECT max(originator_version) FROM ledger_events WHERE originator_id = stream.value), 0
)
FROM json_each(?) AS stream ORDER BY stream.key;

-- place: what a position holds
SELECT originator_id, originator_version, state FROM ledger_events WHERE notification_id = ?;

-- stream: a stream's events in order, with contents
SELECT notification_id, originator_id, originator_version, topic, state, contents
FROM ledger_events
WHERE originator_id = :stream AND originator_version > :after AND originator_version <= :upto
ORDER BY originator_version;

-- stream_facts: a stream's events in order, without contents
SELECT notification_id, originator_id, originator_version, topic, state, NULL
FROM ledger_events
WHERE originator_id = :stream AND originator_version > :after AND originator_version <= :upto
ORDER BY originator_version;

-- log: events of a range of positions in order; an empty list of topics means all. The facts of few
-- events of other organizations are parsed: those that name this one, or have an escape (5C75 is \u),
-- by which it could be written.
SELECT notification_id, originator_id, originator_version, topic, state,
    CASE WHEN :contents THEN contents END
FROM ledger_events
WHERE notification_id > :after AND notification_id <= :upto
    AND (:topics = '[]' OR topic IN (SELECT value FROM json_each(:topics)))
    AND CASE
        WHEN :organization IS NULL THEN TRUE
        WHEN instr(state, :named) > 0 OR instr(state, x'5C75') > 0
        THEN json_extract(CAST(state AS TEXT), '$.organization') = :organization
        ELSE FALSE
    END
ORDER BY notification_id LIMIT :limit;

-- log_chunk: the events of a range in order, end to end, and five numbers of each as 16 hex digits:
-- position, version, and the lengths of stream, topic and facts. The inner LIMIT keeps the inner
-- ORDER BY; the casts count and join bytes, where text would be counted up to a NUL.
SELECT
    CAST(group_concat(stream, '') AS BLOB),
    CAST(group_concat(topic, '') AS BLOB),
    CAST(group_concat(facts, '') AS BLOB),
    group_concat(
        printf(
            '%016x%016x%016x%016x%016x',
            position, version, length(stream), length(topic), length(facts)
        ),
        ''
    )
FROM (
    SELECT notification_id AS position, originator_version AS version,
        CAST(originator_id AS BLOB) AS stream, CAST(topic AS BLOB) AS topic,
        CAST(state AS BLOB) AS facts
    FROM ledger_events
    WHERE notification_id > ? AND notification_id <= ?
    ORDER BY notification_id LIMIT ?
);

-- head: the last position
SELECT coalesce(max(notification_id), 0) FROM ledger_events;

-- notifications: the library's view of the log; NULL bounds are open
SELECT notification_id, originator_id, originator_version, topic, state
FROM ledger_events
WHERE notification_id >= :first AND notification_id <= :last
    AND (:topics = '[]' OR topic IN (SELECT value FROM json_each(:topics)))
ORDER BY notification_id LIMIT :limit;

-- put_blob: keep bytes once
INSERT OR IGNORE INTO ledger_blobs VALUES (?, ?, ?);

-- get_blob: bytes by their digest
SELECT media_type, data FROM ledger_blobs WHERE sha256 = ?;

-- has_tables: whether the store's tables are there, and whether anything is; in one statement, since
-- another process may make the store between two
SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'ledger_meta'),
    EXISTS (SELECT 1 FROM sqlite_schema);

-- schema_version: the version of the store's layout
SELECT value FROM ledger_meta WHERE key = 'schema_version';

-- journal_mode: 'wal' where the file system allows it
PRAGMA journal_mode;

-- synchronous: 2 flushes at every commit
PRAGMA synchronous;

-- facts_between: the events after one position up to another, in order, without contents
SELECT notification_id, originator_id, originator_version, topic, state, NULL
FROM ledger_events WHERE notification_id > ? AND notification_id <= ?
ORDER BY notification_id LIMIT ?;

-- tiles: whole tiles beyond a position, in order
SELECT tile, first_position, last_position, crc, leaves, contents, late FROM ledger_tiles
WHERE first_position > ? ORDER BY tile LIMIT ?;

-- tile: the one with a number
SELECT tile, first_position, last_position, crc, leaves, contents, late FROM ledger_tiles
WHERE tile = ?;

-- tiles_end: how many events tiles hold, the last of their positions, and that of events that are
-- older than tiles
SELECT coalesce(
        (SELECT tile * 256 + length(leaves) / 32 FROM ledger_tiles ORDER BY tile DESC LIMIT 1), 0
    ),
    coalesce((SELECT last_position FROM ledger_tiles ORDER BY tile DESC LIMIT 1), 0),
    (SELECT CAST(value AS INTEGER) FROM ledger_meta WHERE key = 'tiles_after');

-- put_tile: keep a tile once; one that is not full gives way to its longer self, and to no other
INSERT INTO ledger_tiles VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (tile) DO UPDATE SET last_position = excluded.last_position, crc = excluded.crc,
    leaves = excluded.leaves, contents = excluded.contents
WHERE length(ledger_tiles.leaves) < length(excluded.leaves)
    AND substr(excluded.leaves, 1, length(ledger_tiles.leaves)) = ledger_tiles.leaves
RETURNING tile;

-- has_tiles: whether there is a table of tiles; a store of layout 1 that is only read has none
SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'ledger_tiles');

-- integrity_check: whether the database is sound, one row "ok", or what is wrong with it
PRAGMA integrity_check;

-- leave_wal: keep all in one file
PRAGMA journal_mode = DELETE;

-- checkpoint: how far a follower of the log has come
SELECT value FROM ledger_meta WHERE key = 'checkpoint:' || ?;

-- save_checkpoint: how far a follower of the log has come
INSERT INTO ledger_meta VALUES ('checkpoint:' || ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- notes: texts kept beside the log, those whose names begin so
SELECT key, value FROM ledger_meta
WHERE substr(key, 1, length(:prefix)) = :prefix ORDER BY key;

-- save_note: keep a text beside the log
INSERT INTO ledger_meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- take_lease: take or renew a lease, unless another holder's still runs; one that ends later than
-- any could is of a clock that was set back
INSERT INTO ledger_meta VALUES ('lease:' || :name, :holder || ' ' || (:now + :seconds))
ON CONFLICT (key) DO UPDATE SET value = excluded.value
WHERE substr(value, 1, length(:holder)) = :holder
    OR CAST(substr(value, instr(value, ' ') + 1) AS REAL) NOT BETWEEN :now AND :now + 3600;

-- release_lease: end a lease, if this holder has it
DELETE FROM ledger_meta
WHERE key = 'lease:' || :name AND substr(value, 1, length(:holder)) = :holder;

-- put_spans: keep spans; of one that is there the first stays
INSERT INTO ledger_spans (organization, trace_id, span_id, span, received_at)
VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- put_traces: say that spans of a trace came
INSERT INTO ledger_traces
    (organization, trace_id, version, done, first_at, last_at, waiting_since)
VALUES (?, ?, 1, 0, ?, ?, ?)
ON CONFLICT (organization, trace_id) DO UPDATE SET
    waiting_since = CASE WHEN version > done THEN waiting_since ELSE excluded.last_at END,
    version = version + 1, last_at = excluded.last_at, not_before = 0;

-- due_traces: traces with spans of which no run was made, that are quiet or have waited long enough
SELECT organization, trace_id, version, done, first_at, last_at, runs, note, coalesce((
    SELECT d.spans FROM ledger_dropped d
    WHERE d.organization = t.organization AND d.trace_id = t.trace_id
), 0) AS dropped
FROM ledger_traces t
WHERE version > done AND not_before <= :now AND (last_at <= :quiet OR waiting_since <= :since)
ORDER BY waiting_since LIMIT :limit;

-- trace_spans: the spans of a trace that are still kept whole
SELECT span FROM ledger_spans WHERE organization = ? AND trace_id = ? AND length(span) > 0;

-- old_traces: traces that ended long ago, are done, and have spans that are kept whole
SELECT organization, trace_id, version FROM ledger_traces t
WHERE version = done AND last_at >= :after AND last_at < :before AND instr(note, '"refused"') = 0
    AND NOT EXISTS (
        SELECT 1 FROM ledger_dropped d
        WHERE d.organization = t.organization AND d.trace_id = t.trace_id
            AND d.last_at >= t.last_at
    )
ORDER BY last_at LIMIT :limit;

-- drop_spans: keep only the keys of the spans of a trace, unless more came meanwhile
UPDATE ledger_spans SET span = x''
WHERE organization = ?1 AND trace_id = ?2 AND length(span) > 0 AND EXISTS (
    SELECT 1 FROM ledger_traces WHERE organization = ?1 AND trace_id = ?2 AND version = ?3
);

-- note_dropped: say of a trace how many of its spans are only keys
INSERT INTO ledger_dropped (organization, trace_id, spans, last_at)
SELECT organization, trace_id, (
    SELECT count(*) FROM ledger_spans s
    WHERE s.organization = t.organization AND s.trace_id = t.trace_id AND length(span) = 0
), last_at
FROM ledger_traces t WHERE organization = ?1 AND trace_id = ?2 AND version = ?3
ON CONFLICT (organization, trace_id) DO UPDATE SET
    spans = excluded.spans, last_at = excluded.last_at;

-- claim_calls: keep by which source calls were told first
INSERT INTO ledger_calls (organization, call, source) VALUES (?, ?, ?) ON CONFLICT DO NOTHING;

-- calls_of_others: those of these calls that another source told first
SELECT call FROM ledger_calls
WHERE organization = :organization AND source <> :source
    AND call IN (SELECT value FROM json_each(:calls));

-- refused_traces: traces of which runs could not be made
SELECT trace_id FROM ledger_traces WHERE organization = ? AND instr(note, '"refused"') > 0;

-- retry_trace: let runs be made of a trace again
UPDATE ledger_traces SET version = version + 1, waiting_since = ?, not_before = 0
WHERE organization = ? AND trace_id = ?;

-- retrying: how many refused traces are due again
SELECT count(*) FROM ledger_traces
WHERE organization = :organization AND version > done AND not_before <= :now
    AND instr(note, '"refused"') > 0;

-- trace: what is known of a trace
SELECT organization, trace_id, version, done, first_at, last_at, runs, note, coalesce((
    SELECT d.spans FROM ledger_dropped d
    WHERE d.organization = t.organization AND d.trace_id = t.trace_id
), 0) AS dropped
FROM ledger_traces t
WHERE organization = ? AND trace_id = ?;

-- save_trace: what was made of a trace
UPDATE ledger_traces
SET runs = :runs, note = :note, done = :done, waiting_since = :now,
    not_before = CASE WHEN version = :version THEN :not_before ELSE 0 END
WHERE organization = :organization AND trace_id = :trace_id;

-- latest_traces: traces, the latest first
SELECT organization, trace_id, version, done, first_at, last_at, runs, note, coalesce((
    SELECT d.spans FROM ledger_dropped d
    WHERE d.organization = t.organization AND d.trace_id = t.trace_id
), 0) AS dropped
FROM ledger_traces t
WHERE organization = ? ORDER BY last_at DESC LIMIT ?;

-- count_spans: how many spans and traces there are of an organization
SELECT (SELECT count(*) FROM ledger_spans WHERE organization = :organization),
    count(*), count(*) FILTER (WHERE version > done),
    count(*) FILTER (WHERE version = done AND runs = '[]'),
    count(*) FILTER (WHERE instr(note, '"refused"') > 0),
    (SELECT coalesce(sum(spans), 0) FROM ledger_dropped WHERE organization = :organization)
FROM ledger_traces WHERE organization = :organization;
