-- delete: the rows of deleted runs
DELETE FROM runs USING deleted d WHERE runs.born = d.born AND runs.run_id = d.run_id;
