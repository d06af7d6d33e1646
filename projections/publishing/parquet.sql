-- utc: days are UTC days, independent of the machine's time zone
SET TimeZone = 'UTC';

-- attach: the read models that are exported
ATTACH $path AS source (READ_ONLY);

-- use: make their tables available by unqualified names
USE source;

-- tables: each with the column that determines the day of a row: `day`, else the first time that
-- every row has, else the first time of a row of a run; NULL if there is none
SELECT table_name, coalesce(
    any_value(column_name) FILTER (column_name = 'day'),
    arg_min(column_name, column_index) FILTER (is_time AND NOT is_nullable),
    arg_min(column_name, column_index) FILTER (is_time AND of_run)) AS clock
FROM (
    SELECT *, data_type = 'TIMESTAMP WITH TIME ZONE' AS is_time,
        bool_or(column_name = 'born') OVER (PARTITION BY table_name) AS of_run
    FROM duckdb_columns()
    WHERE database_name = 'source' AND table_name NOT IN (
        'generation', 'generation_models', 'generation_marks', 'published')
)
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
