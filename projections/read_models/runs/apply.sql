-- changes: the changes of the batch to each run, in one row
CREATE OR REPLACE TEMP TABLE run_changes AS
SELECT e.run_id, e.born, e.created, e.started_at, e.last_event_at, e.last_recorded_at,
    e.last_position, e.version, f.* EXCLUDE (run_id), coalesce(s.num_steps, 0) AS num_steps,
    coalesce(s.prompt_tokens, 0) AS prompt_tokens,
    coalesce(s.completion_tokens, 0) AS completion_tokens,
    coalesce(s.total_tokens, 0) AS total_tokens,
    s.<bucket>,
    a.callback
FROM (
    SELECT stream AS run_id, born, bool_or(topic = 'run.created') AS created,
        arg_min(occurred_at, position) FILTER (NOT coalesce(late, FALSE) AND topic IN ('run.started',
            'run.step_started', 'run.step_recorded', 'run.messages_recorded',
            'run.heartbeat_recorded')) AS started_at,
        max(occurred_at) AS last_event_at,
        arg_max(recorded_at, position) AS last_recorded_at,
        max(position) AS last_position,
        max(version) AS version
    FROM batch WHERE born IS NOT NULL
    GROUP BY stream, born
) e
LEFT JOIN (
    -- The last end decides the status; the first one the time and the duration, which a later one
    -- does not have.
    SELECT stream AS run_id, arg_max(topic, position) AS ended_by,
        arg_max(stop_reason, position) AS stop_reason,
        max(position) AS ended_position,
        arg_min(occurred_at, position) AS completed_at,
        arg_min(run_ns, position) AS run_ns,
        arg_max(error_type, position) AS error_type,
        arg_max(error_message, position) AS error_message,
        arg_max(error_data, position) AS error_data
    FROM ended GROUP BY stream
) f ON f.run_id = e.run_id
LEFT JOIN (
    SELECT stream AS run_id, count(*) AS num_steps, sum(prompt_tokens)::BIGINT AS prompt_tokens,
        sum(completion_tokens)::BIGINT AS completion_tokens,
        sum(total_tokens)::BIGINT AS total_tokens,
        sum(<bucket>)::BIGINT AS <bucket>,
    FROM run_step_recorded GROUP BY stream
) s ON s.run_id = e.run_id
LEFT JOIN (
    SELECT stream AS run_id, arg_max({'at': occurred_at, 'status_code': status_code,
        'error': error}, position) AS callback
    FROM run_callback_attempted GROUP BY stream
) a ON a.run_id = e.run_id;

-- tools [run.messages_recorded]: the tools that the batch's messages call, by run
CREATE OR REPLACE TEMP TABLE run_tools AS
SELECT run_id, born, list_sort(list(DISTINCT name)) AS names,
    coalesce(list_sort(list(DISTINCT tool_id) FILTER (tool_id IS NOT NULL)), []::VARCHAR[]) AS ids
FROM said WHERE name IS NOT NULL
GROUP BY run_id, born;

-- insert [run.created]: the runs that the batch creates
INSERT INTO runs BY NAME
SELECT b.stream AS run_id, b.born, b.organization, b.agent_id, b.project_id, b.conversation_id,
    b.base_template_id, b.background,
    CASE WHEN c.ended_by IS NOT NULL THEN c.ended_by[5:]
        WHEN c.started_at IS NOT NULL THEN 'running' ELSE 'created' END AS status,
    c.stop_reason, b.occurred_at AS created_at, c.started_at, c.completed_at, c.last_event_at,
    c.last_recorded_at, epoch_ns(b.occurred_at) AS run_start_ns, c.run_ns, c.num_steps,
    coalesce(t.names, []::VARCHAR[]) AS tools_used, coalesce(t.ids, []::VARCHAR[]) AS tool_ids,
    c.prompt_tokens, c.completion_tokens, c.total_tokens,
    c.<bucket>,
    coalesce(b.metadata, '{}') AS metadata, b.request_config, c.error_type, c.error_message,
    c.error_data, b.callback_url, c.callback.at AS callback_sent_at,
    c.callback.status_code AS callback_status_code, c.callback.error AS callback_error,
    b.position AS created_position, c.ended_position, c.last_position, c.version
