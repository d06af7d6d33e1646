-- tool_calls: one row per tool call that the messages of a run speak of.
-- `status` is open until the tool returns (success or error) or the call is denied; a denial
-- outweighs the error return beside it. `approved` is what the answers to the call say, the refusal
-- of a call that waited in vain included, and NULL where there is none; `denied` says that the call
-- was refused, or closed without a return by a cancellation or a deadline: a call that was granted
-- before is approved, and denied. `name`, `message_id` and `called_at` are NULL where a return
-- or an answer is recorded, but not the call. The first call and the first return count.
-- Events: run.messages_recorded, run.tool_calls_denied.
CREATE TABLE tool_calls (
    run_id VARCHAR NOT NULL,
    tool_call_id VARCHAR NOT NULL,
    born BIGINT NOT NULL,
    organization VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    project_id VARCHAR,
    step_id VARCHAR,
    message_id VARCHAR,
    name VARCHAR,
    tool_id VARCHAR,
    status VARCHAR NOT NULL,
    needs_approval BOOLEAN NOT NULL,
    approved BOOLEAN,
    denied BOOLEAN NOT NULL,
    called_at TIMESTAMPTZ,
    returned_at TIMESTAMPTZ,
    return_status VARCHAR,
    position BIGINT
);
