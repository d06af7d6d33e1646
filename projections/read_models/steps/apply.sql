-- pending [run.step_started]: steps that began
INSERT INTO steps BY NAME
SELECT stream AS run_id, step_id, born, organization, agent_id, project_id, 'pending' AS status,
    FALSE AS late, occurred_at AS created_at, provider_name, model,
    []::VARCHAR[] AS tags, position
FROM run_step_started;

-- finished [run.step_recorded]: the end of a step replaces its beginning
DELETE FROM steps USING run_step_recorded b
WHERE steps.born = b.born AND steps.run_id = b.stream
    AND steps.step_id = b.step_id AND steps.status = 'pending';

-- recorded [run.step_recorded]: steps that ended; feedback alone changes their rows
INSERT INTO steps BY NAME
SELECT stream AS run_id, step_id, born, organization, agent_id, project_id, status, late,
    occurred_at AS created_at, provider_name, provider_category, provider_id, model, model_handle,
    model_endpoint, context_window_limit, prompt_tokens, completion_tokens, total_tokens,
    <bucket>,
    input_rule, output_rule, prompt_tokens_details,
    completion_tokens_details, usage_details, input_includes_cache, output_includes_reasoning,
    total_derived, stop_reason, error_type, error_data, origin,
    tags, tid, trace_id, request_id, step_start_ns, step_ns, llm_request_start_ns, llm_request_ns,
    tool_execution_ns, position
FROM run_step_recorded;

-- judged [run.step_feedback_recorded]: the last feedback of the batch on each step, and the last
-- tags in any feedback; a step with feedback has ended
UPDATE steps SET feedback = j.word.feedback, tags = coalesce(j.tags, steps.tags)
FROM (
    SELECT stream AS run_id, born, step_id, arg_max({'feedback': feedback}, position) AS word,
        arg_max(tags, position) FILTER (tags IS NOT NULL) AS tags
    FROM run_step_feedback_recorded GROUP BY stream, born, step_id
) j
WHERE steps.born = j.born AND steps.run_id = j.run_id AND steps.step_id = j.step_id;
