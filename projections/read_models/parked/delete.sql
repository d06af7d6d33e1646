-- forget: a deletion outweighs what was parked before it
DELETE FROM parked_runs p USING deleted d WHERE p.stream = d.run_id AND p.position < d.position;

-- forget_events: and the events that were left out
DELETE FROM parked_events p USING deleted d WHERE p.stream = d.run_id AND p.position < d.position;
