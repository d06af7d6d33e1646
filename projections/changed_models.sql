-- attach: a generation with the read models that were made again
ATTACH $path AS again (READ_ONLY);

-- detach: let go of it
DETACH again;

-- drop: a table as the old SQL made it
DROP TABLE IF EXISTS {table};

-- fill: the table as the new SQL makes it, in the same order
INSERT INTO {table} BY NAME SELECT * FROM again.{table};
