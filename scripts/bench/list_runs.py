"""How long does a question take over many runs?"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from statistics import median
from typing import Any, Final

from runledger import RunLedger
from runledger.run import Actor
from scripts.bench.bench import Bench
from scripts.bench.generate import BEGIN
from scripts.bench.rounds import percentile
from scripts.bench.row import Figure, Mark, Row

REPLACED: Final = {"percentile": 27.0, "order by duration": 41.0}
"""ms of the system that the ledger replaces, with 20,000 runs; other filters took 5 to 12."""

FILTERS: Final[dict[str, dict[str, Any]]] = {
    "no filter": {},
    "agent_id": {"agent_id": "agent-3"},
    "agent_ids": {"agent_ids": ["agent-3", "agent-4", "agent-5"]},
    "statuses": {"statuses": ["failed", "cancelled"]},
    "stop_reason": {"stop_reason": "llm_api_error"},
    "background": {"background": True},
    "template_family": {"template_family": "template-none"},
    "project_id": {"project_id": "project-1"},
    "conversation_id": {"conversation_id": "conv-none"},
    "step_count": {"step_count": 4, "step_count_operator": "gte"},
    "tools_used": {"tools_used": ["run_tests"]},
    "duration": {"duration_filter": {"value": 10**10, "operator": "gt"}},
    "dates": {"start_date": BEGIN, "end_date": BEGIN + timedelta(hours=6)},
    "percentile": {"duration_percentile": 95},
    "order by duration": {"order_by": "duration"},
}

TOGETHER: Final = (
    ("agent_id", "statuses"),
    ("agent_id", "order by duration"),
    ("agent_ids", "stop_reason", "dates"),
    ("project_id", "percentile"),
    ("project_id", "agent_id", "tools_used"),
    ("statuses", "background", "step_count"),
    ("stop_reason", "duration", "order by duration"),
    ("dates", "statuses", "percentile"),
    ("tools_used", "step_count", "duration"),
    ("project_id", "statuses", "dates", "percentile", "order by duration"),
)
"""Ten combinations of the filters above."""


async def _measure(url: str, path: str, samples: int) -> tuple[dict[str, list[float]], int]:
    async with RunLedger.open(url, path, actor=Actor("org-1")) as ledger:
        await ledger.project()
        questions: dict[str, Callable[[], Awaitable[object]]] = {
            f"list_runs, {name}": partial(ledger.list_runs, **asked)
            for name, asked in FILTERS.items()
        }
        for names in TOGETHER:
            asked = {key: value for name in names for key, value in FILTERS[name].items()}
            questions[f"list_runs, {' + '.join(names)}"] = partial(ledger.list_runs, **asked)
        (found,) = await ledger.list_runs(limit=1, ascending=True)
        questions["list_runs, run_id"] = partial(ledger.list_runs, run_id=found.run_id)
        questions["list_runs, after a run"] = partial(
            ledger.list_runs, after=found.run_id, ascending=True
        )
        questions["usage totals"] = partial(ledger.usage_totals, by=["model", "day"])
        page = partial(ledger.duration_percentiles, by=["project", "agent", "day"])
        questions["percentiles page"] = page
        questions["percentiles by agent"] = partial(ledger.duration_percentiles, by=["agent"])
        took: dict[str, list[float]] = {name: [] for name in questions}
        for _ in range(samples):
            for name, ask in questions.items():
                begin = time.perf_counter()
                await ask()
                took[name].append(1000 * (time.perf_counter() - begin))
        _, ((runs,),) = await ledger.sql("SELECT count(*) FROM runs")
    return took, int(runs)


def rows(bench: Bench) -> Iterator[Row]:
    """Yield p95 of every filter and page; the answer includes a look at the log's head."""
    path = str(bench.read_models(bench.size.events))
    took, runs = asyncio.run(_measure(bench.log("postgresql"), path, bench.size.samples))
    for name, times in took.items():
        theirs = REPLACED.get(name.removeprefix("list_runs, "))
        peer = None if theirs is None else Figure("the replaced system, 20,000 runs", theirs)
        figure = f"{name}, {runs:,} runs, p95"
        mark = Mark("≤", 20, "ours")
        note = f"p50 {median(times):.1f} ms"
        yield Row(figure, percentile(times, 95), "ms", peer, None, None, mark, note)
