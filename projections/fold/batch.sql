-- feed: the in-memory database of the event tables: one thread fills them while another folds the
-- previous batch
ATTACH IF NOT EXISTS ':memory:' AS feed;

-- search: the read models' SQL finds the event tables there by unqualified names
SET search_path = 'main,feed.main';

-- read: store a batch as it is read
CREATE OR REPLACE TABLE feed.main.{table} AS FROM {source};

-- size: the number, last position and size in bytes of the events that were read
SELECT count(*), max(position), sum(octet_length(facts)) FROM feed.main.{table};

-- few: the events, if there are only a few
SELECT position, stream, version, topic, facts FROM {source};

-- topics: the topics of a batch
SELECT topic, count(*), max(position) FROM {source} GROUP BY topic;

-- filled: fill an event table, in the schema that the fold reads
CREATE OR REPLACE TABLE feed.main.{table} AS

-- filled_apart: fill a temporary event table, for this connection only
CREATE OR REPLACE TEMP TABLE {table} AS

-- typed: a column for each fact; one parse per event; all events are assumed to have the current
-- shape
SELECT position, stream, version, topic, unnest(json_transform(decode(facts), $shape)),
    FALSE AS doubtful, NULL::BLOB AS facts
FROM {source} WHERE topic = $topic;

-- sound: whether this assumption holds: all of this revision, no required fact missing, and no more
-- keys than values. Counted by column, which is cheaper than by event; no event has more values
-- than keys, so one event cannot compensate for another.
SELECT count(*) FILTER (revision = $revision) = count(*)
    AND {required} = $required * count(*)
    AND {all} = (SELECT sum(len(json_keys(decode(facts)))) FROM {source} WHERE topic = $topic)
FROM feed.main.{table};

-- typed_one_by_one: the same for events of other shapes. A value that does not have its type
-- becomes NULL, and so do all values if the facts are not JSON. `doubtful` marks such an event: it
-- has another revision, a required fact is missing, or it has more keys than values. Its facts are
-- kept, because Python must inspect them.
SELECT * EXCLUDE (facts, keys), CASE WHEN doubtful THEN facts END AS facts
FROM (
    SELECT *, coalesce(revision <> $revision OR {required} <> $required
        OR keys <> $required + {optional}, TRUE) AS doubtful
    FROM (
        SELECT position, stream, version, topic, facts, unnest(TRY(json_transform(text, $shape))),
            TRY(len(json_keys(text))) AS keys
        FROM (
            SELECT position, stream, version, topic, facts, TRY(decode(facts)) AS text
            FROM {source} WHERE topic = $topic
        )
    )
);

-- has: 1 if an event has the fact
({fact} IS NOT NULL)::UTINYINT;

-- have: how many events have the fact
count({fact});

-- viewed: events that already have the columns are read in place, and only the columns that are
-- used
CREATE OR REPLACE VIEW feed.main.{table} AS
SELECT {columns}, facts FROM {source} WHERE topic = {topic};

-- kinds: the tables and views in the schema of the event tables
SELECT table_name, FALSE FROM duckdb_tables() WHERE database_name = 'feed'
UNION ALL SELECT view_name, TRUE FROM duckdb_views() WHERE database_name = 'feed' AND NOT internal;

-- drop_view: make room for a table
DROP VIEW feed.main.{name};

-- drop_table: make room for a view
DROP TABLE feed.main.{name};

-- untyped: events of topics that the catalogue does not know
SELECT position, stream, version, topic, TRUE AS doubtful, facts FROM {source}
WHERE NOT list_contains($topics, topic);

-- none: an event table without rows
SELECT NULL::BIGINT AS position, NULL::VARCHAR AS stream, NULL::BIGINT AS version,
    NULL::VARCHAR AS topic, unnest(json_transform('{}', $shape)), NULL::BOOLEAN AS doubtful,
    NULL::BLOB AS facts
LIMIT 0;

-- batch: every event, with the columns that all events share; `part` follows for each table
CREATE OR REPLACE VIEW feed.main.batch AS

-- batch_apart: every event that is projected
CREATE OR REPLACE TEMP VIEW batch AS

