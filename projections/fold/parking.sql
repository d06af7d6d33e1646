-- poison: the events of the batch that are known beforehand to be impossible to apply
CREATE OR REPLACE TEMP TABLE poison AS
SELECT unnest($positions::BIGINT[]) AS position, unnest($reasons::VARCHAR[]) AS reason;

-- parked_now: from where on a stream is parked: since earlier, or by this batch. What lies before
-- the deletion of its run is of no concern.
CREATE OR REPLACE TEMP TABLE parked_now AS
SELECT stream, min(position) AS position, arg_min(reason, position) AS reason
FROM (
    SELECT stream, position, reason FROM parked_runs
    UNION ALL
    SELECT l.stream, l.position, p.reason FROM loaded l JOIN poison p USING (position)
) found
ANTI JOIN deleted d ON d.run_id = found.stream AND d.position > found.position
GROUP BY stream;

-- park_runs: streams that this batch parks; one that was parked before its run's deletion may be so
-- again after it
INSERT INTO parked_runs BY NAME
SELECT l.stream, l.position, l.version, l.topic, n.reason
FROM loaded l JOIN parked_now n ON n.stream = l.stream AND n.position = l.position
ANTI JOIN parked_runs p ON p.stream = l.stream AND p.position = n.position
ORDER BY l.position;

-- parked_batch: the events of the batch that lie there, or beyond
CREATE OR REPLACE TEMP TABLE parked_batch AS
SELECT l.position, l.stream, l.version, l.topic
FROM loaded l JOIN parked_now n ON n.stream = l.stream AND n.position <= l.position
ORDER BY l.position;

-- park_events: remember what is left out
INSERT INTO parked_events BY NAME FROM parked_batch;

-- leave_out: and leave it out
INSERT INTO left_out SELECT position FROM parked_batch;

-- park: the one event of the batch cannot be applied; its stream waits from there
INSERT INTO parked_runs BY NAME
SELECT stream, position, version, topic, $reason AS reason FROM feed.main.batch;

-- begin_with: streams that are parked elsewhere
INSERT INTO parked_runs BY NAME
SELECT unnest($stream::VARCHAR[]) AS stream, unnest($position::BIGINT[]) AS position,
    unnest($version::BIGINT[]) AS version, unnest($topic::VARCHAR[]) AS topic,
    unnest($reason::VARCHAR[]) AS reason;

-- any: whether anything is parked
SELECT EXISTS (FROM parked_runs);

-- parked: what is parked, the longest first, with the number of events left out
SELECT r.stream, r.position, r.version, r.topic, r.reason, count(e.position) AS events
FROM parked_runs r LEFT JOIN parked_events e ON e.stream = r.stream
GROUP BY ALL ORDER BY r.position;

-- counts: parked streams, and the events that were left out
SELECT (SELECT count(*) FROM parked_runs), (SELECT count(*) FROM parked_events);

-- release: the streams to be tried again
CREATE OR REPLACE TEMP TABLE released AS
SELECT * FROM parked_runs WHERE $streams IS NULL OR list_contains($streams::VARCHAR[], stream);

-- next: the first event that was left out and is to be tried
SELECT min(e.position) FROM parked_events e SEMI JOIN released r ON r.stream = e.stream
WHERE e.position > $after;

-- retried: of the batch, the events that are tried again
CREATE OR REPLACE TEMP TABLE retried AS
FROM loaded SEMI JOIN parked_events USING (position) SEMI JOIN released USING (stream);

-- only_retried: all others are left out; the batch is these
INSERT INTO left_out SELECT position FROM loaded ANTI JOIN retried USING (position);
DELETE FROM loaded WHERE position IN (FROM left_out);

-- retried_topics: what they are
SELECT DISTINCT topic FROM retried;

-- take_up_events: they are left out no more, unless they fail again
DELETE FROM parked_events USING retried t WHERE parked_events.position = t.position;

-- take_up: nor are their streams parked
DELETE FROM parked_runs USING released r WHERE parked_runs.stream = r.stream;

-- hold: a stream that failed again is not tried further
DELETE FROM released USING parked_runs p WHERE released.stream = p.stream;

-- keep: what lies beyond the batch is still to be tried, and until then parked
INSERT INTO parked_runs BY NAME
SELECT e.stream, min(e.position) AS position, arg_min(e.version, e.position) AS version,
    arg_min(e.topic, e.position) AS topic, any_value(r.reason) AS reason
FROM parked_events e JOIN released r ON r.stream = e.stream
ANTI JOIN parked_runs p ON p.stream = e.stream
GROUP BY e.stream;

-- fail_again: the one event of the batch fails again, maybe for another reason
UPDATE parked_runs SET reason = $reason FROM feed.main.batch b
WHERE parked_runs.stream = b.stream AND parked_runs.position = b.position;

-- hold_one: its stream is not tried further
DELETE FROM released USING feed.main.batch b WHERE released.stream = b.stream;
