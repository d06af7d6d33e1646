-- attach: a generation with the read models that were made again
ATTACH $path AS again (READ_ONLY);

-- detach: detach that generation
DETACH again;

-- refused: the streams with events that the copied read models have and those made again do not,
-- the first one first
SELECT e.stream, min(e.position) AS position, arg_min(r.reason, r.position) AS reason
FROM again.parked_events e ANTI JOIN parked_events p ON p.position = e.position
LEFT JOIN again.parked_runs r ON r.stream = e.stream
GROUP BY e.stream ORDER BY position;

-- drop: a table as the old SQL made it
DROP TABLE IF EXISTS {table};

-- fill: the table as the new SQL makes it, in the same order
INSERT INTO {table} BY NAME SELECT * FROM again.{table};
