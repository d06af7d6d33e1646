-- changes [run.messages_recorded, run.tool_calls_denied]: one row per call; the first call and the
-- first return are used; a denial is never reverted
CREATE OR REPLACE TEMP TABLE call_changes AS
SELECT run_id, born, tool_call_id, any_value(organization) AS organization,
    any_value(agent_id) AS agent_id, any_value(project_id) AS project_id,
    arg_min({'name': name, 'tool_id': tool_id, 'step_id': step_id, 'message_id': message_id,
        'at': occurred_at, 'position': position}, place) FILTER (name IS NOT NULL) AS called,
    coalesce(bool_or(asks), FALSE) AS needs_approval,
    bool_and(approve) AS approved,
    coalesce(bool_or(denied), FALSE) AS denied,
    arg_min(return_status, place) AS return_status,
    arg_min(occurred_at, place) FILTER (return_status IS NOT NULL) AS returned_at
FROM said
GROUP BY run_id, born, tool_call_id;

-- update [run.messages_recorded, run.tool_calls_denied]: the existing calls; the first values are
-- kept
UPDATE tool_calls AS t SET
    step_id = CASE WHEN t.name IS NULL THEN c.called.step_id ELSE t.step_id END,
    message_id = coalesce(t.message_id, c.called.message_id),
    name = coalesce(t.name, c.called.name),
    tool_id = CASE WHEN t.name IS NULL THEN c.called.tool_id ELSE t.tool_id END,
    called_at = coalesce(t.called_at, c.called.at),
    position = coalesce(t.position, c.called.position),
    needs_approval = t.needs_approval OR c.needs_approval,
    approved = CASE WHEN c.approved IS NULL THEN t.approved
        ELSE coalesce(t.approved, TRUE) AND c.approved END,
    denied = t.denied OR c.denied,
    returned_at = coalesce(t.returned_at, c.returned_at),
    return_status = coalesce(t.return_status, c.return_status),
    status = CASE WHEN t.denied OR c.denied THEN 'denied'
        ELSE coalesce(t.return_status, c.return_status, 'open') END
FROM call_changes c
WHERE t.born = c.born AND t.run_id = c.run_id AND t.tool_call_id = c.tool_call_id;

-- insert [run.messages_recorded, run.tool_calls_denied]: the new calls; a condition limits the rows
-- to search, because an anti join alone reads the whole table. One MERGE would take twice as long,
-- and in a small batch as long as four such statements.
INSERT INTO tool_calls BY NAME
SELECT c.run_id, c.tool_call_id, c.born, c.organization, c.agent_id, c.project_id,
    c.called.step_id AS step_id, c.called.message_id AS message_id, c.called.name AS name,
    c.called.tool_id AS tool_id,
    CASE WHEN c.denied THEN 'denied' ELSE coalesce(c.return_status, 'open') END AS status,
    c.needs_approval, c.approved, c.denied, c.called.at AS called_at, c.returned_at,
    c.return_status, c.called.position AS position
FROM call_changes c
ANTI JOIN (FROM tool_calls WHERE born >= (SELECT min(born) FROM call_changes)) t
    ON t.born = c.born AND t.run_id = c.run_id AND t.tool_call_id = c.tool_call_id;
