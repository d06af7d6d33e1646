-- subtract: the sums of the deleted runs' steps
UPDATE cost_totals AS u SET
    steps = u.steps - d.steps,
    priced_steps = u.priced_steps - d.priced_steps,
    incomplete_steps = u.incomplete_steps - d.incomplete_steps,
    unpriced_tokens = u.unpriced_tokens - d.unpriced_tokens,
    cost_usd = CASE WHEN u.priced_steps > d.priced_steps
        THEN u.cost_usd - coalesce(d.cost_usd, 0) END,
    reported_steps = u.reported_steps - d.reported_steps,
    reported_usd = CASE WHEN u.reported_steps > d.reported_steps
        THEN u.reported_usd - coalesce(d.reported_usd, 0) END
FROM (
    SELECT s.organization, s.project_id, s.agent_id, s.model,
        (s.created_at AT TIME ZONE 'UTC')::DATE AS day, count(*) AS steps,
        count(cost_usd) AS priced_steps, count(*) FILTER (NOT complete) AS incomplete_steps,
        sum(unpriced_tokens)::HUGEINT AS unpriced_tokens,
        sum(cost_usd)::DECIMAL(38, 12) AS cost_usd, count(reported_usd) AS reported_steps,
        sum(reported_usd)::DECIMAL(38, 12) AS reported_usd
    FROM step_costs s JOIN deleted ON s.born = deleted.born AND s.run_id = deleted.run_id
    GROUP BY ALL
) AS d
WHERE u.day = d.day AND u.organization = d.organization AND u.agent_id = d.agent_id
    AND u.project_id IS NOT DISTINCT FROM d.project_id
    AND u.model IS NOT DISTINCT FROM d.model;

-- drop: sums without steps
DELETE FROM cost_totals WHERE steps = 0;

-- delete: the costs of deleted runs
DELETE FROM step_costs USING deleted d WHERE step_costs.born = d.born AND step_costs.run_id = d.run_id;
