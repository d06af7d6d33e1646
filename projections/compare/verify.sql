-- positions: the highest positions in the rows of a table
SELECT max(COLUMNS(lambda c: list_contains($columns, c))) FROM query_table($table);

-- some_runs: a random sample of runs
SELECT {run} FROM {table} ORDER BY random() LIMIT $count;

-- rows_of: the rows of some runs in a table, as text
SELECT COLUMNS(*)::VARCHAR FROM {table} WHERE {run} IN (SELECT unnest($runs::VARCHAR[]));
