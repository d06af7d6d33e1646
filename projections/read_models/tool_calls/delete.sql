-- delete: the rows of deleted runs
DELETE FROM tool_calls USING deleted d
WHERE tool_calls.born = d.born AND tool_calls.run_id = d.run_id;
