-- delete: the rows of deleted runs
DELETE FROM steps USING deleted d WHERE steps.born = d.born AND steps.run_id = d.run_id;
