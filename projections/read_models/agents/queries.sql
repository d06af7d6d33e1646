-- agents: the agents of an organization, those with the newest run first
SELECT agent_id, project_id, name, agent_type, registered_at, last_run_id, last_run_at,
    last_stop_reason
FROM agents
WHERE organization = $organization AND ($agent_id IS NULL OR agent_id = $agent_id)
ORDER BY last_run_at DESC NULLS LAST, last_run_position DESC, agent_id;
