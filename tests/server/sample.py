"""Runs of every fate, with everything that a run, a step and a message can have."""

from typing import Any

from runledger import RunLedger
from runledger.demo import work
from runledger.ids import derived_id

CONVERSATION = "conv-sample"
FATES = (*["answered"] * 4, "out_of_steps", "tool_fails", "cancelled", "needs_approval", "running")


def id_of(kind: str, name: str) -> str:
    """Return the id that this name always stands for."""
    return derived_id(kind, "sample", name)


RICH = id_of("run", "rich")


async def make_sample(ledger: RunLedger) -> None:
    """Let the demo's runs happen, and one run that has everything."""
    await work(ledger, FATES)
    await ledger.register_agent("agent-rich", agent_type="letta_v1_agent", name="Rich")
    await ledger.create_run(
        "agent-rich",
        run_id=RICH,
        conversation_id=CONVERSATION,
        project_id="project-1",
        background=True,
        base_template_id="template-1",
        metadata={"a": 1, "b": ["ü", None, {"c": 2.5}]},
        request_config={"use_assistant_message": True},
        callback_url="https://example.com/hook",
    )
    await ledger.record_messages(RICH, [{"role": "user", "content": "Hello?"}])
    await ledger.record_step(
        RICH,
        step_id=id_of("step", "first"),
        provider="anthropic",
        model="claude",
        prompt_tokens=10,
        completion_tokens=20,
        prompt_tokens_details={"cached_tokens": 3, "cache_creation_tokens": 4},
        completion_tokens_details={"reasoning_tokens": 5},
        tags=["blue", "red"],
        trace_id="0af7651916cd43dd8448eb211c80319c",
        step_ns=5_000,
        llm_request_ns=4_000,
        messages=[_thought_and_said("I think.", "I say."), _calls("search"), _returned()],
    )
    await ledger.record_step(RICH, step_id=id_of("step", "second"), status="failed", error_type="x")
    await ledger.complete_run(RICH)


def _thought_and_said(thought: str, said: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": [
            {"type": "reasoning", "reasoning": thought, "is_native": True},
            {"type": "text", "text": said},
        ],
    }


def _calls(name: str) -> dict[str, Any]:
    call = {"id": "call-1", "function": {"name": name, "arguments": '{"q": 1}'}}
    return {"role": "assistant", "content": [{"type": "text", "text": "So:"}], "tool_calls": [call]}


def _returned() -> dict[str, Any]:
    returned = {"tool_call_id": "call-1", "status": "success", "func_response": "found"}
    return {"role": "tool", "tool_call_id": "call-1", "tool_returns": [returned]}
