-- files: Parquet files as a relation; the names of their folders are not read as columns
read_parquet([{paths}], hive_partitioning = FALSE)

-- keep_columns: a part of a segment, its facts as columns, topic after topic. In files, because
-- tables that do not fit into memory are spilled and reloaded with every insert.
COPY ({tables}) TO $path (FORMAT parquet, COMPRESSION lz4_raw);

-- of_table: the events of a topic, in their order. One table of all columns for all topics would
-- take twice as long to fill, and would have to be sorted by topic.
SELECT * EXCLUDE (facts) FROM feed.main.{table}

-- and: the same for another topic, as more rows
UNION ALL BY NAME

-- keep_raw: all events as they were recorded
COPY (SELECT position, facts, contents FROM log_chunk) TO $path (FORMAT parquet, COMPRESSION lz4_raw);

-- write_columns: topic after topic; a thread reads one row group at a time, usually of one topic. A
-- row group is built in memory, so it has fewer events if they are long.
COPY ({topics}) TO $path
(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440, ROW_GROUP_SIZE_BYTES '64MiB');

-- of_topic: the events of a topic in all parts
FROM {files} WHERE topic = {topic}

-- strange: the events of unknown topics in all parts
FROM {files} WHERE topic NOT IN ({topics})

-- write_raw: read for single events only
COPY (FROM {files}) TO $path
(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480, ROW_GROUP_SIZE_BYTES '64MiB');

-- spill: a segment that is larger than memory is spilled to the disk
SET temp_directory = $folder;

-- memory: the limit for a part of a segment and the read-ahead of its files
SET memory_limit = $limit;

-- one_thread: a part is many short statements, during which the next part is read; writing a file
-- with two threads takes twice as long, because they need more memory than is available
SET threads = 1;

-- by_size: row groups are bounded in bytes only if their order may change; one thread preserves it
SET preserve_insertion_order = FALSE;

-- part: some events of the files
(FROM {files} WHERE position > {after} AND position <= {upto})

-- columns: events as the archive has them, as columns
(SELECT *, NULL::BLOB AS facts FROM {part})

-- facts: these events with the columns of the log
(SELECT c.position, c.stream, c.version, c.topic, r.facts
FROM {columns} c JOIN {raw} r ON r.position = c.position)

-- unread: the events that Python must inspect, with their facts
CREATE OR REPLACE TEMP TABLE unread AS
SELECT b.position, b.stream, b.version, b.topic, r.facts
FROM feed.main.batch b ANTI JOIN left_out l ON l.position = b.position
JOIN {part} r ON r.position = b.position
WHERE b.doubtful;

-- cut: the position at which a batch of this many events ends
SELECT max(position) FROM (
    SELECT position FROM {files}
    WHERE position > $after AND position <= $upto ORDER BY position LIMIT $limit);

-- stream: the events of a stream in a segment
SELECT position, stream, version, topic FROM {files}
WHERE stream = $stream AND version > $after AND version <= $upto ORDER BY version;

-- range: events of a segment, of some topics or of all, of one organization or of all
SELECT position, stream, version, topic FROM {files}
WHERE position > $after AND position <= $upto
    AND (len($topics::VARCHAR[]) = 0 OR list_contains($topics::VARCHAR[], topic))
    AND ($organization::VARCHAR IS NULL OR organization = $organization)
ORDER BY position LIMIT $limit;

-- bytes: the recorded bytes of these events, without contents
SELECT position, facts, NULL FROM {files}
SEMI JOIN (SELECT unnest($positions::BIGINT[]) AS position) USING (position);

-- bytes_and_contents: the recorded bytes with contents
SELECT position, facts, contents FROM {files}
SEMI JOIN (SELECT unnest($positions::BIGINT[]) AS position) USING (position);
