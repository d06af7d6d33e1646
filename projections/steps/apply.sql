-- changes: the last event of the batch on each step; a recorded step is final
CREATE OR REPLACE TEMP TABLE step_changes AS
SELECT stream AS run_id, step_id, born, organization, agent_id, project_id,
    CASE topic WHEN 'run.step_started' THEN 'pending' ELSE status END AS status,
    coalesce(late, FALSE) AS late, occurred_at AS created_at, provider_name, provider_category,
    model, prompt_tokens, completion_tokens, total_tokens, fresh_input_tokens, cache_read_tokens,
    cache_write_tokens, output_tokens, reasoning_tokens, prompt_tokens_details,
    completion_tokens_details, stop_reason, error_type, error_data, trace_id, request_id,
    step_start_ns, step_ns, llm_request_start_ns, llm_request_ns, tool_execution_ns, position
FROM batch WHERE topic IN ('run.step_started', 'run.step_recorded')
QUALIFY row_number() OVER (PARTITION BY stream, step_id ORDER BY position DESC) = 1;

-- merge: insert the step, or finish the pending one
MERGE INTO steps USING step_changes AS c
ON steps.born = c.born AND steps.run_id = c.run_id AND steps.step_id = c.step_id
WHEN MATCHED THEN UPDATE BY NAME
WHEN NOT MATCHED THEN INSERT BY NAME;
