-- delete: the rows of deleted runs
DELETE FROM callbacks USING deleted d WHERE callbacks.born = d.born AND callbacks.run_id = d.run_id;

-- delete_attempts: the attempts of deleted runs
DELETE FROM callback_attempts a USING deleted d WHERE a.born = d.born AND a.run_id = d.run_id;
