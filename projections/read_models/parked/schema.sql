-- parked_runs: streams whose events from `position` on are in no read model, because the event at
-- that position could not be applied.
CREATE TABLE parked_runs (
    stream VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    version BIGINT NOT NULL,
    topic VARCHAR NOT NULL,
    reason VARCHAR NOT NULL
);

-- parked_events: every event that was left out.
CREATE TABLE parked_events (
    position BIGINT NOT NULL,
    stream VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    topic VARCHAR NOT NULL
);
