-- settings: times are UTC
SET TimeZone = 'UTC';

-- create: what a generation knows of itself; see runledger's docs on replay
CREATE TABLE generation (
    layout INTEGER NOT NULL,
    number INTEGER NOT NULL,
    position BIGINT NOT NULL,
    built_at TIMESTAMPTZ NOT NULL,
    built_from VARCHAR NOT NULL,
    built_by VARCHAR NOT NULL,
    events_digest VARCHAR NOT NULL
);

-- create_marks: events of the log that the rows were made from, by which it is known again; without
-- a digest, a checkpoint of a version that kept the position alone
CREATE TABLE generation_marks (
    position BIGINT NOT NULL,
    event_id VARCHAR,
    digest VARCHAR
);

-- mark_checkpoint: of such a version; its event is taken to be the one that the log has
INSERT INTO generation_marks SELECT position, NULL, NULL FROM generation WHERE position > 0;

-- begin: an empty generation
INSERT INTO generation
VALUES ($layout, $number, 0, now(), $built_from, $built_by, $events_digest);

-- has_generation: whether the file holds one; a table of that name may be another program's
SELECT count(*) = 4 FROM duckdb_columns()
WHERE table_name = 'generation' AND database_name = current_database()
    AND column_name IN ('layout', 'number', 'position', 'built_from');

-- is_published: whether the file is a copy that is for readers only
SELECT count(*) FROM duckdb_tables()
WHERE table_name = 'published' AND database_name = current_database() AND NOT temporary;

-- layout: how the generation's own tables are laid out
SELECT layout FROM generation;

-- about: which generation this is
SELECT layout, number, position, built_at, built_from, built_by, events_digest FROM generation;

-- position: the checkpoint
SELECT position FROM generation;

-- has_marks: whether the file has marks; one of an older version that is only read has none
SELECT count(*) FROM duckdb_tables()
WHERE table_name = 'generation_marks' AND database_name = current_database() AND NOT temporary;

-- unmarked: the checkpoint, if it was not put there together with its event
SELECT position FROM generation
WHERE position > 0 AND position NOT IN (SELECT position FROM generation_marks);

-- advance: the checkpoint moves in the transaction of the rows it vouches for
UPDATE generation SET position = $position;

-- renumber: give the generation another number
UPDATE generation SET number = $number;

-- describe: say what was made of a copy
UPDATE generation SET number = $number, built_from = $built_from, built_by = $built_by,
    events_digest = $events_digest, built_at = now();

-- count: how many rows a table holds; joined to one statement for all of them
SELECT {name} AS table_name, count(*) AS rows FROM {table};

-- checkpoint: write the file whole, so that no log of writes lies beside it
CHECKPOINT;
