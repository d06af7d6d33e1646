-- append: many requests, one round trip; see ledger_append in schema.sql
SELECT o_request, o_stream, o_first, o_last
FROM {schema}.ledger_append(%s::int[], %s::text[], %s::bigint[], %s::text[], %s::bytea[], %s::bytea[]);

-- insert: the same without a look at the streams, in one statement; where one has gone on, the
-- unique key refuses all. The lock is that of ledger_append. It is taken before the first row is
-- there, hence before any position is drawn; the statement's older view does no harm, since a
-- unique key does not go by it.
WITH turn AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended({lock}, 0))
), recorded AS (
    INSERT INTO {schema}.ledger_events (originator_id, originator_version, topic, state, contents)
    SELECT e.stream, e.version, e.topic, e.facts, e.contents
    FROM turn, unnest(%s::text[], %s::bigint[], %s::text[], %s::bytea[], %s::bytea[])
        WITH ORDINALITY AS e (stream, version, topic, facts, contents, place)
    ORDER BY e.place
    RETURNING notification_id
)
SELECT min(notification_id), max(notification_id) FROM recorded;

-- stored_event: what is stored at a version of a stream
SELECT notification_id, topic, state, contents FROM {schema}.ledger_events
WHERE originator_id = %s AND originator_version = %s;

-- place: what a position holds
SELECT originator_id, originator_version, state FROM {schema}.ledger_events
WHERE notification_id = %s;

-- version: how many events a stream has
SELECT coalesce(max(originator_version), 0) FROM {schema}.ledger_events WHERE originator_id = %s;

-- timeline: the history of the server, another one after a standby took over or a backup was
-- restored; NULL on a standby
SELECT CASE WHEN NOT pg_is_in_recovery()
    THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END;

-- stream: a stream's events in order, with contents
SELECT notification_id, originator_id, originator_version, topic, state, contents
FROM {schema}.ledger_events
WHERE originator_id = %(stream)s AND originator_version > %(after)s
    AND originator_version <= %(upto)s
ORDER BY originator_version;

-- stream_facts: a stream's events in order, without contents
SELECT notification_id, originator_id, originator_version, topic, state, NULL
FROM {schema}.ledger_events
WHERE originator_id = %(stream)s AND originator_version > %(after)s
    AND originator_version <= %(upto)s
ORDER BY originator_version;

-- log: events of a range of positions in order; an empty list of topics means all. The facts of few
-- events of other organizations are parsed: those that name this one, or have an escape (5C75 is \u),
-- by which it could be written.
SELECT notification_id, originator_id, originator_version, topic, state,
    CASE WHEN %(contents)s THEN contents END
FROM {schema}.ledger_events
WHERE notification_id > %(after)s AND notification_id <= %(upto)s
    AND (cardinality(%(topics)s::text[]) = 0 OR topic = ANY (%(topics)s))
    AND CASE
        WHEN %(organization)s::text IS NULL THEN TRUE
        WHEN position(%(named)s::bytea IN state) > 0 OR position('\x5c75'::bytea IN state) > 0
        THEN convert_from(state, 'UTF8')::json ->> 'organization' = %(organization)s::text
        ELSE FALSE
    END
ORDER BY notification_id LIMIT %(limit)s;

-- log_range: say which events log_batch reads (bound values prevent COPY), and whether any are there
SELECT set_config('ledger.after', $1::text, false), set_config('ledger.upto', $2::text, false),
    set_config('ledger.batch', $3::text, false),
    EXISTS (
        SELECT 1 FROM {schema}.ledger_events
        WHERE notification_id > $1::bigint AND notification_id <= $2::bigint
    ) AND $3::bigint > 0 AS any_event;

-- log_batch: the events of the range in order, as projections read them
SELECT notification_id AS position, originator_id AS stream, originator_version AS version,
    topic, state AS facts
FROM {schema}.ledger_events
WHERE notification_id > current_setting('ledger.after')::bigint
    AND notification_id <= current_setting('ledger.upto')::bigint
