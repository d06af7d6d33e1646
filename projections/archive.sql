-- begin: begin a segment's events of a topic, their facts as columns. Not all in one table of all
-- columns, which takes twice as long to fill, and must then be sorted by topic.
CREATE OR REPLACE TEMP TABLE {segment} AS SELECT * EXCLUDE (facts) FROM feed.main.{table} LIMIT 0;

-- begin_strange: and those of topics that the catalogue does not know
CREATE OR REPLACE TEMP TABLE {segment} (
    position BIGINT, stream VARCHAR, version BIGINT, topic VARCHAR, doubtful BOOLEAN
);

-- raw_columns: and everything as it was recorded
CREATE OR REPLACE TEMP TABLE segment_raw AS
SELECT position, facts, contents FROM log_chunk LIMIT 0;

-- add: the next events of a topic
INSERT INTO {segment} BY NAME SELECT * EXCLUDE (facts) FROM feed.main.{table};

-- add_raw: and their bytes
INSERT INTO segment_raw SELECT position, facts, contents FROM log_chunk;

-- write_columns: topic after topic; a row group is what a thread reads at a time, of one topic mostly
COPY ({columns}) TO $path (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440);

-- of_topic: the events of a topic, in their order
FROM {segment}

-- and: and of another one, side by side
UNION ALL BY NAME

-- write_raw: read for single events only
COPY segment_raw TO $path (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480);

-- spill: a segment that is larger than memory is written by way of the disk
SET temp_directory = $folder;

-- memory: for the tables of a segment
SET memory_limit = $limit;

-- quiet: no bar of DuckDB's own is drawn
SET enable_progress_bar = FALSE;

-- part: what files hold of some events
(FROM read_parquet([{files}]) WHERE position > {after} AND position <= {upto})

-- columns: events as the archive has them, as columns
(SELECT *, NULL::BLOB AS facts FROM {part})

-- facts: what another version made columns of, as the log has it
(SELECT c.position, c.stream, c.version, c.topic, r.facts
FROM {columns} c JOIN {raw} r ON r.position = c.position)

-- unread: what Python must see, with its facts
CREATE OR REPLACE TEMP TABLE unread AS
SELECT b.position, b.stream, b.version, b.topic, r.facts
FROM feed.main.batch b ANTI JOIN left_out l ON l.position = b.position
JOIN {part} r ON r.position = b.position
WHERE b.doubtful;

-- cut: where a batch of so many events ends
SELECT max(position) FROM (
    SELECT position FROM read_parquet($columns)
    WHERE position > $after AND position <= $upto ORDER BY position LIMIT $limit);
