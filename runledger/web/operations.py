"""Operations: replay and look at what would change, why, and only then switch; health beside it."""

import asyncio
from typing import Any, Final, Literal

from pydantic import Field

from projections.compare.comparison import Comparison
from projections.compare.diff import TableDiff
from projections.generations.live import LiveReadModels
from projections.generations.manifest import GenerationManifest
from runledger.health import Check, examine
from runledger.server.call import Call
from runledger.server.operation import Operation
from runledger.server.route import Strict
from runledger.web.address import Address
from runledger.web.view import Elsewhere, View

_ROWS: Final = 50
_EXPLAINED: Final = 3
"""Rows of each table: to explain one folds a run event by event, twice."""
_SHOWN: Final = 10
_OPERATIONS: Final = Address.of("operations")


class Looking(Strict):
    """Which operation is shown, which of its tables, and the row that is explained."""

    operation: str | None = None
    table: str | None = None
    row: int | None = Field(default=None, ge=0)


class Replaying(Strict):
    """The form of a replay: only what changed, or all of it."""

    only_changed: Literal["yes", "no"] = "no"


class Numbered(Strict):
    """The form of what is done with a generation."""

    number: int = Field(ge=0)


class Comparing(Numbered):
    """The form of a comparison; with a `run`, its rows alone are shown and explained."""

    run: str | None = None


async def show(call: Call[Looking, None]) -> View:
    """Return the operations, what the one that is looked at found, and how the ledger is."""
    call.caller.expect_every_organization("operations")
    # Copies: one that ends while the rest is read would be shown as done, without its result.
    operations = [one.model_copy() for one in call.services.operations.all()]
    generations = await _generations(call, operations)
    parked = await call.ledger.operator.parked()
    owed = await call.ledger.list_callbacks(statuses=["pending"], limit=1000, actor=call.actor)
    shown = _looked_at(operations, call.query.operation)
    comparison = _comparison(shown)
    checks = await _health(call)
    return View(
        "operations.html",
        "Operations",
        {
            "operations": operations[:_SHOWN],
            "generations": generations,
            "parked": [one._asdict() for one in parked],
            "callbacks_owed": len(owed),
            "comparison": comparison,
            "health": [check._asdict() for check in checks],
        },
        {
            "shown": shown,
            "query": call.query,
            **_diff(comparison, call.query),
            "path": _OPERATIONS.having(operation=shown.id if shown else None),
            "live": _live(generations),
            "numbers": {one.number: one for one in generations},
            "running": next((one for one in operations if one.state == "running"), None),
        },
    )


async def replay(call: Call[Any, Replaying]) -> Elsewhere:
    """Begin a replay beside the live read models; nothing is switched."""
    only = call.body.only_changed == "yes"
    return _begin(call, "replay", limit=_ROWS, explain=_EXPLAINED, only_changed=only)


async def compare(call: Call[Any, Comparing]) -> Elsewhere:
    """Begin to compare a generation with the live one, or one run of it, which is explained."""
    runs = [] if call.body.run is None else [call.body.run]
    return _begin(
        call,
        "compare",
        number=call.body.number,
        limit=_ROWS,
        explain=_EXPLAINED,
        explain_runs=runs,
    )


async def switch(call: Call[Any, Numbered]) -> Elsewhere:
    """Begin to make a generation the live one."""
    return _begin(call, "switch", number=call.body.number)


async def verify(call: Call[Any, Any]) -> Elsewhere:
    """Begin to verify the live read models against the log."""
    return _begin(call, "verify")


async def cancel(call: Call[Any, Any]) -> Elsewhere:
    """Ask the operation that runs to end."""
    call.caller.expect_every_organization("operations")
    operation = call.services.operations.cancel(call.names["operation_id"])
    return Elsewhere(_OPERATIONS.having(operation=operation.id))


async def drop(call: Call[Any, Numbered]) -> Elsewhere:
    """Delete a generation that is not live."""
    call.caller.expect_every_organization("operations")
    await call.ledger.operator.drop_generation(call.body.number)
    return Elsewhere(_OPERATIONS)


async def retry(call: Call[Any, Any]) -> Elsewhere:
    """Try all parked runs again."""
    call.caller.expect_every_organization("operations")
    await call.ledger.operator.retry_parked()
    return Elsewhere(_OPERATIONS)


async def _generations(
    call: Call[Any, Any], operations: list[Operation]
) -> list[GenerationManifest]:
    """Return the generations; while an operation runs, as they were when it began.

    To have those of this moment is to wait until the operation lets go of them.
    """
    live = call.ledger.read_models
    if isinstance(live, LiveReadModels) and any(one.state == "running" for one in operations):
        return await asyncio.to_thread(live.generations.entries)
    return await call.ledger.operator.generations()


async def _health(call: Call[Any, Any]) -> list[Check]:
    """Return what doctor says; of the read models, what the process that holds them knows."""
    live = call.ledger.read_models
    # Nothing else may open the file while this process holds it: that is no finding.
    found = await asyncio.to_thread(examine, call.ledger.store.url, live.path, whole=False)
    checks = [check for check in found if check.name != "read models"]
    behind = max(await call.services.head() - live.position, 0)
    checks.append(Check("read models", "ok", str(live.path)))
    checks.append(Check("behind the log", "ok", f"{behind:,} events, at {live.position:,}"))
    changed = ", ".join(live.changed) if isinstance(live, LiveReadModels) else ""
    stale = f"of {changed}: not the one that made their rows; replay"
    made = "the one that made their rows"
    checks.append(Check("SQL", "note" if changed else "ok", stale if changed else made))
    return checks


def _begin(call: Call[Any, Any], kind: Any, **arguments: Any) -> Elsewhere:
    call.caller.expect_every_organization("operations")
    operation = call.services.operations.start(kind, arguments)
    return Elsewhere(_OPERATIONS.having(operation=operation.id))


def _looked_at(operations: list[Operation], named: str | None) -> Operation | None:
    """Return the named operation; without a name the newest one."""
    if named is None:
        return operations[0] if operations else None
    return next((one for one in operations if one.id == named), None)


def _comparison(operation: Operation | None) -> Comparison | None:
    if operation is None or not operation.result:
        return None
    found = operation.result
    if operation.kind == "replay":
        found = found.get("comparison")
    elif operation.kind != "compare":
        return None
    return None if found is None else Comparison.model_validate(found)


def _diff(comparison: Comparison | None, query: Looking) -> dict[str, Any]:
    """Return the table, the rows and the explanation that are looked at."""
    if comparison is None:
        return {"table": None, "rows": [], "why": None, "chosen": 0}
    tables = comparison.tables
    table = next((one for one in tables if one.table == query.table), None)
    if table is None:
        table = max(
            tables,
            key=lambda one: (one.table == "runs" and one.differing > 0, one.differing),
            default=None,
        )
    rows = table.sample if table else []
    chosen = min(query.row or 0, max(len(rows) - 1, 0))
    why = None
    if table is not None and rows:
        key = rows[chosen].key
        why = next(
            (one for one in comparison.explanations if one.table == table.table and one.key == key),
            None,
        )
    return {"table": table, "rows": rows, "why": why, "chosen": chosen}


def _interest(table: TableDiff) -> tuple[bool, int]:
    """Return by what the first table to look at is chosen: runs first, then most differences."""
    return table.table == "runs" and table.differing > 0, table.differing


def _live(generations: list[GenerationManifest]) -> int | None:
    return next((one.number for one in generations if one.state == "live"), None)
