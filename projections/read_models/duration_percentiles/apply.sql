-- sample [run.completed, run.failed, run.cancelled]: add the runs that the batch ends; a
-- cancellation after an end has no duration of its own
INSERT INTO run_durations BY NAME
SELECT stream AS run_id, born, organization, project_id, agent_id,
    (occurred_at AT TIME ZONE 'UTC')::DATE AS day, run_ns
FROM ended WHERE run_ns IS NOT NULL
ORDER BY position;

-- touched [run.completed, run.failed, run.cancelled]: the groups that have a new sample
CREATE OR REPLACE TEMP TABLE touched_groups AS
SELECT DISTINCT organization, project_id, agent_id, (occurred_at AT TIME ZONE 'UTC')::DATE AS day
FROM ended WHERE run_ns IS NOT NULL;

-- drop [run.completed, run.failed, run.cancelled]: the touched groups
DELETE FROM duration_percentiles AS p USING touched_groups t
WHERE p.day = t.day AND p.organization = t.organization AND p.agent_id = t.agent_id
    AND p.project_id IS NOT DISTINCT FROM t.project_id;

-- rebuild [run.completed, run.failed, run.cancelled]: percentiles do not
-- add up; the touched groups are computed from their samples
INSERT INTO duration_percentiles
SELECT organization, project_id, agent_id, day, runs, p[1], p[2], p[3], p[4]
FROM (
    SELECT r.organization, r.project_id, r.agent_id, r.day, count(*) AS runs,
        quantile_cont(r.run_ns, [0.5, 0.9, 0.95, 0.99]) AS p
    FROM run_durations r JOIN touched_groups t ON r.day = t.day
        AND r.organization = t.organization AND r.agent_id = t.agent_id
        AND r.project_id IS NOT DISTINCT FROM t.project_id
    GROUP BY ALL
);
