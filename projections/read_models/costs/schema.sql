-- step_costs: one row per recorded step: what it cost in US dollars, exactly, by the price row that
-- it names. `cost_usd` is NULL if its price is unknown or no usage was reported. If `complete` is
-- false, it is a lower bound: `unpriced_tokens` have no price, or a count was not reported.
-- cache_write_1h_usd is what those kept for an hour cost more than for five minutes, which
-- cache_write_usd has for all. `reported_usd` is the cost that the provider reported, if any; it is never part of `cost_usd`.
-- Events: run.step_recorded, prices.adopted, prices.listed, prices.applied.
CREATE TABLE step_costs (
    run_id VARCHAR NOT NULL,
    step_id VARCHAR NOT NULL,
    born BIGINT NOT NULL,
    organization VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    project_id VARCHAR,
    model VARCHAR,
    created_at TIMESTAMPTZ NOT NULL,
    requested_at TIMESTAMP NOT NULL,
    <bucket_usd> DECIMAL(38, 12),
    cost_usd DECIMAL(38, 12),
    unpriced_tokens HUGEINT NOT NULL,
    complete BOOLEAN NOT NULL,
    price_row VARCHAR,
    price_flags VARCHAR,
    reported_usd DECIMAL(38, 12),
    position BIGINT NOT NULL
);

-- cost_totals: the sums of the steps' costs. `cost_usd` is NULL if no step has a cost; it is a lower
-- bound if `incomplete_steps` is not 0. The day is the UTC day in which the step ended.
-- Events: run.step_recorded, prices.adopted, prices.listed, prices.applied.
CREATE TABLE cost_totals (
    organization VARCHAR NOT NULL,
    project_id VARCHAR,
    agent_id VARCHAR NOT NULL,
    model VARCHAR,
    day DATE NOT NULL,
    steps BIGINT NOT NULL,
    priced_steps BIGINT NOT NULL,
    incomplete_steps BIGINT NOT NULL,
    unpriced_tokens HUGEINT NOT NULL,
    cost_usd DECIMAL(38, 12),
    reported_steps BIGINT NOT NULL,
    reported_usd DECIMAL(38, 12)
);
