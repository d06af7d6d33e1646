-- The whole store on one screen, in the schema that the store's URL names, by which every name is
-- qualified: behind a pooler no session, hence no search_path, is this process's. The column names
-- are those of the eventsourcing library: originator_id is the stream, originator_version the
-- version, notification_id the position.

-- COLLATE "C": ids are compared as bytes, whatever the database's language.
CREATE TABLE IF NOT EXISTS {schema}.ledger_events (
    notification_id bigint GENERATED ALWAYS AS IDENTITY,
    originator_id text COLLATE "C" NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    contents bytea,
    PRIMARY KEY (originator_id, originator_version)
);

CREATE UNIQUE INDEX IF NOT EXISTS ledger_events_position ON {schema}.ledger_events (notification_id);

CREATE TABLE IF NOT EXISTS {schema}.ledger_blobs (
    sha256 text COLLATE "C" PRIMARY KEY,
    media_type text NOT NULL,
    data bytea NOT NULL
);

CREATE TABLE IF NOT EXISTS {schema}.ledger_meta (
    key text PRIMARY KEY,
    value text NOT NULL
);

-- What 256 events each were when they were kept; see runledger/store/tiles.py.
CREATE TABLE IF NOT EXISTS {schema}.ledger_tiles (
    tile bigint PRIMARY KEY,
    first_position bigint NOT NULL UNIQUE,
    last_position bigint NOT NULL,
    crc bigint NOT NULL,
    leaves bytea NOT NULL,
    contents bytea NOT NULL,
    late boolean NOT NULL
);

-- Of a store of layout 1, the events that are there already get their tiles late.
INSERT INTO {schema}.ledger_meta
SELECT 'tiles_after', coalesce(max(notification_id), 0)::text FROM {schema}.ledger_events
ON CONFLICT DO NOTHING;
INSERT INTO {schema}.ledger_meta VALUES ('schema_version', '2') ON CONFLICT DO NOTHING;
UPDATE {schema}.ledger_meta SET value = '2' WHERE key = 'schema_version' AND value = '1';

-- Spans as they came, and the traces that they belong to; no part of the log.
CREATE TABLE IF NOT EXISTS {schema}.ledger_spans (
    organization text COLLATE "C" NOT NULL,
    trace_id text COLLATE "C" NOT NULL,
    span_id text COLLATE "C" NOT NULL,
    span bytea NOT NULL,
    received_at double precision NOT NULL,
    PRIMARY KEY (organization, trace_id, span_id)
);

CREATE TABLE IF NOT EXISTS {schema}.ledger_traces (
    organization text COLLATE "C" NOT NULL,
    trace_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    done bigint NOT NULL,
    first_at double precision NOT NULL,
    last_at double precision NOT NULL,
    waiting_since double precision NOT NULL,
    not_before double precision NOT NULL DEFAULT 0,
    runs text NOT NULL DEFAULT '[]',
    note text NOT NULL DEFAULT '{{}}',
    PRIMARY KEY (organization, trace_id)
);

CREATE INDEX IF NOT EXISTS ledger_traces_due ON {schema}.ledger_traces (waiting_since)
    WHERE version > done;
CREATE INDEX IF NOT EXISTS ledger_traces_last ON {schema}.ledger_traces (last_at);

-- Traces of whose spans only the keys are still kept: how many, and the last that came by then.
CREATE TABLE IF NOT EXISTS {schema}.ledger_dropped (
    organization text COLLATE "C" NOT NULL,
    trace_id text COLLATE "C" NOT NULL,
    spans bigint NOT NULL,
    last_at double precision NOT NULL,
    PRIMARY KEY (organization, trace_id)
);

-- Sessions and calls that two sources describe, and the one that told them first.
CREATE TABLE IF NOT EXISTS {schema}.ledger_calls (
    organization text COLLATE "C" NOT NULL,
    call text COLLATE "C" NOT NULL,
    source text NOT NULL,
    PRIMARY KEY (organization, call)
);

CREATE OR REPLACE FUNCTION {schema}.ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: an event is never %',
        CASE TG_OP WHEN 'UPDATE' THEN 'updated' WHEN 'DELETE' THEN 'deleted' ELSE 'truncated' END;
END
$body$;

CREATE OR REPLACE TRIGGER ledger_events_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.ledger_events
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.ledger_append_only();

-- Appends many requests in one transaction, each with its own verdict. The arguments are columns,
-- one element per event, in order; `request` numbers the append that an event belongs to.
-- Returns one row (NULL, NULL, first position, last position) for all that was recorded, and a row
-- (request, stream, expected version, found version) for every conflict.
CREATE OR REPLACE FUNCTION {schema}.ledger_append(
    request int[], stream text[], version bigint[], topic text[], facts bytea[], contents bytea[]
) RETURNS TABLE (o_request int, o_stream text, o_first bigint, o_last bigint)
LANGUAGE plpgsql SET lock_timeout = {lock_timeout} SET plan_cache_mode = 'force_generic_plan' AS $body$
BEGIN
    -- A transaction that keeps its first view would not see what the last holder of the lock
    -- committed.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the ledger appends in the isolation level read committed, found %: set '
            'default_transaction_isolation for the role', current_setting('transaction_isolation');
    END IF;
    -- The heart of the ledger: positions are drawn and committed by one writer at a time, so that
    -- the order of positions is the order of commits and a reader that moves its cursor never
    -- passes a gap. A statement of its own: the next one must see what the last holder committed.
    -- An advisory lock, not LOCK TABLE: that one would wait for every VACUUM and CREATE INDEX.
    PERFORM pg_advisory_xact_lock(hashtextextended({lock}, 0));
    RETURN QUERY
    WITH appended AS (
        SELECT * FROM unnest(request, stream, version, topic, facts, contents)
            WITH ORDINALITY AS e (request, stream, version, topic, facts, contents, place)
    ), opening AS (
        SELECT e.request, e.stream, min(e.version) - 1 AS expected
        FROM appended e GROUP BY e.request, e.stream
    ), conflict AS (
        SELECT o.request, o.stream, o.expected, h.found
        FROM opening o CROSS JOIN LATERAL (
            SELECT coalesce(max(s.originator_version), 0) AS found
            FROM {schema}.ledger_events s WHERE s.originator_id = o.stream
        ) h
        -- The library's recorders may count versions from 0: -1 is what they expect of no stream.
        WHERE h.found <> greatest(o.expected, 0)
    ), recorded AS (
        INSERT INTO {schema}.ledger_events (originator_id, originator_version, topic, state, contents)
        SELECT e.stream, e.version, e.topic, e.facts, e.contents FROM appended e
        WHERE e.request NOT IN (SELECT c.request FROM conflict c)
        ORDER BY e.place
        RETURNING notification_id
    )
    SELECT NULL::int, NULL::text, min(notification_id), max(notification_id) FROM recorded
    UNION ALL
    SELECT c.request, c.stream, c.expected, c.found FROM conflict c;
END
$body$;
