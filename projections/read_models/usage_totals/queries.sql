-- totals: tokens and steps by the requested columns; NULL in columns that are not requested
SELECT CASE WHEN list_contains($by, 'project') THEN project_id END AS project_id,
    CASE WHEN list_contains($by, 'agent') THEN agent_id END AS agent_id,
    CASE WHEN list_contains($by, 'model') THEN model END AS model,
    CASE WHEN list_contains($by, 'day') THEN day END AS day,
    sum(steps)::BIGINT AS steps, sum(prompt_tokens)::BIGINT AS prompt_tokens,
    sum(completion_tokens)::BIGINT AS completion_tokens, sum(total_tokens)::BIGINT AS total_tokens,
    sum(<bucket>)::BIGINT AS <bucket>,
FROM usage_totals
WHERE organization = $organization
    AND ($project_id IS NULL OR project_id = $project_id)
    AND ($agent_id IS NULL OR agent_id = $agent_id)
    AND ($model IS NULL OR model = $model)
    AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day <= $until)
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

-- totals_of_runs: the same of these runs, from their steps, as the totals do not know their runs
SELECT CASE WHEN list_contains($by, 'project') THEN project_id END AS project_id,
    CASE WHEN list_contains($by, 'agent') THEN agent_id END AS agent_id,
    CASE WHEN list_contains($by, 'model') THEN model END AS model,
    CASE WHEN list_contains($by, 'day') THEN (created_at AT TIME ZONE 'UTC')::DATE END AS day,
    count(*) AS steps, coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
    coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens,
    coalesce(sum(total_tokens), 0)::BIGINT AS total_tokens,
    sum(<bucket>)::BIGINT AS <bucket>,
FROM steps
WHERE organization = $organization AND status <> 'pending'
    AND ($project_id IS NULL OR project_id = $project_id)
    AND ($agent_id IS NULL OR agent_id = $agent_id)
    AND ($model IS NULL OR model = $model)
    AND ($since IS NULL OR (created_at AT TIME ZONE 'UTC')::DATE >= $since)
    AND ($until IS NULL OR (created_at AT TIME ZONE 'UTC')::DATE <= $until)
    AND run_id IN (SELECT run_id FROM runs {where})
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
