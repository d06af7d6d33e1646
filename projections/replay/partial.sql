-- attach: attach a generation for reading
ATTACH $path AS {alias} (READ_ONLY);

-- detach: detach that generation
DETACH {alias};

-- columns: the columns of every table of the generation, and whether their types are nested
SELECT table_name, column_name, data_type, regexp_matches(data_type, '[(\[]')
FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = 'main'
ORDER BY table_name, column_index;

-- runs: store the touched runs
CREATE OR REPLACE TEMP TABLE touched_runs AS SELECT unnest($runs::VARCHAR[]) AS run_id;

-- rows_of_runs: the rows of touched runs in a table
CREATE OR REPLACE TEMP TABLE touched_rows AS
SELECT rowid AS row_id FROM {table} t
WHERE {column} IN (SELECT run_id FROM touched_runs);

-- keys_of_totals: the keys of totals to which touched runs contribute, by either SQL
CREATE OR REPLACE TEMP TABLE touched_keys AS
SELECT struct_pack(*COLUMNS(lambda c: list_contains($key, c))) AS row_key FROM old_part.{table}
UNION
SELECT struct_pack(*COLUMNS(lambda c: list_contains($key, c))) AS row_key FROM new_part.{table};

-- rows_of_totals: the rows with these keys
CREATE OR REPLACE TEMP TABLE touched_rows AS
SELECT row_id
FROM (
    SELECT rowid AS row_id, struct_pack(*COLUMNS(lambda c: list_contains($key, c))) AS row_key
    FROM {table}
) SEMI JOIN touched_keys USING (row_key);

-- count: how many rows are touched
SELECT count(*) FROM touched_rows;

-- digest: the buckets of the rows that are not touched, as the diff digests them
SELECT bucket, count(*), sum(digest)
FROM (
    SELECT _row_id AS row_id, hash(*COLUMNS(lambda c: list_contains($key, c))) % 1024 AS bucket,
        hash(*COLUMNS(lambda c: list_contains($columns, c)))::HUGEINT AS digest
    FROM (
        SELECT COLUMNS(lambda c: NOT list_contains($nested || ['_none'], c)),
            COLUMNS(lambda c: list_contains($nested || ['_none'], c))::VARCHAR
        FROM (SELECT *, rowid AS _row_id, NULL AS _none FROM {table})
    )
) ANTI JOIN touched_rows USING (row_id)
GROUP BY bucket ORDER BY bucket;

-- touched_buckets: the buckets that have touched rows
SELECT DISTINCT bucket
FROM (
    SELECT rowid AS row_id, hash(*COLUMNS(lambda c: list_contains($key, c))) % 1024 AS bucket
    FROM {table}
) SEMI JOIN touched_rows USING (row_id);

-- delete: the touched rows
DELETE FROM {table} WHERE rowid IN (SELECT row_id FROM touched_rows);

-- insert_of_runs: the rows from the events of the touched runs
INSERT INTO {table} BY NAME
SELECT * FROM new_part.{table} WHERE {column} IN (SELECT run_id FROM touched_runs);

-- insert_of_totals: the rows of the touched keys from all events
INSERT INTO {table} BY NAME
SELECT * EXCLUDE (row_key)
FROM (
    SELECT *, struct_pack(*COLUMNS(lambda c: list_contains($key, c))) AS row_key
    FROM whole.{table}
) SEMI JOIN touched_keys USING (row_key);
