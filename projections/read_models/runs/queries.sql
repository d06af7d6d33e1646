-- select: the columns of a run in a list
SELECT run_id, organization, agent_id, project_id, conversation_id, base_template_id, background,
    status, stop_reason, created_at, started_at, completed_at, last_event_at, run_ns, num_steps,
    tools_used, tool_ids, prompt_tokens, completion_tokens, total_tokens,
    <bucket>,
    metadata, request_config, error_type, error_message, error_data,
    callback_url, callback_sent_at, callback_status_code, callback_error, approval_deadline,
    feedback, version, born
FROM runs;

-- cost_usd: the known cost of a run, for an order and for conditions, as are the next two
(SELECT sum(c.cost_usd) FROM step_costs c WHERE c.born = runs.born AND c.run_id = runs.run_id);

-- unpriced_tokens: how many of its tokens have no known price
(SELECT sum(c.unpriced_tokens) FROM step_costs c
    WHERE c.born = runs.born AND c.run_id = runs.run_id);

-- incomplete_steps: how many of its steps have a cost that is a lower bound, or unknown
(SELECT sum((NOT c.complete)::INTEGER) FROM step_costs c
    WHERE c.born = runs.born AND c.run_id = runs.run_id);

-- organization: the scope of every query
organization = $organization;

-- run_id: this run
run_id = $run_id;

-- born: the place of its row, if the caller knows it; without it, every run's id is read
born = $born;

-- ids: the ids alone
SELECT run_id FROM runs;

-- born_at: the places of some rows; runs may share one
born IN (SELECT unnest($born_at::BIGINT[]));

-- agent_id: runs of this agent
agent_id = $agent_id;

-- agent_ids: runs of any of these agents
list_contains($agent_ids::VARCHAR[], agent_id);

-- statuses: any of these statuses
list_contains($statuses::VARCHAR[], status);

-- stop_reason: this stop reason
stop_reason = $stop_reason;

-- background: in the background, or not; a run without the fact counts as not
coalesce(background, FALSE) = $background;

-- template_family: runs of a template
base_template_id = $template_family;

-- project_id: runs of a project
project_id = $project_id;

-- conversation_id: runs of a conversation
conversation_id = $conversation_id;

-- step_count_eq: exactly so many steps
num_steps = $step_count;

-- step_count_gt: more steps
num_steps > $step_count;

-- step_count_gte: so many steps or more
num_steps >= $step_count;

-- step_count_lt: fewer steps
num_steps < $step_count;

-- step_count_lte: so many steps or fewer
num_steps <= $step_count;

-- tool: this tool, by name or id; a fifth of the work of any of several
(list_contains(tools_used, $tool) OR list_contains(tool_ids, $tool));

-- tools_used: any of these tools, by name or id
(list_has_any(tools_used, $tools_used::VARCHAR[]) OR list_has_any(tool_ids, $tools_used::VARCHAR[]));

-- duration_eq: exactly this long
run_ns = $duration;

-- duration_gt: longer
run_ns > $duration;

-- duration_gte: this long or longer
run_ns >= $duration;

-- duration_lt: shorter
run_ns < $duration;

-- duration_lte: this long or shorter
run_ns <= $duration;

-- feedback: this feedback
feedback = $feedback;

-- start_date: created then or later
created_at >= $start_date;

-- end_date: created then or earlier
created_at <= $end_date;

-- has_duration: a percentile is over runs that have one
run_ns IS NOT NULL;

-- has: an order by a column is over runs that have a value there
{column} IS NOT NULL;

-- percentile: the duration that a share of the filtered runs stays below, by linear interpolation
SELECT quantile_cont(run_ns, $percentile / 100.0) FROM runs;

-- at_least: as slow as the percentile or slower
run_ns >= $threshold;

-- cursor: the row after which a page continues
SELECT created_at, {column} AS value, created_position FROM runs;

-- newer: created later than the cursor; the id decides between equal times
(created_at > $cursor_time OR (created_at = $cursor_time AND run_id > $cursor_id));

-- older: created earlier than the cursor
(created_at < $cursor_time OR (created_at = $cursor_time AND run_id < $cursor_id));

-- above: more than the cursor; many values are equal; then the place of the run in the log
-- decides, because comparing ids would take a third of the time of such a page of a million runs
({column} > $cursor_value OR ({column} = $cursor_value AND created_position > $cursor_position));

-- below: less than the cursor
({column} < $cursor_value OR ({column} = $cursor_value AND created_position < $cursor_position));

-- oldest_first: a total order
ORDER BY created_at, run_id LIMIT $limit;

-- newest_first: a total order
ORDER BY created_at DESC, run_id DESC LIMIT $limit;

-- least_first: a total order
ORDER BY {column}, created_position LIMIT $limit;

-- most_first: a total order
ORDER BY {column} DESC, created_position DESC LIMIT $limit;

-- silent: open runs without an event since a given time
SELECT run_id, organization FROM runs
WHERE status IN ('created', 'running') AND last_recorded_at < $silent_since
    AND ($organization IS NULL OR organization = $organization)
ORDER BY last_recorded_at;

-- overdue: runs whose approval deadline has passed
SELECT run_id, organization FROM runs
WHERE approval_deadline <= $at AND ($organization IS NULL OR organization = $organization)
ORDER BY approval_deadline;

-- open_runs: open runs of an agent, or of a conversation, the newest first
SELECT run_id FROM runs
WHERE organization = $organization AND (status IN ('created', 'running')
        OR (status = 'completed' AND stop_reason = 'requires_approval'))
    AND ($agent_id IS NULL OR agent_id = $agent_id)
    AND ($conversation_id IS NULL OR conversation_id = $conversation_id)
    AND NOT ($without_conversation AND conversation_id IS NOT NULL)
ORDER BY created_position DESC;

-- durations: count and percentiles of the durations of the filtered runs
SELECT count(run_ns) AS runs, quantile_cont(run_ns, [0.5, 0.9, 0.95, 0.99]) AS p FROM runs;

-- ended_before_they_began: runs whose end is before their beginning, because two clocks disagree
SELECT count(*), min(run_id) FROM runs WHERE completed_at < created_at;
