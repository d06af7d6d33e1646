-- changes: what the batch says of each agent
CREATE OR REPLACE TEMP TABLE agent_changes AS
SELECT organization, agent_id,
    arg_max({'project_id': project_id, 'name': name, 'agent_type': agent_type}, position)
        FILTER (topic = 'agent.registered') AS registered,
    min(occurred_at) FILTER (topic = 'agent.registered') AS registered_at,
    arg_max({'run_id': stream, 'at': occurred_at, 'position': position}, position)
        FILTER (topic = 'run.created') AS created,
    arg_max({'stop_reason': stop_reason, 'position': position}, position)
        FILTER (topic IN ('run.completed', 'run.failed', 'run.cancelled')) AS ended
FROM batch
WHERE topic IN ('agent.registered', 'run.created', 'run.completed', 'run.failed', 'run.cancelled')
GROUP BY organization, agent_id;

-- merge: later facts replace earlier ones
MERGE INTO agents AS a USING agent_changes AS c
ON a.organization = c.organization AND a.agent_id = c.agent_id
WHEN MATCHED THEN UPDATE SET
    project_id = CASE WHEN c.registered IS NULL THEN a.project_id ELSE c.registered.project_id END,
    name = CASE WHEN c.registered IS NULL THEN a.name ELSE c.registered.name END,
    agent_type = CASE WHEN c.registered IS NULL THEN a.agent_type ELSE c.registered.agent_type END,
    registered_at = coalesce(a.registered_at, c.registered_at),
    last_run_id = coalesce(c.created.run_id, a.last_run_id),
    last_run_at = coalesce(c.created.at, a.last_run_at),
    last_run_position = coalesce(c.created.position, a.last_run_position),
    last_stop_reason = coalesce(c.ended.stop_reason, a.last_stop_reason),
    last_end_position = coalesce(c.ended.position, a.last_end_position)
WHEN NOT MATCHED THEN INSERT VALUES (c.organization, c.agent_id, c.registered.project_id,
    c.registered.name, c.registered.agent_type, c.registered_at, c.created.run_id, c.created.at,
    c.created.position, c.ended.stop_reason, c.ended.position);
