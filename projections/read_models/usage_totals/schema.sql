-- usage_totals: tokens and steps. The day is the UTC day in which the step ended. A bucket is NULL
-- if no step reported it; its `…_steps` says how many steps did, so that the coverage of a total is
-- known, and deleted runs can be subtracted.
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
