"""The tools: each is a question, and its docstring is what a model reads about it."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from projections.queries.where.columns import TABLES, columns
from projections.queries.where.expression import read
from projections.queries.where.functions import KNOWN
from runledger.errors import InvalidArgument
from runledger.mcp.answers import listed

if TYPE_CHECKING:
    from runledger.ledger import RunLedger
    from runledger.server.sql_desk import SqlDesk

Where = Annotated[
    str,
    Field(
        description=(
            "An SQL condition on runs, such as: status = 'failed' AND any_tool(name = 'search' AND "
            "status = 'error') AND created_at > now() - INTERVAL 2 DAY. The tool `where` names the "
            "columns and functions. Empty for all runs."
        )
    ),
]
RunId = Annotated[str, Field(description="The id of a run: run-<uuid4>.")]
_BRIEF: Final = (
    *("run_id", "agent_id", "status", "stop_reason", "created_at", "run_ns", "num_steps"),
    *("total_tokens", "tools_used", "error_type", "error_message", "metadata"),
)
_LAST_MESSAGES: Final = 20


class Tools:
    """The questions that a model can ask.

    Parameters:
        ledger: the open ledger, of this process or of a server.
        sql: runs SELECTs in a limited process; None offers no SQL.
    """

    def __init__(self, ledger: "RunLedger", sql: "SqlDesk | None" = None) -> None:
        self._ledger = ledger
        self._sql = sql

    async def list_runs(
        self,
        where: Where = "",
        limit: Annotated[int, Field(ge=1, le=100)] = 20,
        order_by: Literal["created_at", "duration", "total_tokens", "num_steps"] = "created_at",
        ascending: bool = False,
        after: Annotated[str | None, Field(description="The last run of the page before.")] = None,
    ) -> str:
        """List runs of agents, the newest first. Durations (run_ns) are in nanoseconds."""
        found = await self._ledger.list_runs(
            where=where, limit=limit, order_by=order_by, ascending=ascending, after=after
        )
        return listed("runs", [run.model_dump(mode="json", include=set(_BRIEF)) for run in found])

    async def show_run(self, run_id: RunId) -> str:
        """Show a run whole: all of its facts, its steps, and its last twenty messages."""
        run = await self._ledger.get_run_by_id(run_id)
        steps = await self._ledger.get_run_steps(run_id)
        messages = await self._ledger.get_stored_messages(run_id)
        rest = [{"step": step} for step in map(_plain, steps)]
        rest += [{"message": message} for message in map(_plain, messages[-_LAST_MESSAGES:])]
        return listed("steps_and_messages", rest, run=run)

    async def explain_run(self, run_id: RunId) -> str:
        """Say why a run ended as it did: its error, the steps that failed, and the calls of tools
        that failed, were denied or never returned."""
        run = await self._ledger.get_run_by_id(run_id)
        steps = await self._ledger.get_run_steps(run_id)
        messages = await self._ledger.get_stored_messages(run_id)
        returned = {one.tool_call_id: one for m in messages for one in m.tool_returns or ()}
        facts = [
            {"failed_step": step}
            for step in map(_plain, steps)
            if step["status"] == "failed" or step.get("error_type")
        ]
        for message in messages:
            for call in message.tool_calls or ():
                answer = returned.get(call.id)
                if answer is None:
                    facts.append({"call_without_return": _plain(call)})
                elif answer.status != "success":
                    facts.append({"failed_call": _plain(call), "return": _plain(answer)})
        why = {
            name: getattr(run, name)
            for name in ("status", "stop_reason", "error_type", "error_message", "error_data")
        }
        return listed("facts", facts, run_id=run_id, **why)

    async def where(
        self, condition: Annotated[str, Field(description="A condition to check, or none.")] = ""
    ) -> str:
        """Describe the condition language of `where`: its columns with their kinds and known
        values, and its functions. With a condition, check it and count the runs that it keeps."""
        known = {
            table: {
                name: f"{column.kind.value}: {', '.join(column.values)}"
                if column.values
                else column.kind.value
                for name, column in columns(table).items()
            }
            for table in TABLES
        }
        answer: dict[str, Any] = {
            "columns": known,
            "functions": sorted(KNOWN),
            "notes": [
                "columns of steps and tool_calls are used inside any_step(...), all_steps(...), "
                "any_tool(...) and all_tools(...)",
                "metadata.key is text, number(metadata.key) a number; duration is compared with "
                "an interval, such as duration > INTERVAL 30 SECOND",
                "percentile(duration) >= 95 joined by AND keeps the slowest of the other runs",
                "times without a zone are UTC",
            ],
        }
        if condition:
            read(condition)
            (total,) = await self._ledger.usage_totals(by=(), where=condition) or (None,)
            durations = await self._ledger.run_durations(where=condition)
            answer = {"condition": "is in the language", "durations": _plain(durations)}
            answer["usage"] = None if total is None else _plain(total)
        return json.dumps(answer, ensure_ascii=False)

    async def usage(
        self,
        where: Where = "",
        by: Sequence[Literal["project", "agent", "model", "day"]] = ("model",),
    ) -> str:
        """Total the tokens of the steps of these runs, in groups."""
        return listed("groups", await self._ledger.usage_totals(by=by, where=where))

    async def percentiles(
        self, where: Where = "", by: Sequence[Literal["project", "agent", "day"]] = ()
    ) -> str:
        """Return exact percentiles of the durations of these runs that have ended, in
        nanoseconds, in groups."""
        return listed("groups", await self._ledger.duration_percentiles(by=by, where=where))

    async def sql(
        self,
        statement: Annotated[
            str, Field(description="One SELECT in DuckDB's SQL; DESCRIBE runs names columns.")
        ],
    ) -> str:
        """Ask the tables runs, steps, tool_calls, usage_totals, duration_percentiles, agents and
        callbacks in SQL. Nothing can be written, and no file be read. Prefer the other tools."""
        if self._sql is None:
            raise InvalidArgument("sql: this server was started without")
        answer, position = await self._sql.ask(statement)
        rows = [json.loads(line) for line in answer.lines]
        beside = {"columns": list(answer.columns), "position": position}
        return listed("rows", rows, **beside, truncated=answer.truncated)


def _plain(record: Any) -> dict[str, Any]:
    made: dict[str, Any] = record.model_dump(mode="json")
    return made
