-- changes [run.step_recorded]: the batch's sums
CREATE OR REPLACE TEMP TABLE usage_changes AS
SELECT organization, project_id, agent_id, model,
    (occurred_at AT TIME ZONE 'UTC')::DATE AS day,
    count(*) AS steps,
    coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
    coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens,
    coalesce(sum(total_tokens), 0)::BIGINT AS total_tokens,
    sum(<bucket>)::BIGINT AS <bucket>,
    count(<bucket>) AS <bucket_steps>,
FROM run_step_recorded
GROUP BY ALL;

-- update [run.step_recorded]: add them to the totals
UPDATE usage_totals AS u SET
    steps = u.steps + c.steps,
    prompt_tokens = u.prompt_tokens + c.prompt_tokens,
    completion_tokens = u.completion_tokens + c.completion_tokens,
    total_tokens = u.total_tokens + c.total_tokens,
    <bucket> = coalesce(u.<bucket> + c.<bucket>, u.<bucket>, c.<bucket>),
    <bucket_steps> = u.<bucket_steps> + c.<bucket_steps>,
FROM usage_changes c
WHERE u.day = c.day AND u.organization = c.organization AND u.agent_id = c.agent_id
    AND u.project_id IS NOT DISTINCT FROM c.project_id
    AND u.model IS NOT DISTINCT FROM c.model;

-- insert [run.step_recorded]: the new totals
INSERT INTO usage_totals BY NAME
FROM usage_changes c
ANTI JOIN (FROM usage_totals WHERE day >= (SELECT min(day) FROM usage_changes)) u
    ON u.day = c.day AND u.organization = c.organization AND u.agent_id = c.agent_id
    AND u.project_id IS NOT DISTINCT FROM c.project_id AND u.model IS NOT DISTINCT FROM c.model;
