-- row: one row of a small table, by its key, as text
SELECT COLUMNS(* EXCLUDE (_key))::VARCHAR
FROM (
    SELECT *, json_array(*COLUMNS(lambda c: list_contains($key, c))) AS _key
    FROM query_table($table)
)
WHERE json_extract_string(_key, '$[*]') = $value::VARCHAR[];

-- keys: the keys of all rows of a small table
SELECT to_json(struct_pack(*COLUMNS(lambda c: list_contains($key, c))))::VARCHAR
FROM query_table($table);

-- columns: the columns of every table
SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = 'main' GROUP BY table_name;

-- sharing: runs whose rows match a key in its columns; first those of its day, then those that
-- changed
SELECT {run}
FROM (
    SELECT {run}, {born}, {created},
        json_array(*COLUMNS(lambda c: list_contains($shared, c))) AS _key
    FROM query_table($table)
)
WHERE json_extract_string(_key, '$[*]') = $value::VARCHAR[]
GROUP BY {run}
ORDER BY bool_or({created}::DATE = $day::DATE) DESC NULLS LAST,
    {run} NOT IN (SELECT c.run_id FROM changed_runs c), max({born}) DESC
LIMIT $limit;
