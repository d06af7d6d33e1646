-- usage_totals: tokens and steps. The day is
-- the UTC day in which the step ended. A bucket is NULL where no step reported it; its `…_steps`
-- says how many did, so that it is known of how much a total speaks, and deleted runs can be taken
-- out of it.
-- Events: run.step_recorded.
CREATE TABLE usage_totals (
    organization VARCHAR NOT NULL,
    project_id VARCHAR,
    agent_id VARCHAR NOT NULL,
    model VARCHAR,
    day DATE NOT NULL,
    steps BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    total_tokens BIGINT NOT NULL,
    <bucket> BIGINT,
    <bucket_steps> BIGINT NOT NULL,
);
