-- delete: an agent whose last run, or last end, was deleted shows the one before. The runs are gone
-- from their table when this is executed: read models are deleted from in reverse order.
UPDATE agents AS a SET
    last_run_id = r.created.run_id,
    last_run_at = r.created.at,
    last_run_position = r.created.position,
    last_stop_reason = r.ended.stop_reason,
    last_end_position = r.ended.position
FROM (
    SELECT d.organization, d.agent_id,
        arg_max({'run_id': runs.run_id, 'at': runs.created_at, 'position': created_position},
            created_position) AS created,
        arg_max({'stop_reason': stop_reason, 'position': ended_position}, ended_position)
            FILTER (ended_position IS NOT NULL) AS ended
    FROM (SELECT DISTINCT organization, agent_id FROM deleted) d
    LEFT JOIN runs ON runs.organization = d.organization AND runs.agent_id = d.agent_id
    GROUP BY d.organization, d.agent_id
) r
WHERE a.organization = r.organization AND a.agent_id = r.agent_id;
