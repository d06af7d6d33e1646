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
    fresh_input_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    output_tokens BIGINT,
    reasoning_tokens BIGINT,
    cache_write_1h_tokens BIGINT,
    fresh_input_steps BIGINT NOT NULL,
    cache_read_steps BIGINT NOT NULL,
    cache_write_steps BIGINT NOT NULL,
    output_steps BIGINT NOT NULL,
    reasoning_steps BIGINT NOT NULL,
    cache_write_1h_steps BIGINT NOT NULL
);
