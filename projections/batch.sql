-- revisions: today's revision of every topic
CREATE OR REPLACE TEMP TABLE revisions (topic VARCHAR, today INTEGER);

-- known: fill it from the catalogue
INSERT INTO revisions SELECT unnest($topics), unnest($revisions);

-- shape: the facts that projections read, with their types; one parse per event
CREATE OR REPLACE TEMP MACRO shape(facts) AS json_transform(decode(facts), '{
    "revision": "INTEGER",
    "occurred_at": "TIMESTAMPTZ",
    "recorded_at": "TIMESTAMPTZ",
    "organization": "VARCHAR",
    "agent_id": "VARCHAR",
    "project_id": "VARCHAR",
    "born": "BIGINT",
    "conversation_id": "VARCHAR",
    "base_template_id": "VARCHAR",
    "background": "BOOLEAN",
    "metadata": "JSON",
    "request_config": "JSON",
    "callback_url": "VARCHAR",
    "step_id": "VARCHAR",
    "status": "VARCHAR",
    "late": "BOOLEAN",
    "provider_name": "VARCHAR",
    "provider_category": "VARCHAR",
    "provider_id": "VARCHAR",
    "model": "VARCHAR",
    "model_handle": "VARCHAR",
    "model_endpoint": "VARCHAR",
    "context_window_limit": "BIGINT",
    "prompt_tokens": "BIGINT",
    "completion_tokens": "BIGINT",
    "total_tokens": "BIGINT",
    "prompt_tokens_details": "JSON",
    "completion_tokens_details": "JSON",
    "fresh_input_tokens": "BIGINT",
    "cache_read_tokens": "BIGINT",
    "cache_write_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "reasoning_tokens": "BIGINT",
    "stop_reason": "VARCHAR",
    "error_type": "VARCHAR",
    "error_message": "VARCHAR",
    "error_data": "JSON",
    "origin": "VARCHAR",
    "tags": ["VARCHAR"],
    "tid": "VARCHAR",
    "trace_id": "VARCHAR",
    "request_id": "VARCHAR",
    "step_start_ns": "BIGINT",
    "step_ns": "BIGINT",
    "llm_request_start_ns": "BIGINT",
    "llm_request_ns": "BIGINT",
    "tool_execution_ns": "BIGINT",
    "messages": [{
        "message_id": "VARCHAR",
        "role": "VARCHAR",
        "step_id": "VARCHAR",
        "tool_calls": [{"tool_call_id": "VARCHAR", "name": "VARCHAR", "tool_id": "VARCHAR"}],
        "tool_returns": [{"tool_call_id": "VARCHAR", "status": "VARCHAR"}],
        "approvals": [{"tool_call_id": "VARCHAR", "approve": "BOOLEAN"}]
    }],
    "tool_calls": [{"tool_call_id": "VARCHAR", "name": "VARCHAR"}],
    "approval_deadline": "TIMESTAMPTZ",
    "patch": "JSON",
    "removed": ["VARCHAR"],
    "run_ns": "BIGINT",
    "reason": "VARCHAR",
    "webhook_id": "VARCHAR",
    "attempt": "INTEGER",
    "url": "VARCHAR",
    "status_code": "INTEGER",
    "error": "VARCHAR",
    "delivered": "BOOLEAN",
    "final": "BOOLEAN",
    "redelivery": "BOOLEAN",
    "attempt_ns": "BIGINT",
    "next_attempt_at": "TIMESTAMPTZ",
    "name": "VARCHAR",
    "agent_type": "VARCHAR"
}');

-- batch: the events of a batch as typed columns; the raw facts stay where an upcaster must see them
CREATE OR REPLACE TEMP TABLE batch AS
SELECT position, stream, version, topic, unnest(shape),
    CASE WHEN shape.revision < today THEN facts END AS old_facts, today
FROM (SELECT position, stream, version, topic, facts, shape(facts) AS shape FROM log_batch)
LEFT JOIN revisions USING (topic);

-- unknown: an event that this version of the ledger must not guess at
SELECT stream, version, topic, revision FROM batch
WHERE today IS NULL OR revision IS NULL OR revision > today
ORDER BY position LIMIT 1;

-- old: events of an earlier revision
SELECT position, stream, version, topic, old_facts FROM batch WHERE old_facts IS NOT NULL
ORDER BY position;

-- drop_old: take them out, to come back in today's shape
DELETE FROM batch WHERE old_facts IS NOT NULL;

-- add: events in today's shape
INSERT INTO batch BY NAME
SELECT position, stream, version, topic, unnest(shape(facts)) FROM log_batch;

-- extent: how many events, up to which position
SELECT count(*), max(position) FROM batch;

-- deleted: the runs that the batch deletes
CREATE OR REPLACE TEMP TABLE deleted AS
SELECT stream AS run_id, any_value(born) AS born, any_value(organization) AS organization,
    any_value(agent_id) AS agent_id
FROM batch WHERE topic = 'run.deleted' GROUP BY stream;

-- forget: nothing of a run that the batch deletes is projected from this batch
DELETE FROM batch USING deleted WHERE batch.stream = deleted.run_id;

-- any_deleted: whether the batch deletes a run
SELECT 1 FROM deleted LIMIT 1;
