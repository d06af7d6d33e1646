-- settings: times are UTC
SET TimeZone = 'UTC';

-- create: the description of a generation; see runledger's docs on replay
CREATE TABLE generation (
    layout INTEGER NOT NULL,
    number INTEGER NOT NULL,
    position BIGINT NOT NULL,
    built_at TIMESTAMPTZ NOT NULL,
    built_from VARCHAR NOT NULL,
    built_by VARCHAR NOT NULL,
    events_digest VARCHAR NOT NULL
);

-- create_marks: events of the log that the rows were made from, by which the log is recognized; a
-- row without a digest is a checkpoint of a version that stored only the position
CREATE TABLE generation_marks (
    position BIGINT NOT NULL,
    event_id VARCHAR,
    digest VARCHAR
);

-- mark_checkpoint: mark the checkpoint of such a version; the log's event is assumed to be the
-- projected one
INSERT INTO generation_marks SELECT position, NULL, NULL FROM generation WHERE position > 0;

-- begin: an empty generation
INSERT INTO generation
VALUES ($layout, $number, 0, now(), $built_from, $built_by, $events_digest);

-- has_generation: no rows; an error if the file has no generation, or another program's table of
-- that name
SELECT layout, number, position, built_from FROM generation LIMIT 0;

-- is_published: whether the file is a published copy, which is only for readers
SELECT count(*) FROM duckdb_tables()
WHERE table_name = 'published' AND database_name = current_database() AND NOT temporary;

-- layout: the layout of the generation's own tables
SELECT layout FROM generation;

-- about: the description of the generation
SELECT layout, number, position, built_at, built_from, built_by, events_digest FROM generation;

-- position: the checkpoint
SELECT position FROM generation;

-- has_marks: whether the file has marks; a file of an older version that is only read has none
SELECT count(*) FROM duckdb_tables()
WHERE table_name = 'generation_marks' AND database_name = current_database() AND NOT temporary;

-- unmarked: the checkpoint, if it was not stored together with its mark
SELECT position FROM generation
WHERE position > 0 AND position NOT IN (SELECT position FROM generation_marks);

-- advance: move the checkpoint in the transaction that writes its rows
UPDATE generation SET position = $position;

-- renumber: give the generation another number
UPDATE generation SET number = $number;

-- describe: store the description of a changed copy
UPDATE generation SET number = $number, built_from = $built_from, built_by = $built_by,
    events_digest = $events_digest, built_at = now();

-- count: how many rows a table holds; joined to one statement for all of them
SELECT {name} AS table_name, count(*) AS rows FROM {table};

-- checkpoint: write the write-ahead log into the file, so that no separate log file remains
CHECKPOINT;
