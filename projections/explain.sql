-- row: one row of a small table, by its key, as text
SELECT COLUMNS(* EXCLUDE (_key))::VARCHAR
FROM (
    SELECT *, json_array(*COLUMNS(lambda c: list_contains($key, c))) AS _key
    FROM query_table($table)
)
WHERE json_extract_string(_key, '$[*]') = $value::VARCHAR[];

-- sharing: runs that agree with a key as far as it speaks of runs, those that changed first
SELECT run_id
FROM (
    SELECT run_id, born, json_array(*COLUMNS(lambda c: list_contains($shared, c))) AS _key
    FROM query_table('runs')
)
WHERE json_extract_string(_key, '$[*]') = $value::VARCHAR[]
ORDER BY run_id NOT IN (SELECT c.run_id FROM changed_runs c), born DESC LIMIT $limit;

-- run_columns: what a key and the runs can have in common
SELECT column_name FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = 'main' AND table_name = 'runs';
