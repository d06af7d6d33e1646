-- changes [agent.registered, run.created, run.completed, run.failed, run.cancelled]: for each agent
CREATE OR REPLACE TEMP TABLE agent_changes AS
SELECT organization, agent_id,
    arg_max({'project_id': project_id, 'name': name, 'agent_type': agent_type}, position)
        FILTER (topic = 'agent.registered') AS registered,
    arg_min(occurred_at, position) FILTER (topic = 'agent.registered') AS registered_at,
    max({'at': occurred_at, 'position': position, 'run_id': stream})
        FILTER (topic = 'run.created') AS run,
    arg_max(stream, position) FILTER (stop_reason IS NOT NULL) AS ended_run_id,
    arg_max(stop_reason, position) FILTER (stop_reason IS NOT NULL) AS stop_reason,
    max(position) FILTER (stop_reason IS NOT NULL) AS ended_position
FROM (
    SELECT position, stream, topic, organization, agent_id, occurred_at, project_id, name, agent_type
    FROM agent_registered
    UNION ALL BY NAME
    SELECT position, stream, topic, organization, agent_id, occurred_at FROM run_created
    UNION ALL BY NAME
    SELECT position, stream, topic, organization, agent_id, occurred_at, stop_reason FROM ended
)
GROUP BY organization, agent_id;

-- update [agent.registered, run.created, run.completed, run.failed, run.cancelled]: later facts
-- replace earlier ones. The batch's facts need not be later: a parked run is applied after later
-- ones, and an imported run may have begun before them.
UPDATE agents AS a SET
    project_id = CASE WHEN c.registered IS NULL THEN a.project_id ELSE c.registered.project_id END,
    name = CASE WHEN c.registered IS NULL THEN a.name ELSE c.registered.name END,
    agent_type = CASE WHEN c.registered IS NULL THEN a.agent_type ELSE c.registered.agent_type END,
    registered_at = coalesce(a.registered_at, c.registered_at),
    last_run_id = CASE WHEN c.newer THEN c.run.run_id ELSE a.last_run_id END,
    last_run_at = CASE WHEN c.newer THEN c.run.at ELSE a.last_run_at END,
    last_run_position = CASE WHEN c.newer THEN c.run.position ELSE a.last_run_position END,
    last_ended_run_id = CASE WHEN c.ended_position > coalesce(a.last_ended_position, 0)
        THEN c.ended_run_id ELSE a.last_ended_run_id END,
    last_stop_reason = CASE WHEN c.ended_position > coalesce(a.last_ended_position, 0)
        THEN c.stop_reason ELSE a.last_stop_reason END,
    last_ended_position = greatest(a.last_ended_position, c.ended_position)
FROM (
    SELECT c.*, coalesce(c.run.at > k.last_run_at
        OR c.run.at = k.last_run_at AND c.run.position > k.last_run_position,
        k.last_run_at IS NULL AND c.run IS NOT NULL) AS newer
    FROM agent_changes c
    JOIN agents k ON k.organization = c.organization AND k.agent_id = c.agent_id
) c
WHERE a.organization = c.organization AND a.agent_id = c.agent_id;

-- insert [agent.registered, run.created, run.completed, run.failed, run.cancelled]: new agents
INSERT INTO agents BY NAME
SELECT c.organization, c.agent_id, c.registered.project_id AS project_id, c.registered.name AS name,
    c.registered.agent_type AS agent_type, c.registered_at, c.run.run_id AS last_run_id,
    c.run.at AS last_run_at, c.run.position AS last_run_position,
    c.ended_run_id AS last_ended_run_id, c.stop_reason AS last_stop_reason,
    c.ended_position AS last_ended_position
FROM agent_changes c
ANTI JOIN agents a ON a.organization = c.organization AND a.agent_id = c.agent_id;
