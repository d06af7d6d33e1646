"""How long does a condition in the filter language take over many runs?

Twenty typical conditions, those with a question about steps or tool calls, and the worst that the
limits of the language let through.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Final

from runledger import RunLedger
from runledger.run import Actor
from scripts.bench.bench import Bench
from scripts.bench.rounds import percentile
from scripts.bench.row import Mark, Row

TYPICAL: Final = (
    "status = 'failed'",
    "status <> 'completed' AND NOT background",
    "status = 'failed' AND total_tokens > 500 AND agent_id LIKE 'agent-1%'",
    "stop_reason IN ('llm_api_error', 'cancelled')",
    "agent_id = 'agent-3'",
    "agent_id IN ('agent-3', 'agent-4', 'agent-5') AND status = 'completed'",
    "agent_id ~ '^agent-1[0-9]$'",
    "agent_id ILIKE '%T-7'",
    "project_id = 'project-1' AND num_steps >= 4",
    "total_tokens BETWEEN 40000 AND 50000",
    "prompt_tokens / num_steps > 15000",
    "completion_tokens * 10 > prompt_tokens",
    "duration > INTERVAL 30 SECOND",
    "duration BETWEEN INTERVAL 1 SECOND AND INTERVAL 2 SECOND OR status = 'cancelled'",
    "created_at > now() - INTERVAL 36500 DAY",
    "created_at BETWEEN '2025-03-01' AND '2025-03-01T06:00:00Z'",
    "date_part('hour', created_at) = 3",
    "error_type IS NOT NULL",
    "'run_tests' IN tools_used AND len(tools_used) > 2",
    "metadata.source = 'api' AND metadata.title IS NOT NULL",
)
"""Twenty conditions on the columns of runs."""

STEPS: Final = (
    "any_tool(name = 'run_tests' AND status = 'error')",
    "any_tool(denied)",
    "any_step(model = 'claude-sonnet' AND total_tokens > 100000)",
    "status = 'failed' AND any_step(prompt_tokens > 20100)",
)
"""Conditions with one question about tool calls, or a selective one about steps."""

WORST: Final = (
    " OR ".join(f"agent_id ~ '({'(a|aa)+' * n})b'" for n in range(1, 9)),
    " OR ".join(f"agent_id ILIKE '%{n}%x%y%z%'" for n in range(8)),
    " OR ".join(f"metadata.k{n} = 'x'" for n in range(16)),
    " OR ".join(f"total_tokens + {n} = 0.5" for n in range(140)),
    " AND ".join(f"any_step(total_tokens > {n})" for n in range(8)),
    " AND ".join(f"any_tool(tool_call_id <> '{n}')" for n in range(8)),
    "any_step(total_tokens > 1) AND (num_steps < 0 OR any_step(total_tokens > 2))",
    "all_steps(total_tokens < 0) OR all_tools(denied)",
    "NOT any_step(total_tokens > 1)",
)
"""What takes longest within the limits: patterns, keys, arithmetic, and unselective questions."""

_MARKS: Final[Mapping[str, tuple[tuple[str, ...], int]]] = {
    "typical": (TYPICAL, 25),
    "of steps": (STEPS, 100),
    "worst": (WORST, 500),
}
"""The conditions of each kind, and how many ms they may take."""


async def _measure(url: str, path: str, samples: int) -> tuple[dict[str, list[float]], int]:
    async with RunLedger.open(url, path, actor=Actor("org-1")) as ledger:
        await ledger.project()
        texts = [text for some, _ in _MARKS.values() for text in some]
        took: dict[str, list[float]] = {text: [] for text in texts}
        for text in texts:
            await ledger.list_runs(where=text)
        for _ in range(samples):
            for text in texts:
                begin = time.perf_counter()
                await ledger.list_runs(where=text)
                took[text].append(1000 * (time.perf_counter() - begin))
        _, ((runs,),) = await ledger.sql("SELECT count(*) FROM runs")
    return took, int(runs)


def rows(bench: Bench) -> Iterator[Row]:
    """Yield p95 of a page of 50 runs for each condition, and over all conditions of each kind."""
    path = str(bench.read_models(bench.size.events))
    took, runs = asyncio.run(_measure(bench.log("postgresql"), path, bench.size.samples))
    for kind, (texts, most) in _MARKS.items():
        mark = Mark("≤", most, "ours")
        for text in texts:
            shown = text if len(text) <= 70 else f"{text[:69]}…"
            note = f"p50 {median(took[text]):.1f} ms"
            yield Row(f"{kind}: {shown}", percentile(took[text], 95), "ms", mark=mark, note=note)
        every = [one for text in texts for one in took[text]]
        figure = f"where, {len(texts)} {kind}, {runs:,} runs, p95 of all"
        yield Row(
            figure, percentile(every, 95), "ms", mark=mark, note=f"p50 {median(every):.1f} ms"
        )
