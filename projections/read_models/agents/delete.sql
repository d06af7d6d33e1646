-- bereft: the agents whose last run, or last end, is deleted; all others stay as they are
CREATE OR REPLACE TEMP TABLE bereft_agents AS
SELECT DISTINCT a.organization, a.agent_id FROM agents a
JOIN deleted d ON a.last_run_id = d.run_id OR a.last_ended_run_id = d.run_id;

-- delete: these agents get their previous run. The rows of the deleted runs are already deleted
-- when this is executed, as model.toml declares.
UPDATE agents AS a SET
    last_run_id = r.run.run_id,
    last_run_at = r.run.at,
    last_run_position = r.run.position,
    last_ended_run_id = r.ended_run_id,
    last_stop_reason = r.stop_reason,
    last_ended_position = r.ended_position
FROM (
    SELECT b.organization, b.agent_id,
        max({'at': created_at, 'position': created_position, 'run_id': run_id})
            FILTER (run_id IS NOT NULL) AS run,
        arg_max(run_id, ended_position) AS ended_run_id,
        arg_max(stop_reason, ended_position) AS stop_reason,
        max(ended_position) AS ended_position
    FROM bereft_agents b
    LEFT JOIN runs ON runs.organization = b.organization AND runs.agent_id = b.agent_id
    GROUP BY b.organization, b.agent_id
) r
WHERE a.organization = r.organization AND a.agent_id = r.agent_id;

-- unheard: an agent that was never registered exists only because of its runs
DELETE FROM agents AS a USING bereft_agents b
WHERE a.organization = b.organization AND a.agent_id = b.agent_id
    AND a.registered_at IS NULL AND a.last_run_id IS NULL;