-- nothing: the columns of both, without rows
SELECT NULL::BIGINT AS position, NULL::VARCHAR AS stream, NULL::BIGINT AS version,
    NULL::VARCHAR AS topic, NULL::TIMESTAMPTZ AS occurred_at, NULL::TIMESTAMPTZ AS recorded_at,
    NULL::VARCHAR AS organization, NULL::VARCHAR AS agent_id, NULL::VARCHAR AS project_id,
    NULL::BIGINT AS born, NULL::BOOLEAN AS late, NULL::BOOLEAN AS doubtful, NULL::BLOB AS facts
WHERE FALSE

-- part: the events of a table
UNION ALL BY NAME SELECT {columns} FROM {table}

-- unread: how many events Python must inspect
SELECT count(*) FROM feed.main.batch WHERE doubtful;

-- look: a transaction sees the event tables as they are at its first read
SELECT count(*) FROM feed.main.run_created;

-- loaded: every event of the batch by its position
CREATE OR REPLACE TEMP TABLE loaded AS
SELECT position, stream, version, topic FROM feed.main.batch;

-- left_out: the events that are not projected; empty at first
CREATE OR REPLACE TEMP TABLE left_out (position BIGINT);

-- unread_events: the other events that Python must inspect
CREATE OR REPLACE TEMP TABLE unread AS
SELECT position, stream, version, topic, facts FROM feed.main.batch
ANTI JOIN left_out USING (position)
WHERE doubtful;

-- give_unread: return these events to Python
FROM unread ORDER BY position;

-- misfits: events that the catalogue accepts, with a value that its column does not, such as a
-- number beyond 64 bits
SELECT position FROM {table} WHERE doubtful;

-- projected: the events of a table that are projected
FROM feed.main.{table} ANTI JOIN left_out USING (position) WHERE NOT doubtful

-- reshaped: these events, and those that Python upcast to the current shape
UNION ALL BY NAME FROM {table} ANTI JOIN left_out USING (position) WHERE NOT doubtful

-- hidden: the tables that temporary ones shadow
SELECT table_name FROM duckdb_tables() WHERE temporary AND table_name IN (
    SELECT table_name FROM duckdb_tables() WHERE database_name = 'feed'
    UNION ALL SELECT view_name FROM duckdb_views() WHERE database_name = 'feed');

-- uncover_batch: drop the temporary batch, so that everything is projected
DROP VIEW IF EXISTS temp.main.batch;

-- uncover: drop a temporary table, so that the loaded one is read
DROP TABLE IF EXISTS temp.main.{table};

-- deleted: the runs that the batch deletes, in
CREATE OR REPLACE TEMP TABLE deleted AS
SELECT stream AS run_id, any_value(born) AS born, any_value(organization) AS organization,
    any_value(agent_id) AS agent_id, max(position) AS position
FROM (

-- by_run: a row per run
) GROUP BY stream;

-- leave_out_deleted: no event of a run that the batch deletes is projected
INSERT INTO left_out
SELECT l.position FROM loaded l SEMI JOIN deleted d ON l.stream = d.run_id;

-- given: a condition that a required fact is present, which types cannot express
CREATE OR REPLACE TEMP MACRO given(fact) AS
    CASE WHEN fact IS NULL THEN error('a name is missing in a message') ELSE fact END;

-- tier: the service tier that a provider reported, in lower case; empty if it reported none
CREATE OR REPLACE TEMP MACRO service_tier(details) AS
    lower(coalesce(details ->> '$.service_tier',
        CASE WHEN details ->> '$.speed' = 'fast' THEN 'fast' END, ''));

-- moment: when the request of a step began, in UTC, by which its price is dated; when the step ended
-- if no start is recorded, or one of a clock that does not count from 1970
CREATE OR REPLACE TEMP MACRO requested_at(request_ns, step_ns, ended_at) AS
    CASE WHEN request_ns >= 946684800000000000 THEN make_timestamp(request_ns // 1000)
        WHEN step_ns >= 946684800000000000 THEN make_timestamp(step_ns // 1000)
        ELSE ended_at AT TIME ZONE 'UTC' END;
