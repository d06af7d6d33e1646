-- before: the step that a page begins after
SELECT step_id FROM steps WHERE organization = $organization AND run_id = $run_id
ORDER BY created_at, position LIMIT 1 OFFSET $offset;

-- calls: the tool calls of some steps
SELECT tool_call_id, step_id, name, called_at, returned_at, return_status FROM tool_calls
WHERE organization = $organization AND run_id = $run_id AND list_contains($steps::VARCHAR[], step_id)
    AND called_at IS NOT NULL
ORDER BY position;

-- counts: how many steps and tool calls a run has, and until when its steps take
SELECT (SELECT count(*) FROM tool_calls WHERE organization = $organization AND run_id = $run_id
        AND called_at IS NOT NULL) AS tool_calls, count(*) AS steps
FROM steps WHERE organization = $organization AND run_id = $run_id;

-- band: the share of each of 250 columns that models and tools took, and the first step in it
WITH timed AS (
    SELECT 'model' AS kind, row_number() OVER (ORDER BY created_at, position) AS number,
        coalesce(step_start_ns, llm_request_start_ns,
            epoch_ns(created_at) - coalesce(step_ns, llm_request_ns, 0)) - $begin AS offset_ns,
        coalesce(step_ns, llm_request_ns, 0) AS took
    FROM steps WHERE organization = $organization AND run_id = $run_id
    UNION ALL
    SELECT 'tool', NULL, epoch_ns(called_at) - $begin,
        coalesce(epoch_ns(returned_at) - epoch_ns(called_at), 0)
    FROM tool_calls
    WHERE organization = $organization AND run_id = $run_id AND called_at IS NOT NULL
), spread AS (
    SELECT *, least(greatest(offset_ns, 0) // $span, 249) AS begins,
        unnest(range(least(greatest(offset_ns, 0) // $span, 249),
            least(greatest(offset_ns + took, 0) // $span, 249) + 1)) AS place
    FROM timed
)
SELECT place,
    least(coalesce(sum(greatest(least(offset_ns + took, (place + 1) * $span) - greatest(offset_ns, place * $span), 0))
        FILTER (kind = 'model'), 0) / $span, 1)::DOUBLE AS model,
    least(coalesce(sum(greatest(least(offset_ns + took, (place + 1) * $span) - greatest(offset_ns, place * $span), 0))
        FILTER (kind = 'tool'), 0) / $span, 1)::DOUBLE AS tool,
    min(number) FILTER (begins = place) AS first
FROM spread GROUP BY 1 ORDER BY 1;
