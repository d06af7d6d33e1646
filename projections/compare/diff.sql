-- database: the name of the open generation
SELECT current_database();

-- columns: the columns of a table with their types, and whether these are nested
SELECT column_name, data_type, regexp_matches(data_type, '[(\[]') FROM duckdb_columns()
WHERE database_name = $database AND table_name = $table AND schema_name = 'main'
ORDER BY column_index;

-- comparable: a table in the form that is digested. An empty list has the same hash as NULL, and a
-- list the same as a list that contains it; their texts differ.
CREATE OR REPLACE TEMP MACRO comparable(side, nested) AS TABLE
SELECT COLUMNS(lambda c: NOT list_contains(nested || ['_none'], c)),
    COLUMNS(lambda c: list_contains(nested || ['_none'], c))::VARCHAR
FROM (SELECT *, NULL AS _none FROM query_table(side));

-- old_digest: a digest per bucket of keys, which does not depend on the order of rows
CREATE OR REPLACE TEMP TABLE old_digest AS
SELECT hash(*COLUMNS(lambda c: list_contains($key, c))) % 1024 AS bucket, count(*) AS rows,
    sum(hash(*COLUMNS(lambda c: list_contains($columns, c)))::HUGEINT) AS digest
FROM comparable($old, $nested) GROUP BY bucket;

-- new_digest: the same of the other generation
CREATE OR REPLACE TEMP TABLE new_digest AS
SELECT hash(*COLUMNS(lambda c: list_contains($key, c))) % 1024 AS bucket, count(*) AS rows,
    sum(hash(*COLUMNS(lambda c: list_contains($columns, c)))::HUGEINT) AS digest
FROM comparable($new, $nested) GROUP BY bucket;

-- differing: the buckets whose digests differ
CREATE OR REPLACE TEMP TABLE differing AS
SELECT bucket FROM old_digest o FULL JOIN new_digest n USING (bucket)
WHERE o.rows IS DISTINCT FROM n.rows OR o.digest IS DISTINCT FROM n.digest;

-- totals: rows of both sides, and how many buckets differ
SELECT (SELECT coalesce(sum(rows), 0)::BIGINT FROM old_digest),
    (SELECT coalesce(sum(rows), 0)::BIGINT FROM new_digest),
    (SELECT count(*) FROM differing);

-- old_rows: a digest per key; a duplicate key is damage to report, not an error of the diff
CREATE OR REPLACE TEMP TABLE old_rows AS
SELECT struct_pack(*COLUMNS(lambda c: list_contains($key, c))) AS row_key, count(*) AS copies,
    sum(hash(*COLUMNS(lambda c: list_contains($columns, c)))::HUGEINT) AS digest
FROM comparable($old, $nested)
WHERE hash(*COLUMNS(lambda c: list_contains($key, c))) % 1024 IN (SELECT bucket FROM differing)
GROUP BY row_key;

-- new_rows: the same of the other generation
CREATE OR REPLACE TEMP TABLE new_rows AS
SELECT struct_pack(*COLUMNS(lambda c: list_contains($key, c))) AS row_key, count(*) AS copies,
    sum(hash(*COLUMNS(lambda c: list_contains($columns, c)))::HUGEINT) AS digest
FROM comparable($new, $nested)
WHERE hash(*COLUMNS(lambda c: list_contains($key, c))) % 1024 IN (SELECT bucket FROM differing)
GROUP BY row_key;

-- changes: the keys that differ, and how; nested values compare NULL as a value
CREATE OR REPLACE TEMP TABLE changes AS
SELECT coalesce(o.row_key, n.row_key) AS row_key,
    CASE WHEN o.copies IS NULL THEN 'added' WHEN n.copies IS NULL THEN 'removed'
        ELSE 'changed' END AS change,
    o.copies AS old_copies, n.copies AS new_copies
FROM old_rows o FULL JOIN new_rows n ON o.row_key = n.row_key
WHERE o.copies IS DISTINCT FROM n.copies OR o.digest IS DISTINCT FROM n.digest;

-- counts: rows added, removed, changed, and keys that occur more than once
SELECT count(*) FILTER (change = 'added'), count(*) FILTER (change = 'removed'),
    count(*) FILTER (change = 'changed'), count(*) FILTER (old_copies > 1 OR new_copies > 1)
FROM changes;

-- differing_columns: columns whose values differ in any changed row, found by digests, so that the
-- comparison of values reads no others
SELECT column_name FROM (
    SELECT side, sum(hash(mark, COLUMNS(* EXCLUDE (side, mark)))::HUGEINT) FROM (
        SELECT 'old' AS side, hash(*COLUMNS(lambda c: list_contains($key, c))) AS mark,
            COLUMNS(lambda c: list_contains($columns, c)) FROM comparable($old, $nested)
        WHERE struct_pack(*COLUMNS(lambda c: list_contains($key, c)))
            IN (SELECT row_key FROM changes WHERE change = 'changed')
        UNION ALL BY NAME
        SELECT 'new' AS side, hash(*COLUMNS(lambda c: list_contains($key, c))) AS mark,
            COLUMNS(lambda c: list_contains($columns, c)) FROM comparable($new, $nested)
        WHERE struct_pack(*COLUMNS(lambda c: list_contains($key, c)))
            IN (SELECT row_key FROM changes WHERE change = 'changed')
    ) GROUP BY side
) UNPIVOT (digest FOR column_name IN (* EXCLUDE (side)))
GROUP BY column_name HAVING count(DISTINCT digest) > 1;

