-- marks: all of them, the newest first
SELECT position, event_id, digest FROM generation_marks ORDER BY position DESC;

-- of_batch: the events of a batch that are marked: the last one, and some before it
SELECT position, stream, version, topic, facts, NULL FROM {events}
WHERE position = $last OR position % $each = 0 ORDER BY position;

-- last_of_batch: only the last event, because single events of an archive are costly to read
SELECT position, stream, version, topic, facts, NULL FROM {events} WHERE position = $last;

-- add: mark some events
INSERT INTO generation_marks
SELECT unnest($positions::BIGINT[]), unnest($event_ids::VARCHAR[]), unnest($digests::VARCHAR[]);

-- thin: of marks at about the same distance from the checkpoint, keep the oldest: four for each
-- doubling of the distance
DELETE FROM generation_marks WHERE position NOT IN (
    SELECT min(position) FROM generation_marks
    GROUP BY floor(4 * log2(1 + $last - position))
);
