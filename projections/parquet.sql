-- utc: days are those of UTC, whatever the machine says
SET TimeZone = 'UTC';

-- attach: the read models that are exported
ATTACH $path AS source (READ_ONLY);

-- use: their tables by name
USE source;

-- tables: each with the column that says on which day a row lies: `day`, or the first time that
-- every row has; NULL where there is none
SELECT table_name,
    arg_min(column_name, (column_name <> 'day', column_index)) FILTER (
        column_name = 'day' OR (data_type = 'TIMESTAMP WITH TIME ZONE' AND NOT is_nullable)) AS clock
FROM duckdb_columns()
WHERE database_name = 'source' AND table_name NOT IN ('generation', 'generation_models')
GROUP BY table_name ORDER BY table_name;

-- whole: a table in one file
COPY (FROM query_table($table)) TO $path (FORMAT parquet, COMPRESSION zstd);

-- by_day: a table that has days
COPY (FROM query_table($table)) TO $path
(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day), WRITE_PARTITION_COLUMNS true);

-- by_clock: a table that has times; the days are those of UTC
COPY (
    SELECT *, (COLUMNS(lambda c: c = $clock) AT TIME ZONE 'UTC')::DATE AS day
    FROM query_table($table)
) TO $path (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day), WRITE_PARTITION_COLUMNS true);

-- count: how many rows a table has
SELECT count(*) FROM query_table($table);
