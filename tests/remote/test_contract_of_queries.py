"""SQL, conditions, queries and saved views mean the same to a local ledger and to a remote one."""

from collections.abc import Iterable
from typing import Any

import nanoarrow
import pytest

from runledger.errors import InvalidArgument, InvalidExpression, NotFound

pytestmark = pytest.mark.slow


async def test_sql_answers_with_values_of_json(opened) -> None:
    async with opened() as ledger:
        run = await ledger.create_run("agent-a")
        reached = await ledger.project()
        assert reached > 0
        for question in (ledger.sql, lambda text: ledger.sql_rows(text, _taken)):
            columns, rows = await question("SELECT run_id, num_steps, NULL AS nothing FROM runs")
            assert (columns, rows) == (["run_id", "num_steps", "nothing"], [(run.run_id, 0, None)])
        with pytest.raises(InvalidArgument, match="nowhere"):
            await ledger.sql("SELECT * FROM nowhere")


async def test_a_server_gives_no_part_of_an_answer(remote) -> None:
    async with remote() as ledger:
        with pytest.raises(InvalidArgument, match="10,000 rows"):
            await ledger.sql("SELECT * FROM range(20000)")


def _taken(columns: list[str], rows: Iterable[tuple[Any, ...]]) -> tuple[Any, Any]:
    return list(columns), list(rows)


async def test_a_condition_means_the_same(opened) -> None:
    async with opened() as ledger:
        for tokens in (10, 20):
            run = await ledger.create_run("agent-1")
            await ledger.record_step(run.run_id, model="m", total_tokens=tokens)
        where = "any_step(total_tokens > 15)"
        assert [found.run_id for found in await ledger.list_runs(where=where)] == [run.run_id]
        (total,) = await ledger.usage_totals(where=where)
        assert total.total_tokens == 20
        assert await ledger.duration_percentiles(where=where) == []
        for ask in (ledger.list_runs, ledger.usage_totals, ledger.duration_percentiles):
            with pytest.raises(InvalidExpression, match="did you mean status") as refused:
                await ask(where="num_steps = 1 AND statsu = 'x'")
            assert refused.value.column == 19


async def test_a_query_gives_its_pages_its_runs_and_a_table(opened) -> None:
    async with opened() as ledger:
        made = [(await ledger.create_run("agent-1", metadata={"n": n})).run_id for n in range(3)]
        query = ledger.runs(where="agent_id = 'agent-1'", ascending=True)
        first = await query.page(limit=2)
        rest = await query.page(limit=2, after=first[-1].run_id)
        listed = await ledger.list_runs(ascending=True)
        assert [*first, *rest] == listed
        assert [run.run_id async for run in query] == [run.run_id for run in listed]
        assert {run.run_id for run in listed} == set(made)
        table = await query.arrow()
        for _ in range(2):
            rows = nanoarrow.Array(nanoarrow.c_array_stream(table)).to_pylist()
            assert [row["run_id"] for row in rows] == [run.run_id for run in listed]
            assert [row["created_at"] for row in rows] == [run.created_at for run in listed]
            assert [row["tools_used"] for row in rows] == [[], [], []]
        table.close()
        with pytest.raises(InvalidExpression):
            ledger.runs(where="statsu = 'x'")


async def test_views_are_saved_replaced_and_removed(opened) -> None:
    async with opened() as ledger:
        first = await ledger.save_view("failed", "status = 'failed'")
        assert (first.kind, first.text) == ("runs", "status = 'failed'")
        head = [view.saved_at for view in await ledger.list_views()]
        # The same again changes nothing, so that a repeated request is no second event.
        assert await ledger.save_view("failed", "status = 'failed'") == first
        assert [view.saved_at for view in await ledger.list_views()] == head
        second = await ledger.save_view("failed", "SELECT 1", kind="sql")
        assert await ledger.get_view("failed") == second
        await ledger.save_view("a.b-c_1", "true")
        assert [view.name for view in await ledger.list_views()] == ["a.b-c_1", "failed"]
        assert await ledger.list_runs(where="true") == []
        assert await ledger.remove_view("failed") is True
        assert await ledger.remove_view("failed") is False
        with pytest.raises(NotFound, match="view with id failed not found"):
            await ledger.get_view("failed")
        with pytest.raises(InvalidExpression, match="did you mean status"):
            await ledger.save_view("x", "statsu = 'failed'")
        for name in ("", "a b", "-a", "x" * 65, "é"):
            with pytest.raises(InvalidArgument):
                await ledger.save_view(name, "true")
        with pytest.raises(InvalidArgument):
            await ledger.save_view("x", " ", kind="sql")
