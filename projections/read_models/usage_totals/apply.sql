-- changes [run.step_recorded]: the batch's sums
CREATE OR REPLACE TEMP TABLE usage_changes AS
SELECT organization, project_id, agent_id, model,
    (occurred_at AT TIME ZONE 'UTC')::DATE AS day,
    count(*) AS steps,
    coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
    coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens,
    coalesce(sum(total_tokens), 0)::BIGINT AS total_tokens,
    sum(fresh_input_tokens)::BIGINT AS fresh_input_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    sum(cache_write_tokens)::BIGINT AS cache_write_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(reasoning_tokens)::BIGINT AS reasoning_tokens,
    sum(cache_write_1h_tokens)::BIGINT AS cache_write_1h_tokens,
    count(fresh_input_tokens) AS fresh_input_steps,
    count(cache_read_tokens) AS cache_read_steps,
    count(cache_write_tokens) AS cache_write_steps,
    count(output_tokens) AS output_steps,
    count(reasoning_tokens) AS reasoning_steps,
    count(cache_write_1h_tokens) AS cache_write_1h_steps
FROM run_step_recorded
GROUP BY ALL;

-- update [run.step_recorded]: add them to the totals
UPDATE usage_totals AS u SET
    steps = u.steps + c.steps,
    prompt_tokens = u.prompt_tokens + c.prompt_tokens,
    completion_tokens = u.completion_tokens + c.completion_tokens,
    total_tokens = u.total_tokens + c.total_tokens,
    fresh_input_tokens = coalesce(u.fresh_input_tokens + c.fresh_input_tokens,
        u.fresh_input_tokens, c.fresh_input_tokens),
    cache_read_tokens = coalesce(u.cache_read_tokens + c.cache_read_tokens,
        u.cache_read_tokens, c.cache_read_tokens),
    cache_write_tokens = coalesce(u.cache_write_tokens + c.cache_write_tokens,
        u.cache_write_tokens, c.cache_write_tokens),
    output_tokens = coalesce(u.output_tokens + c.output_tokens, u.output_tokens, c.output_tokens),
    reasoning_tokens = coalesce(u.reasoning_tokens + c.reasoning_tokens,
        u.reasoning_tokens, c.reasoning_tokens),
    cache_write_1h_tokens = coalesce(u.cache_write_1h_tokens + c.cache_write_1h_tokens,
        u.cache_write_1h_tokens, c.cache_write_1h_tokens),
    fresh_input_steps = u.fresh_input_steps + c.fresh_input_steps,
    cache_read_steps = u.cache_read_steps + c.cache_read_steps,
    cache_write_steps = u.cache_write_steps + c.cache_write_steps,
    output_steps = u.output_steps + c.output_steps,
    reasoning_steps = u.reasoning_steps + c.reasoning_steps,
    cache_write_1h_steps = u.cache_write_1h_steps + c.cache_write_1h_steps
FROM usage_changes c
WHERE u.day = c.day AND u.organization = c.organization AND u.agent_id = c.agent_id
    AND u.project_id IS NOT DISTINCT FROM c.project_id
    AND u.model IS NOT DISTINCT FROM c.model;

-- insert [run.step_recorded]: begin those that were not there
INSERT INTO usage_totals BY NAME
FROM usage_changes c
ANTI JOIN (FROM usage_totals WHERE day >= (SELECT min(day) FROM usage_changes)) u
    ON u.day = c.day AND u.organization = c.organization AND u.agent_id = c.agent_id
    AND u.project_id IS NOT DISTINCT FROM c.project_id AND u.model IS NOT DISTINCT FROM c.model;