ORDER BY notification_id LIMIT current_setting('ledger.batch')::bigint;

-- head: the last position
SELECT coalesce(max(notification_id), 0) FROM {schema}.ledger_events;

-- put_blob: keep bytes once
INSERT INTO {schema}.ledger_blobs VALUES (%s, %s, %s) ON CONFLICT DO NOTHING;

-- get_blob: bytes by their digest
SELECT media_type, data FROM {schema}.ledger_blobs WHERE sha256 = %s;

-- lock_schema: one process at a time makes a schema; two CREATE … IF NOT EXISTS at once can collide
SELECT pg_advisory_xact_lock(hashtextextended(%s || '.ledger_schema', 0));

-- has_schema: whether the schema is there; CREATE SCHEMA wants a privilege even where it is
SELECT to_regnamespace(quote_ident(%s)) IS NOT NULL;

-- facts_between: the events after one position up to another, in order, without contents
SELECT notification_id, originator_id, originator_version, topic, state, NULL
FROM {schema}.ledger_events WHERE notification_id > %s AND notification_id <= %s
ORDER BY notification_id LIMIT %s;

-- tiles: whole tiles beyond a position, in order
SELECT tile, first_position, last_position, crc, leaves, contents, late
FROM {schema}.ledger_tiles WHERE first_position > %s ORDER BY tile LIMIT %s;

-- tile: the one with a number
SELECT tile, first_position, last_position, crc, leaves, contents, late
FROM {schema}.ledger_tiles WHERE tile = %s;

-- tiles_end: how many events tiles hold, the last of their positions, and that of events that are
-- older than tiles
SELECT coalesce(
        (SELECT tile * 256 + length(leaves) / 32
         FROM {schema}.ledger_tiles ORDER BY tile DESC LIMIT 1), 0
    ),
    coalesce((SELECT last_position FROM {schema}.ledger_tiles ORDER BY tile DESC LIMIT 1), 0),
    (SELECT value::bigint FROM {schema}.ledger_meta WHERE key = 'tiles_after');

-- put_tile: keep a tile once; one that is not full gives way to its longer self, and to no other
INSERT INTO {schema}.ledger_tiles AS kept VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tile) DO UPDATE SET last_position = excluded.last_position, crc = excluded.crc,
    leaves = excluded.leaves, contents = excluded.contents
WHERE length(kept.leaves) < length(excluded.leaves)
    AND substring(excluded.leaves FOR length(kept.leaves)) = kept.leaves
RETURNING tile;

-- has_tiles: whether there is a table of tiles; a store of layout 1 that is only read has none
SELECT to_regclass({tiles}) IS NOT NULL;

-- has_tables: whether the store's tables are there
SELECT to_regclass({meta}) IS NOT NULL;

-- is_current: whether the function that appends is the one of schema.sql, older ones need settings of
-- the session, and whether the youngest table is there
SELECT to_regclass({youngest}) IS NOT NULL AND EXISTS (
    SELECT 1 FROM pg_proc
    WHERE proname = 'ledger_append' AND pronamespace = to_regnamespace({schema_name})
        AND proconfig IS NOT NULL
);

-- schema_version: the version of the store's layout
SELECT value FROM {schema}.ledger_meta WHERE key = 'schema_version';

-- take_lease: take or renew a lease, unless another holder's still runs; a row if it is taken
INSERT INTO {schema}.ledger_meta AS held
VALUES (
    'lease:' || %(name)s::text,
    %(holder)s::text || ' ' || extract(epoch FROM clock_timestamp()) + %(seconds)s::float8
)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
WHERE split_part(held.value, ' ', 1) = %(holder)s
    OR split_part(held.value, ' ', 2)::float8 < extract(epoch FROM clock_timestamp())
RETURNING key;

-- release_lease: end a lease, if this holder has it
DELETE FROM {schema}.ledger_meta
WHERE key = 'lease:' || %(name)s AND split_part(value, ' ', 1) = %(holder)s;

-- backend: the server process that answers; a pooler tells its clients another number
SELECT pg_backend_pid();

