-- ended [run.completed, run.failed, run.cancelled]: the ends of runs
CREATE OR REPLACE TEMP TABLE ended AS
SELECT position, stream, version, topic, occurred_at, organization, agent_id, project_id, born,
    stop_reason, run_ns, error_type, error_message, error_data
FROM (
    FROM run_completed
    UNION ALL BY NAME FROM run_failed
    UNION ALL BY NAME FROM run_cancelled
);

-- said [run.messages_recorded, run.tool_calls_denied]: the tool calls in messages, with a row for
-- each call, return, answer and denial. `place` orders them, also within an event. `approve` comes
-- from answers only: a denial also closes calls that were granted, or that needed no approval. A
-- call without a name is refused, which parks its run, and is not counted.
CREATE OR REPLACE TEMP TABLE said AS
WITH message AS (
    SELECT stream AS run_id, born, organization, agent_id, project_id, occurred_at, position,
        approval_deadline, unnest(messages) AS m,
        position * 1_048_576 + generate_subscripts(messages, 1) AS place
    FROM run_messages_recorded
)
SELECT * EXCLUDE (call), given(call.tool_call_id) AS tool_call_id, given(call.name) AS name,
    call.tool_id, NULL::VARCHAR AS return_status, NULL::BOOLEAN AS approve,
    NULL::BOOLEAN AS denied
FROM (
    SELECT * EXCLUDE (m), given(m.message_id) AS message_id, m.step_id,
        given(m.role) = 'approval' AS asks, unnest(m.tool_calls) AS call
    FROM message
)
UNION ALL BY NAME
SELECT * EXCLUDE (r), given(r.tool_call_id) AS tool_call_id, given(r.status) AS return_status
FROM (SELECT * EXCLUDE (m), unnest(m.tool_returns) AS r FROM message)
UNION ALL BY NAME
SELECT * EXCLUDE (a), given(a.tool_call_id) AS tool_call_id, given(a.approve) AS approve,
    NOT a.approve AS denied
FROM (SELECT * EXCLUDE (m), unnest(m.approvals) AS a FROM message)
UNION ALL BY NAME
SELECT * EXCLUDE (d), given(d.tool_call_id) AS tool_call_id, TRUE AS denied
FROM (
    SELECT stream AS run_id, born, organization, agent_id, project_id, occurred_at, position,
        position * 1_048_576 AS place, unnest(tool_calls) AS d
    FROM run_tool_calls_denied
);
