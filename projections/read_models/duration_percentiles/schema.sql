-- duration_percentiles: durations in nanoseconds.
-- The day is the UTC day in which the run ended. Percentiles are exact (linear interpolation).
-- Events: run.completed, run.failed, run.cancelled.
CREATE TABLE duration_percentiles (
    organization VARCHAR NOT NULL,
    project_id VARCHAR,
    agent_id VARCHAR NOT NULL,
    day DATE NOT NULL,
    runs BIGINT NOT NULL,
    p50 DOUBLE NOT NULL,
    p90 DOUBLE NOT NULL,
    p95 DOUBLE NOT NULL,
    p99 DOUBLE NOT NULL
);

-- run_durations: the sample behind the percentiles, one row per ended run.
CREATE TABLE run_durations (
    run_id VARCHAR NOT NULL,
    born BIGINT NOT NULL,
    organization VARCHAR NOT NULL,
    project_id VARCHAR,
    agent_id VARCHAR NOT NULL,
    day DATE NOT NULL,
    run_ns BIGINT NOT NULL
);
