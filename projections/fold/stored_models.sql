-- create_models: the SQL that made the rows of each read model, and makes new ones
CREATE TABLE generation_models (
    name VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    schema_sql VARCHAR NOT NULL,
    apply_sql VARCHAR NOT NULL,
    delete_sql VARCHAR NOT NULL,
    declaration VARCHAR
);

-- add_model: store a read model's SQL
INSERT INTO generation_models
VALUES ($name, $digest, $schema_sql, $apply_sql, $delete_sql, $declaration);

-- forget_model: delete the SQL of a read model that is about to be replaced
DELETE FROM generation_models WHERE name = $name;

-- models: the SQL that made the rows, and the declaration of each read model
SELECT name, schema_sql, apply_sql, delete_sql, declaration FROM generation_models ORDER BY name;

-- models_undeclared: the same in layout 1
SELECT name, schema_sql, apply_sql, delete_sql, NULL FROM generation_models ORDER BY name;

-- columns: the columns of every table
SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = 'main' GROUP BY table_name;

-- declare: add the column of declarations; existing read models have none
ALTER TABLE generation_models ADD COLUMN declaration VARCHAR;
UPDATE generation SET layout = $layout;

-- beyond: the highest position of a table beyond the checkpoint; usually the column's minimum and
-- maximum, which DuckDB stores, show that there is none, and no row is read
SELECT max({column}) FROM {table} WHERE {column} > $position;
