-- block_size: the size of a block in bytes
SELECT block_size FROM pragma_database_size() WHERE database_name = current_database();

-- tables: the tables of the file
SELECT table_name FROM duckdb_tables()
WHERE database_name = current_database() AND NOT temporary;

-- last_metadata_block: the highest block with metadata of tables. The block count in the file
-- cannot be used: DuckDB truncates free blocks at the end of the file, but still counts them.
SELECT max(block_id) FROM pragma_metadata_info();

-- last_block: the highest block with rows of a table
SELECT max(greatest(block_id, list_max(additional_block_ids)))
FROM pragma_storage_info({table}) WHERE persistent AND block_id BETWEEN 0 AND 4611686018427387903;
