-- applied: the decision, as the event table that the fold of costs reads
CREATE OR REPLACE TEMP TABLE prices_applied AS
SELECT $position::BIGINT AS position, $since::TIMESTAMPTZ AS since, $known_at::BIGINT AS known_at;

-- no_steps: no step is recorded at the same time
CREATE OR REPLACE TEMP TABLE run_step_recorded AS

-- repriced: the steps whose cost changes
CREATE OR REPLACE TEMP TABLE repriced AS
SELECT b.organization, b.model, b.requested_at::DATE AS day, b.price_row AS old_row,
    a.price_row AS new_row, b.cost_usd AS old_usd, a.cost_usd AS new_usd,
    b.unpriced_tokens AS old_unpriced, a.unpriced_tokens AS new_unpriced, a.run_id, a.step_id
FROM step_costs b JOIN priced_steps a
    ON a.born = b.born AND a.run_id = b.run_id AND a.step_id = b.step_id
WHERE a.price_row IS DISTINCT FROM b.price_row OR a.cost_usd IS DISTINCT FROM b.cost_usd
    OR a.<bucket_usd> IS DISTINCT FROM b.<bucket_usd>
    OR a.unpriced_tokens <> b.unpriced_tokens OR a.complete <> b.complete
    OR a.price_flags IS DISTINCT FROM b.price_flags;

-- groups: by how much, for each day, model and price row
SELECT organization, day, model, old_row, new_row, count(*) AS steps,
    count(DISTINCT run_id) AS runs, any_value(run_id) AS run_id,
    sum(old_usd)::DECIMAL(38, 12) AS old_usd, sum(new_usd)::DECIMAL(38, 12) AS new_usd,
    (coalesce(sum(new_usd), 0) - coalesce(sum(old_usd), 0))::DECIMAL(38, 12) AS difference_usd,
    sum(old_unpriced)::HUGEINT AS old_unpriced_tokens,
    sum(new_unpriced)::HUGEINT AS new_unpriced_tokens
FROM repriced GROUP BY ALL ORDER BY ALL;

-- sums: the bill before and after, and of how many steps
SELECT steps, old_usd, difference_usd, (old_usd + difference_usd)::DECIMAL(38, 12) AS new_usd
FROM (
    SELECT count(*) AS steps, coalesce(sum(cost_usd), 0)::DECIMAL(38, 12) AS old_usd FROM step_costs
), (
    SELECT coalesce(sum(coalesce(new_usd, 0) - coalesce(old_usd, 0)), 0)::DECIMAL(38, 12)
        AS difference_usd
    FROM repriced
);
