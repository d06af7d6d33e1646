-- forget: a deletion ends the parking of earlier events
DELETE FROM parked_runs p USING deleted d WHERE p.stream = d.run_id AND p.position < d.position;

-- forget_events: delete the events that were left out
DELETE FROM parked_events p USING deleted d WHERE p.stream = d.run_id AND p.position < d.position;
