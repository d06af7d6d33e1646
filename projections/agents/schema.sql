-- agents: one row per agent of an organization, with its last run and how that ended.
-- Key: organization, agent_id. `last_stop_reason` is that of the run that ended last.
CREATE TABLE agents (
    organization VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    project_id VARCHAR,
    name VARCHAR,
    agent_type VARCHAR,
    registered_at TIMESTAMPTZ,
    last_run_id VARCHAR,
    last_run_at TIMESTAMPTZ,
    last_run_position BIGINT,
    last_stop_reason VARCHAR,
    last_end_position BIGINT
);
