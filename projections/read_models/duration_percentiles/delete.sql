-- touched: the groups from which a sample is deleted
CREATE OR REPLACE TEMP TABLE touched_groups AS
SELECT DISTINCT r.organization, r.project_id, r.agent_id, r.day
FROM run_durations r JOIN deleted d ON r.born = d.born AND r.run_id = d.run_id;

-- forget: delete the samples of deleted runs
DELETE FROM run_durations AS r USING deleted d WHERE r.born = d.born AND r.run_id = d.run_id;

-- drop: the touched groups
DELETE FROM duration_percentiles AS p USING touched_groups t
WHERE p.day = t.day AND p.organization = t.organization AND p.agent_id = t.agent_id
    AND p.project_id IS NOT DISTINCT FROM t.project_id;

-- rebuild: percentiles do not add up; the touched groups are computed from their samples
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
