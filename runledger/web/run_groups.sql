-- total: how many runs the filters leave, how many the order shows, and when they began
SELECT count(*) AS runs, count({column}) AS in_order, min(created_at) AS first, max(created_at) AS last FROM runs {where};

-- counts: how many of these runs there are by each facet, by failure, and by time and status. One
-- pass reads the runs once, whatever their condition costs, and every count is of the same moment.
-- Runs of the same tools are counted before the tools are taken apart, which is a quarter of the work.
WITH counted AS MATERIALIZED (
    SELECT CASE WHEN grouping(agent_id) = 0 THEN 'agent'
            WHEN grouping(stop_reason) = 0 THEN 'stop reason'
            WHEN grouping(tools_used) = 0 THEN 'tool' WHEN grouping(project_id) = 0 THEN 'project'
            WHEN grouping(failure) = 0 THEN 'failure' WHEN grouping(begin) = 0 THEN 'time'
            ELSE 'status' END AS facet,
        status, agent_id, stop_reason, tools_used, project_id, failure, begin, count(*) AS runs
    FROM (
        SELECT status, agent_id, stop_reason, tools_used, project_id,
            CASE status WHEN 'failed' THEN coalesce(error_type, stop_reason, 'not said') END
                AS failure,
            date_trunc($unit, make_timestamp(epoch_us(created_at))) AS begin
        FROM runs {where}
    )
    GROUP BY GROUPING SETS ((status), (agent_id), (stop_reason), (tools_used), (project_id),
        (failure), (begin, status))
)
SELECT facet, NULL::TIMESTAMP AS begin, value, runs
FROM (
    SELECT facet, coalesce(status, agent_id, stop_reason, project_id, failure) AS value, runs
    FROM counted WHERE facet NOT IN ('tool', 'time')
    UNION ALL
    SELECT 'tool', value, sum(runs)::BIGINT
    FROM (SELECT unnest(list_distinct(tools_used)) AS value, runs FROM counted WHERE facet = 'tool')
    GROUP BY value
)
WHERE value IS NOT NULL
QUALIFY facet IN ('status', 'stop reason')
    OR row_number() OVER (PARTITION BY facet ORDER BY runs DESC, value) <= 10
UNION ALL
SELECT facet, begin, status, runs FROM counted WHERE facet = 'time'
ORDER BY facet, begin, runs DESC, value;

-- by_time: how many began in each span of time, by status
SELECT date_trunc($unit, make_timestamp(epoch_us(created_at))) AS begin, status, count(*) AS runs
FROM runs {where} GROUP BY 1, 2 ORDER BY 1, 2;

-- by_duration: how many took so long, in eighths of a power of ten; below 10 ms is the first
SELECT greatest(floor(log10(greatest(run_ns, 1) / 1e9) * 8), -16)::INTEGER AS bucket, status,
    count(*) AS runs
FROM runs {where} AND run_ns IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2;

-- durations_by_time: percentiles of the durations of runs that began in each span of time
SELECT date_trunc($unit, make_timestamp(epoch_us(created_at))) AS begin,
    quantile_cont(run_ns, [0.5, 0.95, 0.99]) AS p
FROM runs {where} AND run_ns IS NOT NULL GROUP BY 1 ORDER BY 1;

-- by_error: how failures are named
SELECT coalesce(error_type, stop_reason, 'not said') AS value, stop_reason, count(*) AS runs
FROM runs {where} AND status = 'failed' GROUP BY 1, 2 ORDER BY 3 DESC, 1 LIMIT 10;

-- most_tokens: the runs that used most
SELECT run_id, agent_id, status, total_tokens FROM runs {where} AND total_tokens > 0
ORDER BY total_tokens DESC, run_id LIMIT $limit;

-- outcomes: what is shown of a group of runs, in the statements that name it
count(*) AS runs, count(*) FILTER (status = 'failed') AS failed,
    count(*) FILTER (status = 'cancelled') AS cancelled,
    count(*) FILTER (status IN ('created', 'running')) AS open,
    quantile_cont(run_ns, [0.5, 0.95, 0.99]) AS p, sum(total_tokens)::BIGINT AS total_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    sum(cache_write_tokens)::BIGINT AS cache_write_tokens,
    sum(fresh_input_tokens)::BIGINT AS fresh_input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(reasoning_tokens)::BIGINT AS reasoning_tokens, min(created_at) AS first,
    max(created_at) AS last;

