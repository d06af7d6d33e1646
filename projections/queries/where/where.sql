-- tree: the syntax tree of a statement, as JSON
SELECT json_serialize_sql($statement::VARCHAR);

-- text: the statement of a syntax tree
SELECT json_deserialize_sql($tree::JSON);

-- frame: a statement around a condition; the line breaks end a comment in it
SELECT 1 FROM t WHERE (
{condition}
);

-- runs: the product's own conditions, in whose tree an expression is set
SELECT 1 FROM runs;

-- some_steps: the runs of which a step meets a condition
SELECT 1 FROM runs WHERE run_id IN (SELECT run_id FROM steps WHERE organization = $organization);

-- every_kind_of_steps: the runs of which some step meets each of several conditions
SELECT 1 FROM runs WHERE run_id IN
    (SELECT run_id FROM steps WHERE organization = $organization GROUP BY run_id HAVING true);

-- some_tool_calls: the runs of which a tool call meets a condition
SELECT 1 FROM runs WHERE run_id IN (SELECT run_id FROM tool_calls WHERE organization = $organization);

-- every_kind_of_tool_calls: the runs of which some tool call meets each of several conditions
SELECT 1 FROM runs WHERE run_id IN
    (SELECT run_id FROM tool_calls WHERE organization = $organization GROUP BY run_id HAVING true);

-- costs: a condition on a sum of what the steps of a run cost, which lies in a table of its own
SELECT 1 FROM runs WHERE {sum} > 0;

-- probe: whether a pattern can be used at all
SELECT regexp_matches('', $pattern);

-- understood: a condition with every kind of node that the language rebuilds
status = 'failed' AND (total_tokens + 1 > 2.5 OR NOT background IS TRUE)
AND agent_id IN ('a', 'b') AND agent_id LIKE 'a%' AND created_at > now() - INTERVAL 2 DAY
AND error_type IS NOT NULL AND total_tokens BETWEEN 1 AND 2 AND metadata.team ~ 'x'
AND created_at < TIMESTAMPTZ '2025-01-01' AND coalesce(background, false)
AND any_step(model = 'm') AND duration > INTERVAL '30 seconds' AND list_contains(tools_used, 'x');
