-- columns: begin a segment; its facts as columns
CREATE OR REPLACE TEMP TABLE segment_columns AS
SELECT * EXCLUDE (facts) FROM typed_facts('log_chunk') LIMIT 0;

-- raw: and everything as it was recorded
CREATE OR REPLACE TEMP TABLE segment_raw AS
SELECT position, facts, contents FROM log_chunk LIMIT 0;

-- add_columns: the next events of the segment
INSERT INTO segment_columns SELECT * EXCLUDE (facts) FROM typed_facts('log_chunk');

-- add_raw: and their bytes
INSERT INTO segment_raw SELECT position, facts, contents FROM log_chunk;

-- write_columns: a row group is what a thread reads at a time
COPY segment_columns TO $path (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440);

-- write_raw: read for single events only
COPY segment_raw TO $path (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480);

-- spill: a segment that is larger than memory is written by way of the disk
SET temp_directory = $folder;

-- memory: for the tables of a segment
SET memory_limit = $limit;

-- columns_of: the files of the batch
SET VARIABLE archive_columns = $files;

-- raw_of: and those beside them
SET VARIABLE archive_raw = $files;

-- after: where the batch begins
SET VARIABLE archive_after = $position;

-- upto: and where it ends
SET VARIABLE archive_upto = $position;

-- load: the batch is what the archive holds as columns
CREATE OR REPLACE TABLE feed.parsed AS
SELECT *, NULL::BLOB AS facts FROM read_parquet(getvariable('archive_columns'))
WHERE position > getvariable('archive_after') AND position <= getvariable('archive_upto');

-- unread: what Python must see, with its facts
CREATE OR REPLACE TEMP TABLE unread AS
SELECT t.position, t.stream, t.version, t.topic, r.facts
FROM typed t LEFT JOIN revisions USING (topic)
JOIN read_parquet(getvariable('archive_raw')) r ON r.position = t.position
WHERE (t.doubtful OR t.revision IS DISTINCT FROM today)
    AND r.position > getvariable('archive_after') AND r.position <= getvariable('archive_upto')
ORDER BY t.position;

-- archived_log: what another version made columns of is read from the facts
CREATE OR REPLACE TEMP VIEW archived_log AS
SELECT c.position, c.stream, c.version, c.topic, r.facts
FROM read_parquet(getvariable('archive_columns'), union_by_name = TRUE) c
JOIN read_parquet(getvariable('archive_raw')) r ON r.position = c.position
WHERE c.position > getvariable('archive_after') AND c.position <= getvariable('archive_upto')
    AND r.position > getvariable('archive_after') AND r.position <= getvariable('archive_upto');

-- parse: into the table that batches from the store are in
CREATE OR REPLACE TABLE feed.parsed AS
SELECT * EXCLUDE (today, required)
    REPLACE (CASE WHEN doubtful OR revision IS DISTINCT FROM today THEN facts END AS facts)
FROM typed_facts('archived_log') LEFT JOIN revisions USING (topic);

-- drop_archived_log: nothing reads it twice
DROP VIEW archived_log;

-- cut: where a batch of so many events ends
SELECT max(position) FROM (
    SELECT position FROM read_parquet($columns)
    WHERE position > $after AND position <= $upto ORDER BY position LIMIT $limit);
