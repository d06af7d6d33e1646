-- positions: the highest positions that the rows of a table speak of
SELECT max(COLUMNS(lambda c: list_contains($columns, c))) FROM query_table($table);

-- some_runs: runs by chance
SELECT {run} FROM {table} ORDER BY random() LIMIT $count;

-- rows_of: what a table says of some runs, as text
SELECT COLUMNS(*)::VARCHAR FROM {table} WHERE {run} IN (SELECT unnest($runs::VARCHAR[]));
