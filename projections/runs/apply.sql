-- changes: what the batch says of each run, in one row
CREATE OR REPLACE TEMP TABLE run_changes AS
SELECT stream AS run_id, born, last(organization ORDER BY position) AS organization,
    last(agent_id ORDER BY position) AS agent_id, last(project_id ORDER BY position) AS project_id,
    min(position) FILTER (topic = 'run.created') AS created_position,
    any_value(conversation_id) AS conversation_id,
    any_value(base_template_id) AS base_template_id,
    any_value(background) AS background,
    any_value(occurred_at) FILTER (topic = 'run.created') AS created_at,
    any_value(metadata) FILTER (topic = 'run.created') AS metadata,
    any_value(request_config) AS request_config,
    any_value(callback_url) AS callback_url,
    arg_min(occurred_at, position) FILTER (NOT coalesce(late, FALSE) AND topic IN (
        'run.started', 'run.step_started', 'run.step_recorded', 'run.messages_recorded',
        'run.heartbeat_recorded')) AS started_at,
    -- The last end of the batch decides the status, the first one the time and the duration.
    arg_max({'status': topic[5:], 'stop_reason': stop_reason}, position)
        FILTER (topic IN ('run.completed', 'run.failed', 'run.cancelled')) AS ended,
    max(position) FILTER (topic IN ('run.completed', 'run.failed', 'run.cancelled'))
        AS ended_position,
    arg_min({'at': occurred_at, 'run_ns': run_ns}, position)
        FILTER (topic IN ('run.completed', 'run.failed', 'run.cancelled')) AS first_end,
    any_value(error_type) FILTER (topic = 'run.failed') AS error_type,
    any_value(error_message) FILTER (topic = 'run.failed') AS error_message,
    any_value(error_data) FILTER (topic = 'run.failed') AS error_data,
    count(*) FILTER (topic = 'run.step_recorded') AS num_steps,
    coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
    coalesce(sum(completion_tokens), 0)::BIGINT AS completion_tokens,
    coalesce(sum(total_tokens), 0)::BIGINT AS total_tokens,
    sum(fresh_input_tokens)::BIGINT AS fresh_input_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    sum(cache_write_tokens)::BIGINT AS cache_write_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(reasoning_tokens)::BIGINT AS reasoning_tokens,
    arg_max({'at': occurred_at, 'status_code': status_code, 'error': error}, position)
        FILTER (topic = 'run.callback_attempted') AS callback,
    arg_max({'deadline': approval_deadline}, position) FILTER (
        approval_deadline IS NOT NULL OR topic = 'run.tool_calls_denied'
        OR len(list_filter(messages, lambda m: len(m.approvals) > 0)) > 0) AS approval,
    max(occurred_at) AS last_event_at,
    arg_max(recorded_at, position) AS last_recorded_at,
    max(position) AS last_position
FROM batch WHERE born IS NOT NULL
GROUP BY stream, born;

-- insert: the runs that the batch creates
INSERT INTO runs BY NAME
SELECT run_id, born, organization, agent_id, project_id, conversation_id, base_template_id,
    background,
    CASE WHEN ended IS NOT NULL THEN ended.status
        WHEN started_at IS NOT NULL THEN 'running' ELSE 'created' END AS status,
    ended.stop_reason AS stop_reason, created_at, started_at, first_end.at AS completed_at,
    last_event_at, last_recorded_at, epoch_ns(created_at) AS run_start_ns,
    first_end.run_ns AS run_ns, num_steps,
    []::VARCHAR[] AS tools_used, []::VARCHAR[] AS tool_ids,
    prompt_tokens, completion_tokens, total_tokens, fresh_input_tokens, cache_read_tokens,
    cache_write_tokens, output_tokens, reasoning_tokens,
    coalesce(metadata, '{}') AS metadata, request_config, error_type, error_message, error_data,
    callback_url, callback.at AS callback_sent_at, callback.status_code AS callback_status_code,
    callback.error AS callback_error, approval.deadline AS approval_deadline,
    created_position, ended_position, last_position
FROM run_changes WHERE created_position IS NOT NULL
ORDER BY created_position;

