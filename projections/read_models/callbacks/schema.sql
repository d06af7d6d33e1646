-- callbacks: one row per run with a callback_url: the delivery to the receiver for the run's last
-- end. `status` is open (the run has not ended), pending, delivered or failed (given up).
-- Events: run.created, run.completed, run.failed, run.cancelled, run.callback_requested,
-- run.callback_attempted.
CREATE TABLE callbacks (
    run_id VARCHAR NOT NULL,
    born BIGINT NOT NULL,
    organization VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    project_id VARCHAR,
    callback_url VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    run_status VARCHAR,
    ended_at TIMESTAMPTZ,
    webhook_id VARCHAR,
    redelivery BOOLEAN NOT NULL,
    attempts INTEGER NOT NULL,
    attempted_at TIMESTAMPTZ,
    status_code INTEGER,
    error VARCHAR,
    next_attempt_at TIMESTAMPTZ,
    asked_position BIGINT NOT NULL
);

-- callback_attempts: the delivery log, one row per attempt.
CREATE TABLE callback_attempts (
    run_id VARCHAR NOT NULL,
    born BIGINT NOT NULL,
    organization VARCHAR NOT NULL,
    webhook_id VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    redelivery BOOLEAN NOT NULL,
    attempted_at TIMESTAMPTZ NOT NULL,
    url VARCHAR NOT NULL,
    status_code INTEGER,
    error VARCHAR,
    delivered BOOLEAN NOT NULL,
    final BOOLEAN NOT NULL,
    attempt_ns BIGINT,
    next_attempt_at TIMESTAMPTZ,
    position BIGINT NOT NULL
);
