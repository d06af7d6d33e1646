-- feed: where event tables lie, in memory: one thread fills them while another folds the last batch
ATTACH IF NOT EXISTS ':memory:' AS feed;

-- search: the read models' SQL finds them there under their names alone
SET search_path = 'main,feed.main';

-- read: keep a batch as it comes
CREATE OR REPLACE TABLE feed.main.{table} AS FROM {source};

-- size: how much came
SELECT count(*), max(position), sum(octet_length(facts)) FROM feed.main.{table};

-- few: the events, where they are few
SELECT position, stream, version, topic, facts FROM {source};

-- topics: what a batch has
SELECT topic, count(*), max(position) FROM {source} GROUP BY topic;

-- filled: fill an event table, where the fold looks for it
CREATE OR REPLACE TABLE feed.main.{table} AS

-- filled_apart: or one beside it, for this connection alone
CREATE OR REPLACE TEMP TABLE {table} AS

-- typed: a column for each fact; one parse per event, all of which are taken to be in today's shape
SELECT position, stream, version, topic, unnest(json_transform(decode(facts), $shape)),
    FALSE AS doubtful, NULL::BLOB AS facts
FROM {source} WHERE topic = $topic;

-- sound: whether they are: all of this revision, no fact missing that is never left out, and no more
-- keys than values. Counted column by column, which is cheaper than event by event; as no event has
-- more values than keys, none can make up for another.
SELECT count(*) FILTER (revision = $revision) = count(*)
    AND {required} = $required * count(*)
    AND {all} = (SELECT sum(len(json_keys(decode(facts)))) FROM {source} WHERE topic = $topic)
FROM feed.main.{table};

-- typed_one_by_one: the same of events that are not. A value that is not of its type becomes NULL,
-- and so does everything where the facts are no JSON. `doubtful` notices: the event is of another
-- revision, a fact is missing that is never left out, or there are more keys than values. The facts
-- themselves stay where Python must see them.
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

-- has: 1 for a fact that is there
({fact} IS NOT NULL)::UTINYINT;

-- have: how many events have it
count({fact});

-- viewed: what has the columns already is read where it lies, and only what is asked for
CREATE OR REPLACE VIEW feed.main.{table} AS
SELECT {columns}, facts FROM {source} WHERE topic = {topic};

-- kinds: what lies where event tables are filled
SELECT table_name, FALSE FROM duckdb_tables() WHERE database_name = 'feed'
UNION ALL SELECT view_name, TRUE FROM duckdb_views() WHERE database_name = 'feed' AND NOT internal;

-- drop_view: make room for a table
DROP VIEW feed.main.{name};

-- drop_table: or for a view
DROP TABLE feed.main.{name};

-- untyped: events of topics that the catalogue does not know
SELECT position, stream, version, topic, TRUE AS doubtful, facts FROM {source}
WHERE NOT list_contains($topics, topic);

-- none: no events, with the columns that they would have
SELECT NULL::BIGINT AS position, NULL::VARCHAR AS stream, NULL::BIGINT AS version,
    NULL::VARCHAR AS topic, unnest(json_transform('{}', $shape)), NULL::BOOLEAN AS doubtful,
    NULL::BLOB AS facts
LIMIT 0;

-- batch: every event, with what events have in common; `part` follows for each table
CREATE OR REPLACE VIEW feed.main.batch AS

-- batch_apart: every event that is projected
CREATE OR REPLACE TEMP VIEW batch AS

-- nothing: the columns of both
SELECT NULL::BIGINT AS position, NULL::VARCHAR AS stream, NULL::BIGINT AS version,
    NULL::VARCHAR AS topic, NULL::TIMESTAMPTZ AS occurred_at, NULL::TIMESTAMPTZ AS recorded_at,
    NULL::VARCHAR AS organization, NULL::VARCHAR AS agent_id, NULL::VARCHAR AS project_id,
    NULL::BIGINT AS born, NULL::BOOLEAN AS late, NULL::BOOLEAN AS doubtful, NULL::BLOB AS facts
WHERE FALSE

-- part: the events of a table
UNION ALL BY NAME SELECT {columns} FROM {table}

-- unread: how many events Python must see
SELECT count(*) FROM feed.main.batch WHERE doubtful;

-- look: a transaction sees the event tables as they are when it looks for the first time
SELECT count(*) FROM feed.main.run_created;

-- loaded: every event of the batch by its place
CREATE OR REPLACE TEMP TABLE loaded AS
SELECT position, stream, version, topic FROM feed.main.batch;

-- left_out: what is not projected; nothing, to begin with
CREATE OR REPLACE TEMP TABLE left_out (position BIGINT);

-- unread_events: what Python must see of the rest
CREATE OR REPLACE TEMP TABLE unread AS
SELECT position, stream, version, topic, facts FROM feed.main.batch
ANTI JOIN left_out USING (position)
WHERE doubtful;

-- give_unread: give it to Python
FROM unread ORDER BY position;

-- misfits: events that the catalogue takes, with a value that its column does not, such as a number
-- beyond 64 bits
SELECT position FROM {table} WHERE doubtful;

-- projected: the events of a table that are projected
FROM feed.main.{table} ANTI JOIN left_out USING (position) WHERE NOT doubtful

-- reshaped: with those that Python brought into today's shape
UNION ALL BY NAME FROM {table} ANTI JOIN left_out USING (position) WHERE NOT doubtful

-- hidden: the tables before which such ones lie
SELECT table_name FROM duckdb_tables() WHERE temporary AND table_name IN (
    SELECT table_name FROM duckdb_tables() WHERE database_name = 'feed'
    UNION ALL SELECT view_name FROM duckdb_views() WHERE database_name = 'feed');

-- uncover_batch: everything is projected
DROP VIEW IF EXISTS temp.main.batch;

-- uncover: as it was read
DROP TABLE IF EXISTS temp.main.{table};

-- deleted: the runs that the batch deletes, of
CREATE OR REPLACE TEMP TABLE deleted AS
SELECT stream AS run_id, any_value(born) AS born, any_value(organization) AS organization,
    any_value(agent_id) AS agent_id, max(position) AS position
FROM (

-- by_run: a row per run
) GROUP BY stream;

-- leave_out_deleted: nothing of a run that the batch deletes is projected from it
INSERT INTO left_out
SELECT l.position FROM loaded l SEMI JOIN deleted d ON l.stream = d.run_id;

-- given: a fact that is never left out, where types cannot say so
CREATE OR REPLACE TEMP MACRO given(fact) AS
    CASE WHEN fact IS NULL THEN error('a name is missing in a message') ELSE fact END;