-- agents: each agent with its outcomes, its durations and its tokens
SELECT agent_id AS value, {outcomes}
FROM runs WHERE organization = $organization AND ($value IS NULL OR agent_id = $value::VARCHAR)
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 500;

-- conversations: each conversation with its outcomes, its durations and its tokens, the latest ones
SELECT conversation_id AS value, {outcomes}
FROM runs WHERE organization = $organization AND conversation_id IS NOT NULL
    AND ($value IS NULL OR conversation_id = $value::VARCHAR)
GROUP BY 1 ORDER BY max(created_at) DESC, 1 LIMIT 500;

-- of_model: the runs that have a step of a model
AND run_id IN (SELECT run_id FROM steps WHERE organization = $organization AND model = $value);

-- call_durations: how many calls of a tool took so long, in the buckets of by_duration
SELECT greatest(floor(log10(greatest(ns, 1) / 1e9) * 8), -16)::INTEGER AS bucket,
    CASE status WHEN 'error' THEN 'failed' ELSE 'completed' END AS status, count(*) AS runs
FROM (SELECT epoch_ns(returned_at) - epoch_ns(called_at) AS ns, status FROM tool_calls
    WHERE organization = $organization AND name = $value)
WHERE ns IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2;

-- step_durations: how many steps of a model took so long, in the buckets of by_duration
SELECT greatest(floor(log10(greatest(ns, 1) / 1e9) * 8), -16)::INTEGER AS bucket,
    CASE status WHEN 'failed' THEN 'failed' ELSE 'completed' END AS status, count(*) AS runs
FROM (SELECT coalesce(llm_request_ns, step_ns) AS ns, status FROM steps
    WHERE organization = $organization AND model = $value)
WHERE ns IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2;

-- latest: the runs that began last; the other columns are read of these alone
SELECT run_id, agent_id, status, created_at, run_ns, num_steps, total_tokens, fresh_input_tokens,
    cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, stop_reason
FROM runs SEMI JOIN (
    SELECT run_id, born FROM runs {where} ORDER BY created_at DESC, run_id DESC LIMIT $limit
) last USING (run_id, born)
ORDER BY created_at DESC, run_id DESC;

-- tools: each tool with its calls, their outcomes and how long they took; its runs are those that
-- the filter of the list finds, and those of the same tools are counted before they are taken apart
SELECT calls.*, runs
FROM (
    SELECT name AS value, count(*) AS calls, count(*) FILTER (status = 'error') AS failed,
        count(*) FILTER (denied) AS denied, count(*) FILTER (status = 'open') AS open,
        quantile_cont(epoch_ns(returned_at) - epoch_ns(called_at), [0.5, 0.95, 0.99]) AS p,
        min(called_at) AS first, max(called_at) AS last
    FROM tool_calls
    WHERE organization = $organization AND name IS NOT NULL
        AND ($value IS NULL OR name = $value::VARCHAR)
    GROUP BY 1
) calls
LEFT JOIN (
    SELECT value, sum(alike)::BIGINT AS runs
    FROM (
        SELECT unnest(list_distinct(tools_used)) AS value, alike
        FROM (
            SELECT tools_used, count(*) AS alike FROM runs
            WHERE organization = $organization
                AND ($value IS NULL OR list_contains(tools_used, $value::VARCHAR))
            GROUP BY 1
        )
    )
    GROUP BY 1
) used USING (value)
ORDER BY calls DESC, value LIMIT 500;

-- models: each model with its steps, their outcomes, durations and tokens
SELECT model AS value, count(DISTINCT run_id) AS runs, count(*) AS steps,
    count(*) FILTER (status = 'failed') AS failed,
    quantile_cont(coalesce(llm_request_ns, step_ns), [0.5, 0.95, 0.99]) AS p,
    sum(total_tokens)::BIGINT AS total_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    sum(cache_write_tokens)::BIGINT AS cache_write_tokens,
    sum(fresh_input_tokens)::BIGINT AS fresh_input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(reasoning_tokens)::BIGINT AS reasoning_tokens, min(created_at) AS first,
    max(created_at) AS last
FROM steps WHERE organization = $organization AND ($value IS NULL OR model = $value::VARCHAR)
GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 500;

-- columns: the tables that SQL can ask, with their columns
SELECT table_name AS name, list({'name': column_name, 'kind': lower(data_type)} ORDER BY column_index)
    AS columns
FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main' AND database_name = current_database()
    AND NOT starts_with(table_name, 'run_') OR table_name = 'run_durations'
GROUP BY 1 ORDER BY 1;
