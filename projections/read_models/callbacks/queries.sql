-- list: callbacks of runs that ended, the last requested first. The result for a parked run is
-- unknown here: the reason is given in place of the error.
SELECT run_id, agent_id, project_id, callback_url, status, run_status, ended_at, webhook_id,
    redelivery, attempts, attempted_at, status_code,
    CASE WHEN status = 'pending' AND p.stream IS NOT NULL
        THEN 'left out from position ' || p.position || ' on: ' || p.reason ELSE error END AS error,
    next_attempt_at
FROM callbacks LEFT JOIN (
    SELECT stream, min(position) AS position, arg_min(reason, position) AS reason
    FROM parked_runs GROUP BY stream
) p ON p.stream = callbacks.run_id
WHERE organization = $organization AND status <> 'open'
    AND ($statuses IS NULL OR list_contains($statuses::VARCHAR[], status))
    AND ($since IS NULL OR ended_at >= $since)
    AND ($until IS NULL OR ended_at < $until)
ORDER BY asked_position DESC LIMIT $limit;

-- left_out: parked runs that may have a pending callback: they had ended, or their end is parked
SELECT c.run_id FROM callbacks c JOIN parked_runs p ON p.stream = c.run_id
WHERE c.status = 'pending' OR EXISTS (
    FROM parked_events e
    WHERE e.stream = c.run_id AND e.topic IN ('run.completed', 'run.failed', 'run.cancelled')
)
GROUP BY c.run_id ORDER BY min(p.position);
