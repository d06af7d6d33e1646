-- revisions: today's revision of every topic, and how many facts are never left out
CREATE OR REPLACE TEMP TABLE revisions (topic VARCHAR, today INTEGER, required INTEGER);

-- known: fill it from the catalogue
INSERT INTO revisions SELECT unnest($topics), unnest($revisions), unnest($required);

-- shape: an event's facts with their types, all NULL where they are not JSON; one parse per event.
-- A value that is not of its type becomes NULL, too: `doubtful` notices.
CREATE OR REPLACE TEMP MACRO shape(text) AS TRY(json_transform(text, '{
    "revision": "INTEGER",
    "occurred_at": "TIMESTAMPTZ",
    "recorded_at": "TIMESTAMPTZ",
    "organization": "VARCHAR",
    "user": "VARCHAR",
    "correlation_id": "VARCHAR",
    "agent_id": "VARCHAR",
    "project_id": "VARCHAR",
    "born": "BIGINT",
    "conversation_id": "VARCHAR",
    "base_template_id": "VARCHAR",
    "background": "BOOLEAN",
    "metadata": "JSON",
    "request_config": "JSON",
    "callback_url": "VARCHAR",
    "step_id": "VARCHAR",
    "status": "VARCHAR",
    "late": "BOOLEAN",
    "provider_name": "VARCHAR",
    "provider_category": "VARCHAR",
    "provider_id": "VARCHAR",
    "model": "VARCHAR",
    "model_handle": "VARCHAR",
    "model_endpoint": "VARCHAR",
    "context_window_limit": "BIGINT",
    "prompt_tokens": "BIGINT",
    "completion_tokens": "BIGINT",
    "total_tokens": "BIGINT",
    "prompt_tokens_details": "JSON",
    "completion_tokens_details": "JSON",
    "fresh_input_tokens": "BIGINT",
    "cache_read_tokens": "BIGINT",
    "cache_write_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "reasoning_tokens": "BIGINT",
    "stop_reason": "VARCHAR",
    "error_type": "VARCHAR",
    "error_message": "VARCHAR",
    "error_data": "JSON",
    "origin": "VARCHAR",
    "tid": "VARCHAR",
    "trace_id": "VARCHAR",
    "request_id": "VARCHAR",
    "step_start_ns": "BIGINT",
    "step_ns": "BIGINT",
    "llm_request_start_ns": "BIGINT",
    "llm_request_ns": "BIGINT",
    "tool_execution_ns": "BIGINT",
    "messages": [{
        "message_id": "VARCHAR",
        "role": "VARCHAR",
        "step_id": "VARCHAR",
        "tool_calls": [{"tool_call_id": "VARCHAR", "name": "VARCHAR", "tool_id": "VARCHAR"}],
        "tool_returns": [{"tool_call_id": "VARCHAR", "status": "VARCHAR"}],
        "approvals": [{"tool_call_id": "VARCHAR", "approve": "BOOLEAN"}]
    }],
    "tool_calls": [{"tool_call_id": "VARCHAR", "name": "VARCHAR"}],
    "approval_deadline": "TIMESTAMPTZ",
    "patch": "JSON",
    "removed": ["VARCHAR"],
    "run_ns": "BIGINT",
    "reason": "VARCHAR",
    "webhook_id": "VARCHAR",
    "attempt": "INTEGER",
    "url": "VARCHAR",
    "status_code": "INTEGER",
    "error": "VARCHAR",
    "delivered": "BOOLEAN",
    "final": "BOOLEAN",
    "redelivery": "BOOLEAN",
    "attempt_ns": "BIGINT",
    "next_attempt_at": "TIMESTAMPTZ",
    "name": "VARCHAR",
    "agent_type": "VARCHAR"
}'));

-- nameless: whether a tool call has no id or no name
CREATE OR REPLACE TEMP MACRO nameless(calls) AS calls IS NULL
    OR len(list_filter(calls, lambda c: c.tool_call_id IS NULL OR c.name IS NULL)) > 0;

-- lacking: whether a fact is missing that every event of the topic has
CREATE OR REPLACE TEMP MACRO lacking(topic, s) AS
    s.occurred_at IS NULL OR s.recorded_at IS NULL OR s.organization IS NULL
    OR (topic LIKE 'run.%' AND (s.agent_id IS NULL OR s.born IS NULL))
    OR CASE topic
        WHEN 'run.created' THEN s.metadata IS NULL
        WHEN 'run.step_started' THEN s.step_id IS NULL
        WHEN 'run.step_recorded' THEN s.step_id IS NULL OR s.status IS NULL OR s.late IS NULL
        WHEN 'run.messages_recorded' THEN s.late IS NULL OR s.messages IS NULL
            OR len(list_filter(s.messages, lambda m: m.message_id IS NULL OR m.role IS NULL
                OR nameless(m.tool_calls) OR m.tool_returns IS NULL OR m.approvals IS NULL
                OR len(list_filter(m.tool_returns,
                    lambda r: r.tool_call_id IS NULL OR r.status IS NULL)) > 0
                OR len(list_filter(m.approvals,
                    lambda a: a.tool_call_id IS NULL OR a.approve IS NULL)) > 0)) > 0
        WHEN 'run.metadata_patched' THEN s.patch IS NULL OR s.removed IS NULL
        WHEN 'run.completed' THEN s.stop_reason IS NULL
        WHEN 'run.failed' THEN s.stop_reason IS NULL
        WHEN 'run.cancelled' THEN s.stop_reason IS NULL
        WHEN 'run.tool_calls_denied' THEN nameless(s.tool_calls)
        WHEN 'run.callback_attempted' THEN s.webhook_id IS NULL OR s.attempt IS NULL
            OR s.url IS NULL OR s.delivered IS NULL OR s.final IS NULL OR s.redelivery IS NULL
        WHEN 'run.callback_requested' THEN s.webhook_id IS NULL
        WHEN 'agent.registered' THEN s.agent_id IS NULL
        WHEN 'conversation.opened' THEN s.conversation_id IS NULL OR s.agent_id IS NULL
        WHEN 'conversation.claimed' THEN s.conversation_id IS NULL
        WHEN 'conversation.released' THEN s.conversation_id IS NULL
        ELSE FALSE
    END;

-- has: 1 for a fact that is there
CREATE OR REPLACE TEMP MACRO has(fact) AS (fact IS NOT NULL)::UTINYINT;

-- present: how many are there of the facts that may be left out
CREATE OR REPLACE TEMP MACRO present(s) AS (
    has(s."user") + has(s.correlation_id) + has(s.project_id) + has(s.conversation_id)
    + has(s.base_template_id) + has(s.background) + has(s.request_config) + has(s.callback_url)
    + has(s.provider_name) + has(s.model) + has(s.provider_category) + has(s.provider_id)
    + has(s.model_handle) + has(s.model_endpoint) + has(s.context_window_limit)
    + has(s.prompt_tokens) + has(s.completion_tokens) + has(s.total_tokens)
    + has(s.prompt_tokens_details) + has(s.completion_tokens_details) + has(s.fresh_input_tokens)
    + has(s.cache_read_tokens) + has(s.cache_write_tokens) + has(s.output_tokens)
    + has(s.reasoning_tokens) + has(s.stop_reason) + has(s.error_type) + has(s.error_data)
    + has(s.origin) + has(s.tid) + has(s.trace_id) + has(s.request_id) + has(s.step_start_ns)
    + has(s.step_ns) + has(s.llm_request_start_ns) + has(s.llm_request_ns)
    + has(s.tool_execution_ns) + has(s.approval_deadline) + has(s.run_ns) + has(s.error_message)
    + has(s.reason) + has(s.status_code) + has(s.error) + has(s.attempt_ns)
    + has(s.next_attempt_at) + has(s.name) + has(s.agent_type)
);

-- typed_facts: the events of a table of the log with their facts as columns. `doubtful` marks those
-- whose facts are, as far as types tell, not what the catalogue says: a fact is missing that every
-- such event has, or there are fewer values than keys.
CREATE OR REPLACE TEMP MACRO typed_facts(log) AS TABLE
SELECT position, stream, version, topic, facts, unnest(shape),
    coalesce(lacking(topic, shape) OR keys <> required + present(shape), TRUE) AS doubtful
FROM (
    SELECT * EXCLUDE (text), shape(text) AS shape, TRY(len(json_keys(text))) AS keys
    FROM (
        SELECT position, stream, version, topic, facts, required, TRY(decode(facts)) AS text
        FROM query_table(log) LEFT JOIN revisions USING (topic)
    )
);

-- feed: where batches lie, in memory: one thread makes the next while another folds the last
ATTACH IF NOT EXISTS ':memory:' AS feed;

-- parse: the events of a batch; the facts themselves stay where Python must see them
CREATE OR REPLACE TABLE feed.parsed AS
SELECT * EXCLUDE (today, required, "user", correlation_id, provider_id, model_handle,
        model_endpoint, context_window_limit, origin, tid, reason)
    REPLACE (CASE WHEN doubtful OR revision IS DISTINCT FROM today THEN facts END AS facts)
FROM typed_facts('log_batch') LEFT JOIN revisions USING (topic);

-- typed: the events of the batch as they were read
CREATE OR REPLACE TEMP VIEW typed AS FROM feed.parsed;

-- extent: how many events up to which position, how many of them Python must see, their topics,
-- and whether anything is parked
SELECT count(*), max(position), count(*) FILTER (doubtful OR revision IS DISTINCT FROM today),
    coalesce(list(DISTINCT topic), []), EXISTS (FROM parked_runs)
FROM typed LEFT JOIN revisions USING (topic);

-- unread: events that Python must see: of an earlier revision, of one not known here, or doubtful
CREATE OR REPLACE TEMP TABLE unread AS
SELECT position, stream, version, topic, facts FROM typed LEFT JOIN revisions USING (topic)
WHERE doubtful OR revision IS DISTINCT FROM today
ORDER BY position;

-- unread_events: give them to Python
FROM unread;

-- reshape: those that the catalogue understands, in today's shape
CREATE OR REPLACE TEMP TABLE reshaped AS SELECT * EXCLUDE (facts) FROM typed_facts('log_batch');

-- misfits: events that the catalogue takes, with a value that its column does not, such as a number
-- beyond 64 bits
SELECT position FROM reshaped WHERE doubtful;

-- all_legible: every event is in today's shape
CREATE OR REPLACE TEMP VIEW legible AS SELECT * EXCLUDE (facts) FROM typed;

-- legible: the events in today's shape
CREATE OR REPLACE TEMP VIEW legible AS
SELECT * EXCLUDE (facts) FROM typed ANTI JOIN unread USING (position)
UNION ALL BY NAME
FROM reshaped;

-- whole: projections read every event of the batch as it was read
CREATE OR REPLACE TEMP VIEW batch AS FROM typed;

-- part: or all but some
CREATE OR REPLACE TEMP VIEW batch AS
FROM legible ANTI JOIN left_out USING (position);

-- deleted: the runs that the batch deletes
CREATE OR REPLACE TEMP TABLE deleted AS
SELECT stream AS run_id, any_value(born) AS born, any_value(organization) AS organization,
    any_value(agent_id) AS agent_id, max(position) AS position
FROM legible WHERE topic = 'run.deleted' GROUP BY stream;

-- left_out: nothing of a run that the batch deletes is projected from it
CREATE OR REPLACE TEMP TABLE left_out AS
SELECT t.position FROM typed t SEMI JOIN deleted d ON t.stream = d.run_id;

-- said: what the batch's messages say of tool calls, a row for each call, return and answer.
-- `place` orders them, those of one event, too.
CREATE OR REPLACE TEMP TABLE said AS
WITH message AS (
    SELECT stream AS run_id, born, organization, agent_id, project_id, occurred_at, position,
        approval_deadline, unnest(messages) AS m,
        position * 1_048_576 + generate_subscripts(messages, 1) AS place
    FROM batch WHERE topic = 'run.messages_recorded'
)
SELECT * EXCLUDE (call), call.tool_call_id, call.name, call.tool_id,
    NULL::VARCHAR AS return_status, NULL::BOOLEAN AS approve
FROM (
    SELECT * EXCLUDE (m), m.message_id, m.step_id, m.role = 'approval' AS asks,
        unnest(m.tool_calls) AS call
    FROM message
)
UNION ALL BY NAME
SELECT * EXCLUDE (r), r.tool_call_id, r.status AS return_status
FROM (SELECT * EXCLUDE (m), unnest(m.tool_returns) AS r FROM message)
UNION ALL BY NAME
SELECT * EXCLUDE (a), a.tool_call_id, a.approve
FROM (SELECT * EXCLUDE (m), unnest(m.approvals) AS a FROM message)
UNION ALL BY NAME
SELECT * EXCLUDE (d), d.tool_call_id, FALSE AS approve
FROM (
    SELECT stream AS run_id, born, organization, agent_id, project_id, occurred_at, position,
        position * 1_048_576 AS place, unnest(tool_calls) AS d
    FROM batch WHERE topic = 'run.tool_calls_denied'
);
