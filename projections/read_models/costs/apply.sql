-- used [run.step_recorded, prices.applied]: the steps to be priced, by the names that prices are
-- looked up by, and the position up to which prices are known
CREATE OR REPLACE TEMP TABLE used_steps AS
SELECT stream AS run_id, organization, agent_id, project_id, born, step_id, provider_name, model,
    model_handle, prompt_tokens, completion_tokens,
    <bucket>,
    position, occurred_at AS created_at, service_tier(usage_details) AS tier,
    requested_at(llm_request_start_ns, step_start_ns, occurred_at) AS requested_at,
    TRY_CAST(usage_details ->> '$.cost' AS DECIMAL(38, 12)) AS reported_usd, position AS known_at
FROM run_step_recorded;

-- again [prices.applied]: the steps up to now that the last decision of the batch prices again
CREATE OR REPLACE TEMP TABLE priced_again AS
SELECT s.run_id, s.step_id, s.born,
    arg_max(coalesce(a.known_at, s.position), a.position) AS known_at
FROM steps s JOIN prices_applied a ON s.position < a.position AND (a.since IS NULL
    OR requested_at(s.llm_request_start_ns, s.step_start_ns, s.created_at)
        >= a.since AT TIME ZONE 'UTC')
WHERE s.status <> 'pending'
GROUP BY s.run_id, s.step_id, s.born;

-- not_twice [prices.applied]: steps of this batch can be among them
DELETE FROM used_steps USING priced_again a
WHERE used_steps.run_id = a.run_id AND used_steps.step_id = a.step_id;

-- used_again [prices.applied]: they are priced together with the new ones
INSERT INTO used_steps BY NAME
SELECT s.run_id, organization, agent_id, project_id, s.born, s.step_id, provider_name, model,
    model_handle, prompt_tokens, completion_tokens,
    <bucket>,
    position, created_at, service_tier(usage_details) AS tier,
    requested_at(llm_request_start_ns, step_start_ns, created_at) AS requested_at,
    TRY_CAST(usage_details ->> '$.cost' AS DECIMAL(38, 12)) AS reported_usd, a.known_at
FROM steps s JOIN priced_again a
    ON s.born = a.born AND s.run_id = a.run_id AND s.step_id = a.step_id;

-- outdated [prices.applied]: their costs until now
DELETE FROM step_costs USING priced_again a
WHERE step_costs.born = a.born AND step_costs.run_id = a.run_id AND step_costs.step_id = a.step_id;

-- priced [run.step_recorded, prices.applied]: tokens times price, in exact decimal arithmetic; a
-- step finds one row of prices, or none
CREATE OR REPLACE TEMP TABLE priced_steps AS
WITH used AS (
    SELECT *, (hour(requested_at) * 60 + minute(requested_at))::INTEGER AS minute_of_day,
        0::HUGEINT
            + coalesce(<input_bucket>, 0)
            AS whole_input
    FROM used_steps
), priced AS (
    SELECT u.*, p.price_row, p.flags,
        <bucket_flag>,
        u.<bucket>::DECIMAL(19, 0) * p.<bucket> AS <bucket_usd>,
        0::HUGEINT
            + CASE WHEN p.<disjoint_bucket> IS NULL THEN coalesce(u.<disjoint_bucket>, 0) ELSE 0 END
            AS unpriced_tokens
    FROM used u LEFT JOIN step_prices p ON p.organization = u.organization
        AND p.provider = coalesce(u.provider_name, '') AND p.named_model = coalesce(u.model, '')
        AND p.requested = coalesce(u.model_handle, '') AND p.tier = u.tier
        AND u.known_at >= p.known_from AND u.known_at < p.known_to
        AND u.requested_at >= p.valid_from AND u.requested_at < p.valid_to
        AND u.minute_of_day >= p.minute_from AND u.minute_of_day < p.minute_to
        AND u.whole_input >= p.input_from AND u.whole_input <= p.input_to
), summed AS (
    SELECT *, CASE WHEN coalesce(
            <bucket_usd>,
            NULL
        ) IS NOT NULL THEN (0::DECIMAL(37, 12)
            + coalesce(<bucket_usd>, 0)
        )::DECIMAL(38, 12) END AS cost_usd
    FROM priced
)
SELECT run_id, step_id, born, organization, agent_id, project_id, model, created_at, requested_at,
    <bucket_usd>,
    cost_usd, unpriced_tokens,
    cost_usd IS NOT NULL AND unpriced_tokens = 0 AND prompt_tokens IS NOT NULL
        AND completion_tokens IS NOT NULL AS complete,
    CASE WHEN cost_usd IS NOT NULL THEN price_row END AS price_row,
    CASE WHEN cost_usd IS NOT NULL THEN nullif(concat_ws(', ', nullif(flags, ''),
        CASE WHEN <bucket> > 0 THEN <bucket_flag> END,
        NULL), '')
    END AS price_flags,
    reported_usd, position
FROM summed;

-- costs [run.step_recorded, prices.applied]: the costs of the steps
INSERT INTO step_costs BY NAME FROM priced_steps;

-- totals [run.step_recorded]: add them to the sums
MERGE INTO cost_totals u USING (
    SELECT organization, project_id, agent_id, model,
        (created_at AT TIME ZONE 'UTC')::DATE AS day, count(*) AS steps,
        count(cost_usd) AS priced_steps, count(*) FILTER (NOT complete) AS incomplete_steps,
        sum(unpriced_tokens)::HUGEINT AS unpriced_tokens,
        sum(cost_usd)::DECIMAL(38, 12) AS cost_usd, count(reported_usd) AS reported_steps,
        sum(reported_usd)::DECIMAL(38, 12) AS reported_usd
    FROM priced_steps GROUP BY ALL
) c ON u.day = c.day AND u.organization = c.organization AND u.agent_id = c.agent_id
    AND u.project_id IS NOT DISTINCT FROM c.project_id AND u.model IS NOT DISTINCT FROM c.model
WHEN MATCHED THEN UPDATE SET
    steps = u.steps + c.steps,
    priced_steps = u.priced_steps + c.priced_steps,
    incomplete_steps = u.incomplete_steps + c.incomplete_steps,
    unpriced_tokens = u.unpriced_tokens + c.unpriced_tokens,
    cost_usd = coalesce(u.cost_usd + c.cost_usd, u.cost_usd, c.cost_usd),
    reported_steps = u.reported_steps + c.reported_steps,
    reported_usd = coalesce(u.reported_usd + c.reported_usd, u.reported_usd, c.reported_usd)
WHEN NOT MATCHED THEN INSERT BY NAME;

-- no_totals [prices.applied]: all sums are made again
DELETE FROM cost_totals;

-- totals_again [prices.applied]: from the costs of all steps
INSERT INTO cost_totals BY NAME
SELECT organization, project_id, agent_id, model,
    (created_at AT TIME ZONE 'UTC')::DATE AS day, count(*) AS steps,
    count(cost_usd) AS priced_steps, count(*) FILTER (NOT complete) AS incomplete_steps,
    sum(unpriced_tokens)::HUGEINT AS unpriced_tokens,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd, count(reported_usd) AS reported_steps,
    sum(reported_usd)::DECIMAL(38, 12) AS reported_usd
FROM step_costs GROUP BY ALL;
