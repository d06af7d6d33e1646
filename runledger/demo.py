"""A demo: a real agent loop whose model is a script, so that it needs no network and no key.

The agent answers customers' questions. Some runs succeed, some fail, some are cancelled, some wait
for a person's approval, and some are still running when the demo ends.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from runledger.ids import new_id
from runledger.ledger import RunLedger

AGENTS: Final = ("agent-support", "agent-billing")
FATES: Final = (
    *["answered"] * 18,
    *["out_of_steps"] * 3,
    *["tool_fails"] * 5,
    *["cancelled"] * 4,
    *["needs_approval"] * 4,
    *["running"] * 2,
)
"""The course of each of the runs."""

_MAX_STEPS: Final = 6
_MODELS: Final = (("openai", "gpt-4.1"), ("anthropic", "claude-sonnet-4"))
_QUESTIONS: Final = (
    "Where is my order #W4680753?",
    "I was charged twice for the same flight.",
    "Please cancel my reservation and refund it.",
    "My mobile data does not work abroad.",
)


class ToolError(Exception):
    """The error of a failing tool of the demo."""


class Reply(NamedTuple):
    """The model's answer in one turn: a text, or a call of a tool."""

    text: str | None
    tool: str | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class ScriptedModel:
    """Replaces a provider's client: waits, answers, and reports its usage."""

    def __init__(self, seed: int, fate: str) -> None:
        self._random = random.Random(seed)
        self._fate = fate
        self._turns_left = self._random.randint(1, 4)
        self._prompt_tokens = self._random.randint(600, 1_200)

    async def reply(self) -> Reply:
        """Return the next turn."""
        if self._fate == "cancelled" and self._turns_left <= 0:
            await asyncio.Event().wait()  # hangs until the run's task is cancelled
        await asyncio.sleep(self._random.uniform(0.005, 0.04))
        cached, written = self._prompt_tokens // 2, self._random.randint(20, 200)
        self._prompt_tokens += written + self._random.randint(50, 400)
        self._turns_left -= 1
        said = self._fate == "answered" and self._turns_left < 0
        text = "That is done. Can I do anything else for you?" if said else None
        return Reply(text, None if said else self._tool(), self._prompt_tokens, written, cached)

    def _tool(self) -> str:
        if self._turns_left < 0 and self._fate == "tool_fails":
            return "send_email"
        if self._turns_left < 0 and self._fate == "needs_approval":
            return "refund"
        return self._random.choice(["find_order", "find_customer", "search_policy"])


async def call_tool(name: str) -> str:
    """Run a tool of the demo."""
    await asyncio.sleep(0.002)
    if name == "send_email":
        raise ToolError("the mail server does not answer")
    return f'{{"found": "{name} found something"}}'


async def agent_loop(ledger: RunLedger, seed: int, fate: str) -> None:
    """Work on one customer's question; an example of a program that uses the ledger."""
    provider, name = _MODELS[seed % len(_MODELS)]
    model = ScriptedModel(seed, fate)
    async with ledger.run(
        agent_id=AGENTS[seed % len(AGENTS)], metadata={"run_type": "demo", "seed": seed}
    ) as run:
        await run.messages({"role": "user", "content": _QUESTIONS[seed % len(_QUESTIONS)]})
        for _ in range(_MAX_STEPS):
            async with run.step(provider=provider, model=name) as step:
                reply = await model.reply()
                step.usage(
                    prompt_tokens=reply.prompt_tokens,
                    completion_tokens=reply.completion_tokens,
                    prompt_tokens_details={"cached_tokens": reply.cached_tokens},
                )
                if reply.tool is None:
                    step.messages({"role": "assistant", "content": reply.text})
                    return
                call = _call(reply.tool)
                if reply.tool == "refund":
                    step.messages({"role": "approval", "tool_calls": [call]})
                    run.stop("requires_approval")
                    return
                step.messages({"role": "assistant", "tool_calls": [call]})
                result = await call_tool(reply.tool)
                step.messages(_tool_return(call["id"], result))
        run.stop("max_steps")


async def still_running(ledger: RunLedger, seed: int) -> None:
    """Record a run that has not ended yet, with the plain commands instead of the handles."""
    run = await ledger.create_run(AGENTS[seed % len(AGENTS)], metadata={"run_type": "demo"})
    await ledger.start_run(run.run_id)
    await ledger.record_step(
        run.run_id,
        provider="openai",
        model="gpt-4.1",
        prompt_tokens=900,
        completion_tokens=120,
        messages=[{"role": "assistant", "content": "I am looking into it."}],
    )


async def work(ledger: RunLedger, fates: Sequence[str] = FATES) -> None:
    """Execute the runs of the demo concurrently."""
    tasks = []
    for seed, fate in enumerate(fates):
        if fate == "running":
            tasks.append(asyncio.create_task(still_running(ledger, seed)))
        else:
            tasks.append(asyncio.create_task(agent_loop(ledger, seed, fate)))
    hanging = [task for task, fate in zip(tasks, fates, strict=True) if fate == "cancelled"]
    await asyncio.wait(set(tasks) - set(hanging))
    for task in hanging:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception) and not isinstance(outcome, ToolError):
            raise outcome


def _call(tool: str) -> dict[str, Any]:
    return {"id": new_id("call"), "function": {"name": tool, "arguments": "{}"}}


def _tool_return(call_id: str, result: str) -> dict[str, Any]:
    returned = {"tool_call_id": call_id, "status": "success", "func_response": result}
    return {"role": "tool", "tool_call_id": call_id, "tool_returns": [returned]}
