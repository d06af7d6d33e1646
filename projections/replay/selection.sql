-- touched: make the list of the runs that a selection touches
CREATE OR REPLACE TABLE touched (run_id VARCHAR, organization VARCHAR, agent_id VARCHAR);

-- touch: the runs of the events that a selection names; a fact that cannot be read selects nothing
INSERT INTO touched
SELECT DISTINCT stream AS run_id, organization, agent_id
FROM (
    SELECT stream,
        TRY(json_extract_string(TRY(decode(facts)), '$.organization')) AS organization,
        TRY(json_extract_string(TRY(decode(facts)), '$.agent_id')) AS agent_id,
        TRY(json_extract_string(TRY(decode(facts)), '$.recorded_at')::TIMESTAMPTZ) AS recorded_at
    FROM log_batch
    WHERE topic LIKE 'run.%'
        AND ($runs::VARCHAR[] IS NULL OR list_contains($runs::VARCHAR[], stream))
        AND ($topics::VARCHAR[] IS NULL OR list_contains($topics::VARCHAR[], topic))
)
WHERE ($agents::VARCHAR[] IS NULL OR list_contains($agents::VARCHAR[], agent_id))
    AND ($since::TIMESTAMPTZ IS NULL OR recorded_at >= $since::TIMESTAMPTZ)
    AND ($until::TIMESTAMPTZ IS NULL OR recorded_at < $until::TIMESTAMPTZ)
EXCEPT FROM touched;

-- last: the last position of a batch
SELECT max(position) FROM log_batch;

-- runs: the runs that are touched
SELECT DISTINCT run_id FROM touched ORDER BY run_id;

-- organizations: the organizations of these runs
SELECT DISTINCT organization FROM touched WHERE organization IS NOT NULL ORDER BY organization;

-- agents: the agents to whose totals these runs contribute
CREATE OR REPLACE TABLE agents AS
SELECT DISTINCT organization, agent_id FROM touched WHERE agent_id IS NOT NULL;

-- of_agents: the events of a batch that are of these agents, and those about prices
SELECT position, stream, version, topic, facts
FROM (
    SELECT *, TRY(json_extract_string(TRY(decode(facts)), '$.organization')) AS organization,
        TRY(json_extract_string(TRY(decode(facts)), '$.agent_id')) AS agent_id
    FROM log_batch
) b
WHERE topic LIKE 'prices.%' OR EXISTS (
    FROM agents a WHERE a.organization = b.organization AND a.agent_id = b.agent_id
)
ORDER BY position;

-- of_runs: the events of a batch that are of the touched runs, and those about prices
SELECT position, stream, version, topic, facts
FROM log_batch
WHERE topic LIKE 'prices.%' OR stream IN (SELECT run_id FROM touched)
ORDER BY position;
