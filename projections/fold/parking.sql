-- poison: the events of the batch that are known to be impossible to apply
CREATE OR REPLACE TEMP TABLE poison AS
SELECT unnest($positions::BIGINT[]) AS position, unnest($reasons::VARCHAR[]) AS reason;

-- parked_now: the position from which a stream is parked, since earlier or by this batch. Events
-- before the deletion of its run are ignored.
CREATE OR REPLACE TEMP TABLE parked_now AS
SELECT stream, min(position) AS position, arg_min(reason, position) AS reason
FROM (
    SELECT stream, position, reason FROM parked_runs
    UNION ALL
    SELECT l.stream, l.position, p.reason FROM loaded l JOIN poison p USING (position)
) found
ANTI JOIN deleted d ON d.run_id = found.stream AND d.position > found.position
GROUP BY stream;

-- park_runs: streams that this batch parks; a stream that was parked before its run's deletion may
-- be parked again after it
INSERT INTO parked_runs BY NAME
SELECT l.stream, l.position, l.version, l.topic, n.reason
FROM loaded l JOIN parked_now n ON n.stream = l.stream AND n.position = l.position
ANTI JOIN parked_runs p ON p.stream = l.stream AND p.position = n.position
ORDER BY l.position;

-- parked_batch: the events of the batch at or after that position
CREATE OR REPLACE TEMP TABLE parked_batch AS
SELECT l.position, l.stream, l.version, l.topic
FROM loaded l JOIN parked_now n ON n.stream = l.stream AND n.position <= l.position
ORDER BY l.position;

-- park_events: record the events that are left out
INSERT INTO parked_events BY NAME FROM parked_batch;

-- leave_out: leave these events out of the batch
INSERT INTO left_out SELECT position FROM parked_batch;

-- park: the one event of the batch cannot be applied; its stream is parked from there
INSERT INTO parked_runs BY NAME
SELECT stream, position, version, topic, $reason AS reason FROM feed.main.batch;

-- begin_with: streams that are parked in another generation
INSERT INTO parked_runs BY NAME
SELECT unnest($stream::VARCHAR[]) AS stream, unnest($position::BIGINT[]) AS position,
    unnest($version::BIGINT[]) AS version, unnest($topic::VARCHAR[]) AS topic,
    unnest($reason::VARCHAR[]) AS reason;

-- any: whether anything is parked
SELECT EXISTS (FROM parked_runs);

-- parked: the parked streams, the longest parked first, with the number of events left out
SELECT r.stream, r.position, r.version, r.topic, r.reason, count(e.position) AS events
FROM parked_runs r LEFT JOIN parked_events e ON e.stream = r.stream
GROUP BY ALL ORDER BY r.position;

-- counts: parked streams, and the events that were left out
SELECT (SELECT count(*) FROM parked_runs), (SELECT count(*) FROM parked_events);

-- release: mark the streams to retry
CREATE OR REPLACE TEMP TABLE released AS
SELECT * FROM parked_runs WHERE $streams IS NULL OR list_contains($streams::VARCHAR[], stream);

-- next: the first event that was left out and is to be retried
SELECT min(e.position) FROM parked_events e SEMI JOIN released r ON r.stream = e.stream
WHERE e.position > $after;

-- retried: the events of the batch that are retried
CREATE OR REPLACE TEMP TABLE retried AS
FROM loaded SEMI JOIN parked_events USING (position) SEMI JOIN released USING (stream);

-- only_retried: leave all other events out of the batch
INSERT INTO left_out SELECT position FROM loaded ANTI JOIN retried USING (position);
DELETE FROM loaded WHERE position IN (FROM left_out);

-- retried_topics: the topics of these events
SELECT DISTINCT topic FROM retried;

-- take_up_events: they are no longer left out, unless they fail again
DELETE FROM parked_events USING retried t WHERE parked_events.position = t.position;

-- take_up: their streams are no longer parked
DELETE FROM parked_runs USING released r WHERE parked_runs.stream = r.stream;

-- hold: a stream that failed again is not retried further
DELETE FROM released USING parked_runs p WHERE released.stream = p.stream;

-- keep: events beyond the batch are still to be retried, and parked until then
INSERT INTO parked_runs BY NAME
SELECT e.stream, min(e.position) AS position, arg_min(e.version, e.position) AS version,
    arg_min(e.topic, e.position) AS topic, any_value(r.reason) AS reason
FROM parked_events e JOIN released r ON r.stream = e.stream
ANTI JOIN parked_runs p ON p.stream = e.stream
GROUP BY e.stream;

-- fail_again: the one event of the batch fails again, possibly for another reason
UPDATE parked_runs SET reason = $reason FROM feed.main.batch b
WHERE parked_runs.stream = b.stream AND parked_runs.position = b.position;

-- hold_one: its stream is not retried further
DELETE FROM released USING feed.main.batch b WHERE released.stream = b.stream;
