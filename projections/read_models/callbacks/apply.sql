-- created [run.created]: the runs with a callback
INSERT INTO callbacks BY NAME
SELECT stream AS run_id, born, organization, agent_id, project_id, callback_url, 'open' AS status,
    FALSE AS redelivery, 0 AS attempts, position AS asked_position
FROM run_created WHERE callback_url IS NOT NULL
ORDER BY position;

-- asks [run.completed, run.failed, run.cancelled, run.callback_requested]: the last end, and the
-- last event that requires a delivery: an end or a request
CREATE OR REPLACE TEMP TABLE callback_asks AS
SELECT stream AS run_id, born, max(position) AS position,
    arg_max(topic, position) = 'run.callback_requested' AS redelivery,
    arg_max({'status': topic[5:], 'at': occurred_at, 'webhook_id': stream || '-' || version},
        position) FILTER (topic <> 'run.callback_requested') AS ended
FROM (
    SELECT position, stream, version, topic, born, occurred_at FROM ended
    UNION ALL
    SELECT position, stream, version, topic, born, occurred_at FROM run_callback_requested
) e SEMI JOIN callbacks c ON c.born = e.born AND c.run_id = e.stream
GROUP BY stream, born;

-- asked [run.completed, run.failed, run.cancelled, run.callback_requested]: an end begins a new
-- delivery, a request repeats the same one
UPDATE callbacks SET
    status = 'pending',
    run_status = CASE WHEN a.ended IS NULL THEN callbacks.run_status ELSE a.ended.status END,
    ended_at = CASE WHEN a.ended IS NULL THEN callbacks.ended_at ELSE a.ended.at END,
    webhook_id = CASE WHEN a.ended IS NULL THEN callbacks.webhook_id ELSE a.ended.webhook_id END,
    attempts = CASE WHEN a.ended IS NULL THEN callbacks.attempts ELSE 0 END,
    attempted_at = CASE WHEN a.ended IS NULL THEN callbacks.attempted_at END,
    status_code = CASE WHEN a.ended IS NULL THEN callbacks.status_code END,
    error = CASE WHEN a.ended IS NULL THEN callbacks.error END,
    redelivery = a.redelivery,
    next_attempt_at = NULL,
    asked_position = a.position
FROM callback_asks a
WHERE callbacks.born = a.born AND callbacks.run_id = a.run_id;

-- attempts [run.callback_attempted]: every attempt is kept
INSERT INTO callback_attempts BY NAME
SELECT stream AS run_id, born, organization, webhook_id, attempt, redelivery,
    occurred_at AS attempted_at, url, status_code, error, delivered, final, attempt_ns,
    next_attempt_at, position
FROM run_callback_attempted
ORDER BY position;

-- tries [run.callback_attempted]: the batch's attempts of pending deliveries; only attempts after
-- the request decide the status
CREATE OR REPLACE TEMP TABLE callback_tries AS
SELECT c.run_id, c.born, max(b.attempt) AS attempts,
    arg_max({'at': b.occurred_at, 'status_code': b.status_code, 'error': b.error}, b.position)
        AS last,
    coalesce(bool_or(b.delivered) FILTER (b.position > c.asked_position), FALSE) AS delivered,
    coalesce(bool_or(b.final) FILTER (b.position > c.asked_position), FALSE) AS final,
    arg_max({'at': b.next_attempt_at}, b.position) FILTER (b.position > c.asked_position) AS next
FROM run_callback_attempted b
JOIN callbacks c ON c.born = b.born AND c.run_id = b.stream AND c.webhook_id = b.webhook_id
GROUP BY c.run_id, c.born;

-- tried [run.callback_attempted]: a delivery that arrived stays delivered, whatever the result of
-- concurrent attempts
UPDATE callbacks SET
    status = CASE WHEN t.delivered OR callbacks.status = 'delivered' THEN 'delivered'
        WHEN t.final THEN 'failed' ELSE callbacks.status END,
    attempts = greatest(callbacks.attempts, t.attempts),
    attempted_at = t.last.at,
    status_code = t.last.status_code,
    error = t.last.error,
    next_attempt_at = CASE WHEN t.next IS NULL THEN callbacks.next_attempt_at ELSE t.next.at END
FROM callback_tries t
WHERE callbacks.born = t.born AND callbacks.run_id = t.run_id;
