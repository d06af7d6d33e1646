-- said: everything the batch's messages say of a tool call, in the order it was said
CREATE OR REPLACE TEMP TABLE call_words AS
WITH message AS (
    SELECT position, stream AS run_id, born, organization, agent_id, project_id, occurred_at,
        unnest(messages) AS m, generate_subscripts(messages, 1) AS place
    FROM batch WHERE topic = 'run.messages_recorded'
)
SELECT position, place, run_id, born, organization, agent_id, project_id, occurred_at,
    m.message_id, m.step_id, m.role, call.tool_call_id, call.name, call.tool_id,
    NULL::VARCHAR AS return_status, NULL::BOOLEAN AS approve
FROM (SELECT *, unnest(m.tool_calls) AS call FROM message)
UNION ALL BY NAME
SELECT position, place, run_id, born, occurred_at, r.tool_call_id, r.status AS return_status
FROM (SELECT *, unnest(m.tool_returns) AS r FROM message)
UNION ALL BY NAME
SELECT position, place, run_id, born, occurred_at, a.tool_call_id, a.approve
FROM (SELECT *, unnest(m.approvals) AS a FROM message)
UNION ALL BY NAME
SELECT position, 0 AS place, stream AS run_id, born, occurred_at, d.tool_call_id, FALSE AS approve
FROM (SELECT *, unnest(tool_calls) AS d FROM batch WHERE topic = 'run.tool_calls_denied');

-- changes: one row per call; the first return counts, a denial is never taken back
CREATE OR REPLACE TEMP TABLE call_changes AS
SELECT run_id, born, tool_call_id,
    any_value(organization) AS organization, any_value(agent_id) AS agent_id,
    any_value(project_id) AS project_id,
    arg_min({'name': name, 'tool_id': tool_id, 'step_id': step_id, 'message_id': message_id,
        'at': occurred_at, 'position': position}, (position, place))
        FILTER (name IS NOT NULL) AS called,
    coalesce(bool_or(role = 'approval'), FALSE) AS needs_approval,
    bool_and(approve) AS approved,
    coalesce(bool_or(NOT approve), FALSE) AS denied,
    arg_min({'status': return_status, 'at': occurred_at}, (position, place))
        FILTER (return_status IS NOT NULL) AS returned
FROM call_words
GROUP BY run_id, born, tool_call_id;

-- merge: what is said of a call that the run never made is not a row
MERGE INTO tool_calls AS t USING call_changes AS c
ON t.born = c.born AND t.run_id = c.run_id AND t.tool_call_id = c.tool_call_id
WHEN MATCHED THEN UPDATE SET
    needs_approval = t.needs_approval OR c.needs_approval,
    approved = CASE WHEN c.approved IS NULL THEN t.approved
        ELSE coalesce(t.approved, TRUE) AND c.approved END,
    denied = t.denied OR c.denied,
    returned_at = coalesce(t.returned_at, c.returned.at),
    return_status = coalesce(t.return_status, c.returned.status),
    status = CASE WHEN t.denied OR c.denied THEN 'denied'
        ELSE coalesce(t.return_status, c.returned.status, 'open') END
WHEN NOT MATCHED AND c.called IS NOT NULL THEN INSERT
    (run_id, tool_call_id, born, organization, agent_id, project_id, step_id, message_id, name,
    tool_id, status, needs_approval, approved, denied, called_at, returned_at, return_status,
    position)
    VALUES (c.run_id, c.tool_call_id, c.born, c.organization, c.agent_id, c.project_id,
    c.called.step_id, c.called.message_id, c.called.name, c.called.tool_id,
    CASE WHEN c.denied THEN 'denied' ELSE coalesce(c.returned.status, 'open') END,
    c.needs_approval, c.approved, c.denied, c.called.at, c.returned.at, c.returned.status,
    c.called.position);
