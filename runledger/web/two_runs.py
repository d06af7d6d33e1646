"""Two runs side by side: what they are, where they differ, and where the time of each went."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field

from runledger.ledger.part import LedgerPart
from runledger.records import RunRecord
from runledger.server.call import Call
from runledger.web import shown
from runledger.web.buckets import BUCKETS, bucket_bar
from runledger.web.long_run import long_run
from runledger.web.run_search import AsOfNow
from runledger.web.timeline import Bar, bars, length, placed, ticks
from runledger.web.view import View

MOST_ROWS: Final = 300


class Two(AsOfNow):
    """`run` comes twice: the ids of the runs, the left one first."""

    run: Annotated[list[str], Field(min_length=2, max_length=2)]


class Compared(NamedTuple):
    """One line: what is compared, the value of each run, and the right one less the left one."""

    name: str
    values: tuple[Any, Any]
    difference: int | None
    kind: str = "text"


_FACTS: Final[Sequence[tuple[str, Callable[[RunRecord], Any], str]]] = (
    ("Status", lambda run: run.status, "text"),
    ("Stop reason", lambda run: run.stop_reason, "text"),
    ("Error", lambda run: run.error_type, "text"),
    ("Agent", lambda run: run.agent_id, "text"),
    ("Template", lambda run: run.base_template_id, "text"),
    ("Project", lambda run: run.project_id, "text"),
    ("Conversation", lambda run: run.conversation_id, "text"),
    ("Duration", lambda run: run.run_ns, "duration"),
    ("Steps", lambda run: run.num_steps, "count"),
    ("Tokens in", lambda run: run.prompt_tokens, "count"),
    ("Tokens out", lambda run: run.completion_tokens, "count"),
    *(
        (f"of them {name}", lambda run, c=column: getattr(run, c), "count")
        for name, _, column in BUCKETS
    ),
    ("Tools", lambda run: ", ".join(run.tools_used) or None, "text"),
    ("Events", lambda run: run.version, "count"),
)


async def show(call: Call[Two, None]) -> View:
    """Return two runs."""
    past = call.query.past()
    runs = [
        await call.ledger.get_run_by_id(one, **past, actor=call.actor) for one in call.query.run
    ]
    rows = [await _rows(call, run) for run in runs]
    whole = max(length(run, found) for run, found in zip(runs, rows, strict=True))
    left, right = (placed(found[:MOST_ROWS], whole) for found in rows)
    return View(
        "two_runs.html",
        "Two runs",
        {"runs": runs, "compared": [one._asdict() for one in compared(runs[0], runs[1])]},
        {
            "facts": compared(runs[0], runs[1]),
            "rows": list(zip_longest(left, right)),
            "cut": max(len(found) for found in rows) > MOST_ROWS,
            "most": MOST_ROWS,
            "whole": whole,
            "ticks": ticks(whole),
            "bars": [bucket_bar(run.model_dump()) for run in runs],
            "buckets": BUCKETS,
            "difference": _difference,
        },
    )


def compared(left: RunRecord, right: RunRecord) -> list[Compared]:
    """Return what is compared of two runs; a difference is of numbers that both have."""
    made = []
    for name, read, kind in _FACTS:
        values = read(left), read(right)
        numbers = kind != "text" and None not in values
        made.append(Compared(name, values, values[1] - values[0] if numbers else None, kind))
    return made


def _difference(one: Compared) -> str | None:
    if not one.difference:
        return None
    sign = "+" if one.difference > 0 else "\N{MINUS SIGN}"
    size = abs(one.difference)
    return f"{sign}{shown.duration(size) if one.kind == 'duration' else shown.count(size)}"


async def _rows(call: Call[Two, None], run: RunRecord) -> Sequence[Bar]:
    opened, past = call.ledger.part(LedgerPart).opened, call.query.past()
    if run.num_steps > MOST_ROWS and not past and opened.live is not None:
        return (await opened.ask(lambda q: long_run(q, run, 1, MOST_ROWS))).rows
    steps = await call.ledger.get_run_steps(run.run_id, **past, actor=call.actor)
    events = await opened.events(run.run_id, past.get("as_of"), contents=False)
    return bars(run, steps, events)
