-- files: Parquet files as a relation; what the names of their folders look like is no column
read_parquet([{paths}], hive_partitioning = FALSE)

-- keep_columns: a part of a segment, its facts as columns, topic after topic. In files, as tables that
-- do not fit into memory are moved to the disk and back with every insert.
COPY ({tables}) TO $path (FORMAT parquet, COMPRESSION lz4_raw);

-- of_table: the events of a topic, in their order. Not all in one table of all columns, which takes
-- twice as long to fill, and must then be sorted by topic.
SELECT * EXCLUDE (facts) FROM feed.main.{table}

-- and: and of another one, side by side
UNION ALL BY NAME

-- keep_raw: and everything as it was recorded
COPY (SELECT position, facts, contents FROM log_chunk) TO $path (FORMAT parquet, COMPRESSION lz4_raw);

-- write_columns: topic after topic; a row group is what a thread reads at a time, of one topic mostly.
-- It is put together in memory, so long events are fewer.
COPY ({topics}) TO $path
(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440, ROW_GROUP_SIZE_BYTES '64MiB');

-- of_topic: what the parts have of a topic
FROM {files} WHERE topic = {topic}

-- strange: and of those that the catalogue does not know
FROM {files} WHERE topic NOT IN ({topics})

-- write_raw: read for single events only
COPY (FROM {files}) TO $path
(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480, ROW_GROUP_SIZE_BYTES '64MiB');

-- spill: a segment that is larger than memory is written by way of the disk
SET temp_directory = $folder;

-- memory: for a part of a segment, and for what is read ahead of its files
SET memory_limit = $limit;

-- one_thread: a part is many short statements, beside which the next one is read; and to write a
-- file takes twice as long with two, which want more memory than there is
SET threads = 1;

-- by_size: row groups are bounded in bytes only where their order may change; one thread keeps it
SET preserve_insertion_order = FALSE;

-- part: what files hold of some events
(FROM {files} WHERE position > {after} AND position <= {upto})

-- columns: events as the archive has them, as columns
(SELECT *, NULL::BLOB AS facts FROM {part})

-- facts: the same as the log has them
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

-- bytes: what was recorded of them, without contents
SELECT position, facts, NULL FROM {files}
SEMI JOIN (SELECT unnest($positions::BIGINT[]) AS position) USING (position);

-- bytes_and_contents: and with them
SELECT position, facts, contents FROM {files}
SEMI JOIN (SELECT unnest($positions::BIGINT[]) AS position) USING (position);
