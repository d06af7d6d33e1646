-- tool_calls: one row per tool call in the messages of a run. `status` is open until the tool
-- returns (success or error) or the call is denied; a denial takes precedence over the error return
-- that belongs to it. `approved` is the answer to the call, including the refusal of a call whose
-- deadline passed, and NULL if there is none. `denied` says that the call was refused, or closed
-- without a return by a cancellation or a deadline: a call that was granted before is both approved
-- and denied. `name`, `message_id` and `called_at` are NULL if a return or an answer is recorded,
-- but not the call. The first call and the first return are used.
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
