"""No text that Python accepts keeps anything from being recorded, whichever way it enters."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from runledger import Actor, RunLedger
from runledger.ids import new_id
from runledger.ledger.part import LedgerPart

HALF = "half \ud83d"
KEPT = "half \\ud83d"
texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)


def call(text: str) -> dict[str, object]:
    return {"id": text, "function": {"name": text, "arguments": text}}


@given(texts)
def test_a_step_with_any_texts_keeps_its_tokens(shared_ledger: RunLedger, text: str) -> None:
    async def record() -> None:
        actor = Actor(user=text)
        async with shared_ledger.run(
            agent_id="agent-a", actor=actor, metadata={text: [{text: text}]}
        ) as run:
            async with run.step(
                provider=text, model=text, tags=[text], error_data={text: text}
            ) as step:
                step.usage(prompt_tokens=5, completion_tokens=7)
                step.messages(
                    {"role": "user", "content": text, "name": text, "extra": {text: text}},
                    {"role": "assistant", "content": text, "tool_calls": [call(text)]},
                    {
                        "role": "tool",
                        "tool_call_id": text,
                        "tool_returns": [
                            {"tool_call_id": text, "func_response": text, "stdout": [text]}
                        ],
                    },
                )
            await run.patch_metadata({text: text})
        found = await shared_ledger.get_run_by_id(run.run_id)
        assert (found.status, found.total_tokens) == ("completed", 12)
        assert len(await shared_ledger.get_stored_messages(run.run_id)) == 3
        assert not (await shared_ledger.part(LedgerPart).opened.load(run.run_id, None)).open_calls

    asyncio.run(record())


async def test_half_a_character_is_kept_escaped(ledger: RunLedger) -> None:
    run = await ledger.create_run("agent-a", metadata={"note": HALF}, correlation_id=HALF)
    await ledger.register_agent("agent-a", name=HALF)
    messages = [{"id": new_id("message"), "role": "user", "content": HALF}]
    await ledger.record_messages(run.run_id, messages)
    failed = await ledger.fail_run(run.run_id, error_type=HALF, error_message=HALF)
    assert (failed.metadata, failed.error_message) == ({"note": KEPT}, KEPT)
    (stored,) = await ledger.get_stored_messages(run.run_id)
    assert stored.text() == KEPT
    (listed,) = await ledger.list_runs()
    assert (listed.metadata, listed.error_type) == ({"note": KEPT}, KEPT)


async def test_what_was_stored_escaped_is_recognised_when_it_is_repeated(ledger: RunLedger) -> None:
    run_id, step_id = new_id("run"), new_id("step")
    for _ in range(2):
        await ledger.create_run("agent-a", run_id=run_id, metadata={"note": HALF})
        await ledger.record_step(
            run_id,
            step_id=step_id,
            model=HALF,
            prompt_tokens=3,
            messages=[{"role": "user", "content": HALF}],
        )
    assert (await ledger.get_run_by_id(run_id)).prompt_tokens == 3
    assert len(await ledger.get_stored_messages(run_id)) == 1
