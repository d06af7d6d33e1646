-- subtract: the sums of the deleted runs' steps, which are still in their table, as model.toml says.
-- A bucket that no other step reported becomes NULL again.
UPDATE usage_totals AS u SET
    steps = u.steps - d.steps,
    prompt_tokens = u.prompt_tokens - d.prompt_tokens,
    completion_tokens = u.completion_tokens - d.completion_tokens,
    total_tokens = u.total_tokens - d.total_tokens,
    fresh_input_tokens = CASE WHEN u.fresh_input_steps > d.fresh_input_steps
        THEN u.fresh_input_tokens - coalesce(d.fresh_input_tokens, 0) END,
    cache_read_tokens = CASE WHEN u.cache_read_steps > d.cache_read_steps
        THEN u.cache_read_tokens - coalesce(d.cache_read_tokens, 0) END,
    cache_write_tokens = CASE WHEN u.cache_write_steps > d.cache_write_steps
        THEN u.cache_write_tokens - coalesce(d.cache_write_tokens, 0) END,
    output_tokens = CASE WHEN u.output_steps > d.output_steps
        THEN u.output_tokens - coalesce(d.output_tokens, 0) END,
    reasoning_tokens = CASE WHEN u.reasoning_steps > d.reasoning_steps
        THEN u.reasoning_tokens - coalesce(d.reasoning_tokens, 0) END,
    cache_write_1h_tokens = CASE WHEN u.cache_write_1h_steps > d.cache_write_1h_steps
        THEN u.cache_write_1h_tokens - coalesce(d.cache_write_1h_tokens, 0) END,
    fresh_input_steps = u.fresh_input_steps - d.fresh_input_steps,
    cache_read_steps = u.cache_read_steps - d.cache_read_steps,
    cache_write_steps = u.cache_write_steps - d.cache_write_steps,
    output_steps = u.output_steps - d.output_steps,
    reasoning_steps = u.reasoning_steps - d.reasoning_steps,
    cache_write_1h_steps = u.cache_write_1h_steps - d.cache_write_1h_steps
FROM (
    SELECT s.organization, s.project_id, s.agent_id, s.model,
        (s.created_at AT TIME ZONE 'UTC')::DATE AS day, count(*) AS steps,
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
    FROM steps s JOIN deleted ON s.born = deleted.born AND s.run_id = deleted.run_id
    WHERE s.status <> 'pending'
    GROUP BY ALL
) AS d
WHERE u.day = d.day AND u.organization = d.organization AND u.agent_id = d.agent_id
    AND u.project_id IS NOT DISTINCT FROM d.project_id
    AND u.model IS NOT DISTINCT FROM d.model;

-- drop: totals of nothing
DELETE FROM usage_totals WHERE steps = 0;