FROM run_created b
JOIN run_changes c ON c.run_id = b.stream
LEFT JOIN run_tools t ON t.run_id = b.stream
ORDER BY b.position;

-- update: the existing runs
UPDATE runs SET
    status = CASE WHEN c.ended_by IS NOT NULL THEN c.ended_by[5:]
        WHEN runs.status = 'created' AND c.started_at IS NOT NULL THEN 'running'
        ELSE runs.status END,
    stop_reason = coalesce(c.stop_reason, runs.stop_reason),
    started_at = coalesce(runs.started_at, c.started_at),
    run_ns = coalesce(runs.run_ns, c.run_ns),
    completed_at = coalesce(runs.completed_at, c.completed_at),
    last_event_at = greatest(runs.last_event_at, c.last_event_at),
    last_recorded_at = c.last_recorded_at,
    num_steps = runs.num_steps + c.num_steps,
    prompt_tokens = runs.prompt_tokens + c.prompt_tokens,
    completion_tokens = runs.completion_tokens + c.completion_tokens,
    total_tokens = runs.total_tokens + c.total_tokens,
    <bucket> = coalesce(runs.<bucket> + c.<bucket>, runs.<bucket>, c.<bucket>),
    error_type = coalesce(c.error_type, runs.error_type),
    error_message = coalesce(c.error_message, runs.error_message),
    error_data = coalesce(c.error_data, runs.error_data),
    callback_sent_at = CASE WHEN c.callback IS NOT NULL THEN c.callback.at
        ELSE runs.callback_sent_at END,
    callback_status_code = CASE WHEN c.callback IS NOT NULL THEN c.callback.status_code
        ELSE runs.callback_status_code END,
    callback_error = CASE WHEN c.callback IS NOT NULL THEN c.callback.error
        ELSE runs.callback_error END,
    ended_position = coalesce(c.ended_position, runs.ended_position),
    last_position = c.last_position,
    version = c.version
FROM run_changes c
WHERE NOT c.created AND runs.born = c.born AND runs.run_id = c.run_id;

-- tools_used [run.messages_recorded]: add the tools that the run had not used; a list is rewritten
-- as a whole, so only if needed
UPDATE runs SET
    tools_used = list_sort(list_distinct(list_concat(runs.tools_used, t.names))),
    tool_ids = list_sort(list_distinct(list_concat(runs.tool_ids, t.ids)))
FROM run_tools t
WHERE runs.born = t.born AND runs.run_id = t.run_id
    AND NOT (list_has_all(runs.tools_used, t.names) AND list_has_all(runs.tool_ids, t.ids));

-- waits [run.messages_recorded, run.tool_calls_denied]: the time until which a run waits for a
-- person, by the last event of the batch; an answer or a denial ends the wait
UPDATE runs SET approval_deadline = w.word.deadline
FROM (
    SELECT run_id, born, arg_max({'deadline': deadline}, position) AS word
    FROM (
        SELECT stream AS run_id, born, position, approval_deadline AS deadline
        FROM run_messages_recorded WHERE approval_deadline IS NOT NULL
        UNION ALL
        SELECT run_id, born, position, approval_deadline FROM said WHERE denied IS NOT NULL
    )
    GROUP BY run_id, born
) w
WHERE runs.born = w.born AND runs.run_id = w.run_id;

-- patched [run.metadata_patched]: the last value of each metadata key in the batch; a NULL value
-- removes the key
CREATE OR REPLACE TEMP TABLE run_patches AS
SELECT run_id, born, key, arg_max({'value': value}, position).value AS value
FROM (
    SELECT stream AS run_id, born, position, e.key, e.value
    FROM run_metadata_patched p, json_each(p.patch) e
    UNION ALL
    SELECT stream, born, position, unnest(removed), NULL
    FROM run_metadata_patched
)
GROUP BY run_id, born, key;

-- metadata [run.metadata_patched]: the keys that stay, and those that are set
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

-- judged [run.feedback_recorded]: the last feedback of the batch on each run
UPDATE runs SET feedback = j.word.feedback
FROM (
    SELECT stream AS run_id, born, arg_max({'feedback': feedback}, position) AS word
    FROM run_feedback_recorded GROUP BY stream, born
) j
WHERE runs.born = j.born AND runs.run_id = j.run_id;
