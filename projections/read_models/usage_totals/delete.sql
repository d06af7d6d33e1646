-- subtract: the sums of the deleted runs' steps, which are still in their table, as model.toml
-- declares. A bucket that no other step reported becomes NULL again.
UPDATE usage_totals AS u SET
    steps = u.steps - d.steps,
    prompt_tokens = u.prompt_tokens - d.prompt_tokens,
    completion_tokens = u.completion_tokens - d.completion_tokens,
    total_tokens = u.total_tokens - d.total_tokens,
    <bucket> = CASE WHEN u.<bucket_steps> > d.<bucket_steps> THEN u.<bucket> - coalesce(d.<bucket>, 0) END,
    <bucket_steps> = u.<bucket_steps> - d.<bucket_steps>,
FROM (
    SELECT s.organization, s.project_id, s.agent_id, s.model,
        (s.created_at AT TIME ZONE 'UTC')::DATE AS day, count(*) AS steps,
        coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
        coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens,
        coalesce(sum(total_tokens), 0)::BIGINT AS total_tokens,
        sum(<bucket>)::BIGINT AS <bucket>,
        count(<bucket>) AS <bucket_steps>,
    FROM steps s JOIN deleted ON s.born = deleted.born AND s.run_id = deleted.run_id
    WHERE s.status <> 'pending'
    GROUP BY ALL
) AS d
WHERE u.day = d.day AND u.organization = d.organization AND u.agent_id = d.agent_id
    AND u.project_id IS NOT DISTINCT FROM d.project_id
    AND u.model IS NOT DISTINCT FROM d.model;

-- drop: totals without steps
DELETE FROM usage_totals WHERE steps = 0;
