-- there: whether the generation has costs; one of an older version has none until a replay
SELECT count(*) FROM duckdb_tables()
WHERE table_name = 'cost_totals' AND schema_name = 'main' AND NOT temporary;

-- of_runs: the same of single runs, each found by its place
SELECT run_id, sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    sum(unpriced_tokens)::HUGEINT AS unpriced_tokens,
    count(*) FILTER (NOT complete) AS incomplete_steps
FROM step_costs
    JOIN (SELECT unnest($born::BIGINT[]) AS born, unnest($run_id::VARCHAR[]) AS run_id)
    USING (born, run_id)
GROUP BY run_id;

-- reported_apart: how many runs have a reported cost, of the steps that have both; those in which it
-- differs from ours by more than a hundredth; those of them that cost less as reported, without a
-- cached token in any step; one of them, and both sums of all that differ
WITH compared AS (
    SELECT run_id, sum(cost_usd) AS cost_usd, sum(reported_usd) AS reported_usd,
        0
            + count(<cache_bucket_usd>)
        = 0 AS uncached
    FROM step_costs WHERE cost_usd IS NOT NULL AND reported_usd IS NOT NULL
    GROUP BY run_id
), apart AS (
    FROM compared
    WHERE abs(cost_usd - reported_usd) * 100 > greatest(abs(cost_usd), abs(reported_usd))
)
SELECT (SELECT count(*) FROM compared), count(*),
    count(*) FILTER (uncached AND reported_usd < cost_usd), min(run_id),
    sum(cost_usd)::DECIMAL(38, 12), sum(reported_usd)::DECIMAL(38, 12)
FROM apart;

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
