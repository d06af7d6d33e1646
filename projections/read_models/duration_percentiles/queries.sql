-- stored: the percentiles per project, agent and day
SELECT project_id, agent_id, day, runs, p50, p90, p95, p99 FROM duration_percentiles
WHERE organization = $organization
    AND ($project_id IS NULL OR project_id = $project_id)
    AND ($agent_id IS NULL OR agent_id = $agent_id)
    AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day <= $until)
ORDER BY project_id, agent_id, day;

-- only_runs: the samples of these runs
AND run_id IN (SELECT run_id FROM runs {where});

-- grouped: percentiles by the requested columns, from the samples, because percentiles do not add
-- up
SELECT project_id, agent_id, day, runs, p[1] AS p50, p[2] AS p90, p[3] AS p95, p[4] AS p99
FROM (
    SELECT CASE WHEN list_contains($by, 'project') THEN project_id END AS project_id,
        CASE WHEN list_contains($by, 'agent') THEN agent_id END AS agent_id,
        CASE WHEN list_contains($by, 'day') THEN day END AS day,
        count(*) AS runs, quantile_cont(run_ns, [0.5, 0.9, 0.95, 0.99]) AS p
    FROM run_durations
    WHERE organization = $organization
        AND ($project_id IS NULL OR project_id = $project_id)
        AND ($agent_id IS NULL OR agent_id = $agent_id)
        AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day <= $until)
        {only}
    GROUP BY 1, 2, 3
)
ORDER BY project_id, agent_id, day;