-- cells: the values that differ in changed rows, as text
CREATE OR REPLACE TEMP TABLE cells AS
WITH both_sides AS (
    SELECT 'old' AS _side, struct_pack(*COLUMNS(lambda c: list_contains($key, c))) AS _key,
        COLUMNS(lambda c: list_contains($differing, c)) FROM query_table($old)
    UNION ALL BY NAME
    SELECT 'new' AS _side, struct_pack(*COLUMNS(lambda c: list_contains($key, c))) AS _key,
        COLUMNS(lambda c: list_contains($differing, c)) FROM query_table($new)
), paired AS (
    SELECT _key, struct_pack(
        old := first(COLUMNS(* EXCLUDE (_side, _key))::VARCHAR) FILTER (_side = 'old'),
        new := first(COLUMNS(* EXCLUDE (_side, _key))::VARCHAR) FILTER (_side = 'new'))
    FROM both_sides WHERE _key IN (SELECT row_key FROM changes WHERE change = 'changed')
    GROUP BY _key
)
SELECT _key AS row_key, column_name, cell.old AS old_value, cell.new AS new_value
FROM paired UNPIVOT INCLUDE NULLS (cell FOR column_name IN (* EXCLUDE (_key)))
WHERE cell.old IS DISTINCT FROM cell.new;

-- no_cells: changed rows without a differing column: the key occurs more often on one side
CREATE OR REPLACE TEMP TABLE cells AS
SELECT row_key, '' AS column_name, '' AS old_value, '' AS new_value FROM changes WHERE FALSE;

-- by_column: in how many of the changed rows each column differs
SELECT column_name, count(*) FROM cells GROUP BY column_name ORDER BY count(*) DESC, column_name;

-- chosen: the rows to be shown: the first ones by key, changed ones before others
CREATE OR REPLACE TEMP TABLE chosen AS
SELECT row_key FROM changes ORDER BY change <> 'changed', row_key LIMIT $limit;

-- chosen_of_runs: as many rows of each requested run
INSERT INTO chosen
SELECT row_key
FROM (SELECT row_key, change, to_json(row_key) ->> $column AS run FROM changes)
WHERE list_contains($runs::VARCHAR[], run)
QUALIFY row_number() OVER (PARTITION BY run ORDER BY change <> 'changed', row_key) <= $limit;

-- whole_rows: the rows that one side lacks: those chosen, or all of them
CREATE OR REPLACE TEMP TABLE whole_rows AS
SELECT row_key, change, to_json(row_values)::VARCHAR AS row_values FROM (
    SELECT struct_pack(*COLUMNS(lambda c: list_contains($key, c))) AS row_key,
        struct_pack(*COLUMNS(lambda c: list_contains($columns, c))) AS row_values
    FROM query_table($old)
    UNION ALL
    SELECT struct_pack(*COLUMNS(lambda c: list_contains($key, c))) AS row_key,
        struct_pack(*COLUMNS(lambda c: list_contains($columns, c))) AS row_values
    FROM query_table($new)
) SEMI JOIN (SELECT row_key FROM changes
    WHERE change <> 'changed' AND ($all OR row_key IN (SELECT row_key FROM chosen))) USING (row_key)
JOIN changes USING (row_key);

-- sample: the chosen rows by key, changed ones first, with their values
SELECT to_json(row_key)::VARCHAR, any_value(change),
    list({'column': column_name, 'old': old_value, 'new': new_value} ORDER BY column_name)
        FILTER (column_name IS NOT NULL),
    any_value(row_values)
FROM (SELECT row_key, change FROM changes SEMI JOIN chosen USING (row_key))
LEFT JOIN cells USING (row_key) LEFT JOIN whole_rows USING (row_key, change)
GROUP BY row_key ORDER BY any_value(change) <> 'changed', row_key;

-- report: make the table for the report file
CREATE OR REPLACE TEMP TABLE report (
    read_model VARCHAR, table_name VARCHAR, change VARCHAR, row_key JSON, column_name VARCHAR,
    old_value VARCHAR, new_value VARCHAR
);

-- add_to_report: the differences of a table
INSERT INTO report
SELECT $model, $table, change, to_json(row_key), column_name,
    CASE WHEN change = 'removed' THEN row_values ELSE old_value END,
    CASE WHEN change = 'added' THEN row_values ELSE new_value END
FROM changes LEFT JOIN cells USING (row_key) LEFT JOIN whole_rows USING (row_key, change)
ORDER BY row_key, column_name;

-- write_report: one row per differing value, and one with the whole row if a side lacks it
COPY report TO $file (FORMAT parquet);

-- changed_runs: make the list of the runs with a row that differs
CREATE OR REPLACE TEMP TABLE changed_runs (run_id VARCHAR);

-- add_changed_runs: the runs of the changes of a table that is keyed by run
INSERT INTO changed_runs SELECT DISTINCT row_key.{run} FROM changes;