-- session: settings of a connection that is this process's alone. The function that appends reads
-- versions in the statement after the one that takes the lock: under a stricter isolation it would
-- not see what the last holder of the lock committed. The server would plan ledger_append again at
-- every call, which is half of what a single event costs it; the plan is the same, an index lookup
-- per stream and an insert.
SELECT set_config('lock_timeout', {lock_timeout}, false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('plan_cache_mode', 'force_generic_plan', false);

-- read_only: whether the server takes no writes
SELECT current_setting('transaction_read_only')::boolean;

-- settings: what `doctor` shows of the server
SELECT current_setting('server_version'), current_setting('fsync'),
    current_setting('synchronous_commit'), current_setting('full_page_writes'),
    current_database(), {name};

-- checkpoint: how far a follower of the log has come
SELECT value FROM {schema}.ledger_meta WHERE key = 'checkpoint:' || %s;

-- save_checkpoint: how far a follower of the log has come
INSERT INTO {schema}.ledger_meta VALUES ('checkpoint:' || %s, %s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- notes: texts kept beside the log, those whose names begin so
SELECT key, value FROM {schema}.ledger_meta WHERE starts_with(key, %s) ORDER BY key;

-- save_note: keep a text beside the log
INSERT INTO {schema}.ledger_meta VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- put_spans: keep spans, of one that is there the first, and say of their traces that spans came; in
-- the order of their keys, so that two servers that keep the same do not wait for each other
WITH given AS (
    SELECT DISTINCT ON (g.organization, g.trace_id, g.span_id) g.*
    FROM unnest(
        %(organizations)s::text[], %(traces)s::text[], %(spans)s::text[], %(texts)s::bytea[]
    ) WITH ORDINALITY AS g (organization, trace_id, span_id, span, place)
    ORDER BY g.organization, g.trace_id, g.span_id, g.place
), kept AS (
    INSERT INTO {schema}.ledger_spans (organization, trace_id, span_id, span, received_at)
    SELECT organization, trace_id, span_id, span, %(now)s::float8 FROM given
    ORDER BY organization, trace_id, span_id
    ON CONFLICT DO NOTHING
)
INSERT INTO {schema}.ledger_traces AS t
    (organization, trace_id, version, done, first_at, last_at, waiting_since)
SELECT organization, trace_id, 1, 0, %(now)s::float8, %(now)s::float8, %(now)s::float8
FROM given GROUP BY organization, trace_id ORDER BY organization, trace_id
ON CONFLICT (organization, trace_id) DO UPDATE SET
    waiting_since = CASE WHEN t.version > t.done THEN t.waiting_since ELSE excluded.last_at END,
    version = t.version + 1, last_at = excluded.last_at, not_before = 0;

-- due_traces: traces with spans of which no run was made, that are quiet or have waited long enough
SELECT organization, trace_id, version, done, first_at, last_at, runs, note, coalesce((
    SELECT d.spans FROM {schema}.ledger_dropped d
    WHERE d.organization = t.organization AND d.trace_id = t.trace_id
), 0) AS dropped
FROM {schema}.ledger_traces t
WHERE version > done AND not_before <= %(now)s::float8
    AND (last_at <= %(quiet)s::float8 OR waiting_since <= %(since)s::float8)
ORDER BY waiting_since LIMIT %(limit)s::bigint;

-- trace_spans: the spans of a trace that are still kept whole
SELECT span FROM {schema}.ledger_spans
WHERE organization = %s AND trace_id = %s AND length(span) > 0;

-- drop_spans: keep only the keys of the spans of traces that ended long ago, and are done
WITH old AS (
    SELECT organization, trace_id, last_at FROM {schema}.ledger_traces t
    WHERE version = done AND last_at >= %(after)s::float8 AND last_at < %(before)s::float8
        AND position('"refused"' IN note) = 0 AND NOT EXISTS (
            SELECT 1 FROM {schema}.ledger_dropped d
            WHERE d.organization = t.organization AND d.trace_id = t.trace_id
                AND d.last_at >= t.last_at
        )
    ORDER BY last_at LIMIT %(limit)s::bigint FOR UPDATE OF t SKIP LOCKED
), emptied AS (
    UPDATE {schema}.ledger_spans s SET span = ''::bytea FROM old
    WHERE s.organization = old.organization AND s.trace_id = old.trace_id AND length(s.span) > 0
    RETURNING s.organization, s.trace_id
)
INSERT INTO {schema}.ledger_dropped AS d (organization, trace_id, spans, last_at)
SELECT organization, trace_id, (
    SELECT count(*) FROM emptied e
    WHERE e.organization = old.organization AND e.trace_id = old.trace_id
), last_at FROM old
ON CONFLICT (organization, trace_id) DO UPDATE SET
    spans = d.spans + excluded.spans, last_at = excluded.last_at
RETURNING 1;

-- claim_calls: keep by which source calls were told first
INSERT INTO {schema}.ledger_calls (organization, call, source)
SELECT %(organization)s::text, call, %(source)s::text
FROM unnest(%(calls)s::text[]) AS call ORDER BY call
ON CONFLICT DO NOTHING;

-- calls_of_others: those of these calls that another source told first
SELECT call FROM {schema}.ledger_calls
WHERE organization = %(organization)s::text AND call = ANY(%(calls)s::text[])
    AND source <> %(source)s::text;

-- retry_traces: let runs be made again of traces of which that was refused
UPDATE {schema}.ledger_traces
SET version = version + 1, waiting_since = %(now)s::float8, not_before = 0
WHERE organization = %(organization)s::text AND position('"refused"' IN note) > 0
    AND (%(traces)s::text[] IS NULL OR trace_id = ANY(%(traces)s::text[]))
RETURNING 1;

-- retrying: how many refused traces are due again
SELECT count(*) FROM {schema}.ledger_traces
WHERE organization = %(organization)s::text AND version > done AND not_before <= %(now)s::float8
    AND position('"refused"' IN note) > 0;

-- trace: what is known of a trace
SELECT organization, trace_id, version, done, first_at, last_at, runs, note, coalesce((
    SELECT d.spans FROM {schema}.ledger_dropped d
    WHERE d.organization = t.organization AND d.trace_id = t.trace_id
), 0) AS dropped
FROM {schema}.ledger_traces t WHERE organization = %s AND trace_id = %s;

-- save_traces: what was made of traces
UPDATE {schema}.ledger_traces t
SET runs = g.runs, note = g.note, done = g.done, waiting_since = %(now)s::float8,
    not_before = CASE WHEN t.version = g.version THEN g.not_before ELSE 0 END
FROM unnest(
    %(organization)s::text[], %(trace_id)s::text[], %(version)s::bigint[], %(done)s::bigint[],
    %(runs)s::text[], %(note)s::text[], %(not_before)s::float8[]
) AS g (organization, trace_id, version, done, runs, note, not_before)
WHERE t.organization = g.organization AND t.trace_id = g.trace_id;

-- latest_traces: traces, the latest first
SELECT organization, trace_id, version, done, first_at, last_at, runs, note, coalesce((
    SELECT d.spans FROM {schema}.ledger_dropped d
    WHERE d.organization = t.organization AND d.trace_id = t.trace_id
), 0) AS dropped
FROM {schema}.ledger_traces t
WHERE organization = %s ORDER BY last_at DESC LIMIT %s::bigint;

-- count_spans: how many spans and traces there are of an organization
SELECT (SELECT count(*) FROM {schema}.ledger_spans WHERE organization = %(organization)s::text),
    count(*), count(*) FILTER (WHERE version > done),
    count(*) FILTER (WHERE version = done AND runs = '[]'),
    count(*) FILTER (WHERE position('"refused"' IN note) > 0),
    (
        SELECT coalesce(sum(spans), 0)::bigint FROM {schema}.ledger_dropped
        WHERE organization = %(organization)s::text
    )
FROM {schema}.ledger_traces WHERE organization = %(organization)s::text;
