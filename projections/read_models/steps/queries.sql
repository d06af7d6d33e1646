-- select: the columns of a step in a list
SELECT step_id, run_id, agent_id, organization, project_id, status, late, created_at, provider_name,
    provider_category, provider_id, model, model_handle, model_endpoint, context_window_limit,
    prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details,
    completion_tokens_details,
    <bucket>,
    input_rule, output_rule, usage_details,
    input_includes_cache, output_includes_reasoning, total_derived, stop_reason, error_type,
    error_data, origin, tags, tid, trace_id, request_id, step_start_ns, step_ns, llm_request_start_ns, llm_request_ns,
    tool_execution_ns, feedback
FROM steps;

-- organization: the scope of every query
organization = $organization;

-- step_id: this step
step_id = $step_id;

-- run_id: steps of this run
run_id = $run_id;

-- agent_id: steps of this agent's runs
agent_id = $agent_id;

-- model: steps that called this model
model = $model;

-- project_id: steps of a project's runs
project_id = $project_id;

-- trace_ids: any of these traces
list_contains($trace_ids::VARCHAR[], trace_id);

-- tags: any of these tags
list_has_any(tags, $tags::VARCHAR[]);

-- feedback: this feedback
feedback = $feedback;

-- has_feedback: with feedback, or without
(feedback IS NOT NULL) = $has_feedback;

-- start_date: recorded then or later
created_at >= $start_date;

-- end_date: recorded earlier
created_at < $end_date;

-- cursor: the row after which a page continues
SELECT created_at, position FROM steps;

-- newer: later than the cursor; between equal times the place in the log decides
(created_at > $cursor_time OR (created_at = $cursor_time AND position > $cursor_position));

-- older: earlier than the cursor
(created_at < $cursor_time OR (created_at = $cursor_time AND position < $cursor_position));

-- oldest_first: a total order
ORDER BY created_at, position LIMIT $limit;

-- newest_first: a total order
ORDER BY created_at DESC, position DESC LIMIT $limit;

-- split_by: how many steps each rule split, input and output
SELECT side, rule, count(*)
FROM (SELECT input_rule AS input, output_rule AS output FROM steps)
    UNPIVOT (rule FOR side IN (input, output))
GROUP BY ALL ORDER BY ALL;

-- totals_apart: steps whose total is not the sum of their buckets, because no rule results in it
SELECT count(*), min(run_id) FROM steps
WHERE (prompt_tokens IS NOT NULL OR completion_tokens IS NOT NULL)
    AND total_tokens <> 0
        + coalesce(<disjoint_bucket>, 0)
;
