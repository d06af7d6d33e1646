-- touched: the totals that hold steps of deleted runs. Those steps are still in their table:
-- read models are deleted from in reverse order.
CREATE OR REPLACE TEMP TABLE touched_totals AS
SELECT DISTINCT s.organization, s.project_id, s.agent_id, s.model,
    (s.created_at AT TIME ZONE 'UTC')::DATE AS day
FROM steps s JOIN deleted d ON s.born = d.born AND s.run_id = d.run_id
WHERE s.status <> 'pending';

-- drop: the touched totals
DELETE FROM usage_totals AS u USING touched_totals t
WHERE u.day = t.day AND u.organization = t.organization AND u.agent_id = t.agent_id
    AND u.project_id IS NOT DISTINCT FROM t.project_id
    AND u.model IS NOT DISTINCT FROM t.model;

-- rebuild: sum them again without the deleted runs; a difference could not tell NULL from 0
INSERT INTO usage_totals BY NAME
SELECT t.organization, t.project_id, t.agent_id, t.model, t.day, count(*) AS steps,
    coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
    coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens,
    coalesce(sum(total_tokens), 0)::BIGINT AS total_tokens,
    sum(fresh_input_tokens)::BIGINT AS fresh_input_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    sum(cache_write_tokens)::BIGINT AS cache_write_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(reasoning_tokens)::BIGINT AS reasoning_tokens
FROM touched_totals t JOIN steps s
    ON s.organization = t.organization AND s.agent_id = t.agent_id
    AND s.project_id IS NOT DISTINCT FROM t.project_id
    AND s.model IS NOT DISTINCT FROM t.model
    AND (s.created_at AT TIME ZONE 'UTC')::DATE = t.day
ANTI JOIN deleted d ON s.born = d.born AND s.run_id = d.run_id
WHERE s.status <> 'pending'
GROUP BY ALL;
