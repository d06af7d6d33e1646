-- positions: the highest positions that the rows of a table speak of
SELECT max(COLUMNS(lambda c: suffix(c, 'position'))) FROM query_table($table);

-- position_columns: tables that speak of positions
SELECT DISTINCT table_name FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = 'main'
    AND suffix(column_name, 'position') AND table_name <> 'generation'
ORDER BY table_name;

-- parked: the first stream whose events are left out, and how many there are
SELECT stream, position, topic, reason, count(*) OVER () FROM parked_runs ORDER BY position LIMIT 1;

-- some_runs: runs by chance
SELECT run_id FROM runs ORDER BY random() LIMIT $count;

-- rows_of: what a table says of some runs, as text
SELECT COLUMNS(*)::VARCHAR FROM query_table($table)
WHERE run_id IN (SELECT unnest($runs::VARCHAR[]));
