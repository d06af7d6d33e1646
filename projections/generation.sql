-- settings: times are UTC whatever the machine says; a clustered insert keeps its order
SET TimeZone = 'UTC'; SET preserve_insertion_order = TRUE;

-- create: what a generation knows of itself
CREATE TABLE IF NOT EXISTS generation (
    layout INTEGER NOT NULL,
    position BIGINT NOT NULL,
    built_at TIMESTAMPTZ NOT NULL
);

-- create_models: which SQL made the rows of each read model
CREATE TABLE IF NOT EXISTS generation_models (
    name VARCHAR NOT NULL,
    digest VARCHAR NOT NULL
);

-- begin: an empty generation
INSERT INTO generation VALUES ($layout, 0, now());

-- add_model: remember a read model's SQL
INSERT INTO generation_models VALUES ($name, $digest);

-- has_generation: whether the file holds one
SELECT count(*) FROM duckdb_tables() WHERE table_name = 'generation' AND NOT temporary;

-- read: layout and checkpoint
SELECT layout, position FROM generation;

-- models: the SQL that made the rows
SELECT name, digest FROM generation_models ORDER BY name;

-- advance: the checkpoint moves in the transaction of the rows it vouches for
UPDATE generation SET position = $position;
