-- agents: one row per agent of an organization, with its newest run by `created_at`, and the one of its
-- runs whose end was recorded last, and how it ended.
-- Events: agent.registered, run.created, run.completed, run.failed, run.cancelled.
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
    last_ended_run_id VARCHAR,
    last_stop_reason VARCHAR,
    last_ended_position BIGINT
);
