-- list: callbacks of runs that ended, the last asked for first
SELECT run_id, agent_id, project_id, callback_url, status, run_status, ended_at, webhook_id,
    redelivery, attempts, attempted_at, status_code, error, next_attempt_at
FROM callbacks
WHERE organization = $organization AND status <> 'open'
    AND ($statuses IS NULL OR list_contains($statuses::VARCHAR[], status))
    AND ($since IS NULL OR ended_at >= $since)
    AND ($until IS NULL OR ended_at < $until)
ORDER BY asked_position DESC LIMIT $limit;
