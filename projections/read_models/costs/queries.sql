-- there: whether the generation has costs; one of an older version has none until a replay
SELECT count(*) FROM duckdb_tables()
WHERE table_name = 'cost_totals' AND schema_name = 'main' AND NOT temporary;

-- totals: costs by the requested columns; NULL in columns that are not requested
SELECT CASE WHEN list_contains($by, 'project') THEN project_id END AS project_id,
    CASE WHEN list_contains($by, 'agent') THEN agent_id END AS agent_id,
    CASE WHEN list_contains($by, 'model') THEN model END AS model,
    CASE WHEN list_contains($by, 'day') THEN day END AS day,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    sum(unpriced_tokens)::HUGEINT AS unpriced_tokens,
    sum(incomplete_steps)::BIGINT AS incomplete_steps,
    sum(reported_usd)::DECIMAL(38, 12) AS reported_usd
FROM cost_totals
WHERE organization = $organization
    AND ($project_id IS NULL OR project_id = $project_id)
    AND ($agent_id IS NULL OR agent_id = $agent_id)
    AND ($model IS NULL OR model = $model)
    AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day <= $until)
GROUP BY 1, 2, 3, 4;

-- totals_of_runs: the same of these runs, from their steps
SELECT CASE WHEN list_contains($by, 'project') THEN project_id END AS project_id,
    CASE WHEN list_contains($by, 'agent') THEN agent_id END AS agent_id,
    CASE WHEN list_contains($by, 'model') THEN model END AS model,
    CASE WHEN list_contains($by, 'day') THEN (created_at AT TIME ZONE 'UTC')::DATE END AS day,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    sum(unpriced_tokens)::HUGEINT AS unpriced_tokens,
    count(*) FILTER (NOT complete) AS incomplete_steps,
    sum(reported_usd)::DECIMAL(38, 12) AS reported_usd
FROM step_costs
WHERE organization = $organization
    AND ($project_id IS NULL OR project_id = $project_id)
    AND ($agent_id IS NULL OR agent_id = $agent_id)
    AND ($model IS NULL OR model = $model)
    AND ($since IS NULL OR (created_at AT TIME ZONE 'UTC')::DATE >= $since)
    AND ($until IS NULL OR (created_at AT TIME ZONE 'UTC')::DATE <= $until)
    AND run_id IN (SELECT run_id FROM runs {where})
GROUP BY 1, 2, 3, 4;