-- update: the runs that were there
UPDATE runs SET
    status = CASE WHEN c.ended IS NOT NULL THEN c.ended.status
        WHEN runs.status = 'created' AND c.started_at IS NOT NULL THEN 'running'
        ELSE runs.status END,
    stop_reason = CASE WHEN c.ended IS NOT NULL THEN c.ended.stop_reason
        ELSE runs.stop_reason END,
    started_at = coalesce(runs.started_at, c.started_at),
    run_ns = CASE WHEN runs.completed_at IS NULL THEN c.first_end.run_ns ELSE runs.run_ns END,
    completed_at = coalesce(runs.completed_at, c.first_end.at),
    last_event_at = greatest(runs.last_event_at, c.last_event_at),
    last_recorded_at = c.last_recorded_at,
    num_steps = runs.num_steps + c.num_steps,
    prompt_tokens = runs.prompt_tokens + c.prompt_tokens,
    completion_tokens = runs.completion_tokens + c.completion_tokens,
    total_tokens = runs.total_tokens + c.total_tokens,
    fresh_input_tokens = coalesce(runs.fresh_input_tokens + c.fresh_input_tokens,
        runs.fresh_input_tokens, c.fresh_input_tokens),
    cache_read_tokens = coalesce(runs.cache_read_tokens + c.cache_read_tokens,
        runs.cache_read_tokens, c.cache_read_tokens),
    cache_write_tokens = coalesce(runs.cache_write_tokens + c.cache_write_tokens,
        runs.cache_write_tokens, c.cache_write_tokens),
    output_tokens = coalesce(runs.output_tokens + c.output_tokens,
        runs.output_tokens, c.output_tokens),
    reasoning_tokens = coalesce(runs.reasoning_tokens + c.reasoning_tokens,
        runs.reasoning_tokens, c.reasoning_tokens),
    error_type = coalesce(c.error_type, runs.error_type),
    error_message = coalesce(c.error_message, runs.error_message),
    error_data = coalesce(c.error_data, runs.error_data),
    callback_sent_at = CASE WHEN c.callback IS NOT NULL THEN c.callback.at
        ELSE runs.callback_sent_at END,
    callback_status_code = CASE WHEN c.callback IS NOT NULL THEN c.callback.status_code
        ELSE runs.callback_status_code END,
    callback_error = CASE WHEN c.callback IS NOT NULL THEN c.callback.error
        ELSE runs.callback_error END,
    approval_deadline = CASE WHEN c.approval IS NOT NULL THEN c.approval.deadline
        ELSE runs.approval_deadline END,
    ended_position = coalesce(c.ended_position, runs.ended_position),
    last_position = c.last_position
FROM run_changes c
WHERE c.created_position IS NULL AND runs.born = c.born AND runs.run_id = c.run_id;

-- tools: the tools that the batch's messages call, by run
CREATE OR REPLACE TEMP TABLE run_tools AS
SELECT run_id, born, list_sort(list(DISTINCT call.name)) AS names,
    coalesce(list_sort(list(DISTINCT call.tool_id) FILTER (call.tool_id IS NOT NULL)),
        []::VARCHAR[]) AS ids
FROM (
    SELECT stream AS run_id, born, unnest(flatten(list_transform(messages, lambda m: m.tool_calls)))
        AS call
    FROM batch WHERE topic = 'run.messages_recorded'
)
GROUP BY run_id, born;

-- tools_used: add the tools that the run had not used; a list is rewritten whole, so only where needed
UPDATE runs SET
    tools_used = list_sort(list_distinct(list_concat(runs.tools_used, t.names))),
    tool_ids = list_sort(list_distinct(list_concat(runs.tool_ids, t.ids)))
FROM run_tools t
WHERE runs.born = t.born AND runs.run_id = t.run_id
    AND NOT (list_has_all(runs.tools_used, t.names) AND list_has_all(runs.tool_ids, t.ids));

-- patched: the last word of the batch on each metadata key; a NULL value takes the key away
CREATE OR REPLACE TEMP TABLE run_patches AS
SELECT run_id, born, key, arg_max({'value': value}, position).value AS value
FROM (
    SELECT stream AS run_id, born, position, e.key, e.value
    FROM batch, json_each(batch.patch) e WHERE topic = 'run.metadata_patched'
    UNION ALL
    SELECT stream, born, position, unnest(removed), NULL
    FROM batch WHERE topic = 'run.metadata_patched'
)
GROUP BY run_id, born, key;

-- metadata: the keys that stay, and those that are set
UPDATE runs SET metadata = m.metadata
FROM (
    SELECT run_id, born,
        coalesce(to_json(map_from_entries(list((key, value) ORDER BY key)
            FILTER (value IS NOT NULL))), '{}') AS metadata
    FROM (
        SELECT run_id, born, key, value FROM run_patches
        UNION ALL
        SELECT r.run_id, r.born, e.key, e.value
        FROM runs r
        SEMI JOIN run_patches p ON p.born = r.born AND p.run_id = r.run_id,
            json_each(r.metadata) e
        WHERE NOT EXISTS (
            SELECT 1 FROM run_patches p
            WHERE p.born = r.born AND p.run_id = r.run_id AND p.key = e.key)
    )
    GROUP BY run_id, born
) m
WHERE runs.born = m.born AND runs.run_id = m.run_id;
