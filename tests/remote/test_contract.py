"""A local ledger and a remote one have the same calls, records and errors."""

import asyncio
import inspect
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta

import pytest

from runledger import Actor, Message, Operator, RunLedger
from runledger.errors import (
    AlreadyEnded,
    ContentConflict,
    ConversationBusy,
    IdempotencyKeyReused,
    InvalidArgument,
    InvalidId,
    NotFound,
    UrlRefused,
    VersionConflict,
)
from runledger.ids import new_id
from runledger.records import Cancellation
from runledger.remote import RemoteLedger
from runledger.remote.operator import RemoteOperator

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1, tzinfo=UTC)

# Not of a remote ledger: docs/remote.md says so.
ONLY_LOCAL = {
    *("actor", "image_bytes", "handler", "open", "part", "read_models", "store"),
    # The operator's, under their old names.
    *("archive", "compare_generation", "drop_generation", "export_parquet", "generation"),
    *("generations", "parked", "publish", "replay", "retry_parked", "switch_generation"),
    *("verify", "verify_archive"),
}


def test_a_remote_ledger_has_the_methods_of_a_local_one() -> None:
    here = {name for name, _ in inspect.getmembers(RunLedger) if not name.startswith("_")}
    there = {name for name, _ in inspect.getmembers(RemoteLedger) if not name.startswith("_")}
    assert here - there == ONLY_LOCAL
    assert there <= here
    here = {name for name, _ in inspect.getmembers(Operator) if not name.startswith("_")}
    there = {name for name, _ in inspect.getmembers(RemoteOperator) if not name.startswith("_")}
    # An archive is continued where the log is; the lines of a store here need no way of their own.
    assert here - there == {"archive", "open"}
    assert there - here == {"export_lines", "import_lines"}


def test_its_methods_take_the_same_arguments() -> None:
    of_the_ledger = inspect.getmembers(RemoteLedger, inspect.isfunction)
    of_the_operator = inspect.getmembers(RemoteOperator, inspect.isfunction)
    for local, name, method in (
        *((RunLedger, *member) for member in of_the_ledger),
        *((Operator, *member) for member in of_the_operator),
    ):
        if name.startswith("_") or name in ("export_lines", "import_lines"):
            continue
        here = inspect.signature(getattr(local, name)).parameters
        there = inspect.signature(method).parameters
        if name == "create_run":
            # Some of them are among its `facts`.
            assert there.keys() - {"facts"} <= here.keys()
        else:
            assert there.keys() == here.keys(), name
        for parameter in there.keys() & here.keys():
            assert there[parameter].default == here[parameter].default, (name, parameter)


async def test_the_readme_s_lines(opened) -> None:
    async with opened() as ledger:
        async with ledger.run(agent_id="agent-support", metadata={"run_type": "chat"}) as run:
            async with run.step(provider="openai", model="gpt-4.1") as step:
                step.messages({"role": "user", "content": "Where is my order?"})
                step.usage(
                    prompt_tokens=812,
                    completion_tokens=40,
                    prompt_tokens_details={"cached_tokens": 512},
                )
        (row,) = await ledger.list_runs(agent_id="agent-support")
        assert (row.run_id, row.status, row.stop_reason) == (run.run_id, "completed", "end_turn")
        assert (row.cache_read_tokens, row.total_tokens) == (512, 852)
        assert row.run_ns is not None
        (stored,) = await ledger.get_stored_messages(run.run_id)
        assert isinstance(stored, Message)


async def test_an_exception_fails_the_run_and_a_cancel_cancels_it(opened) -> None:
    async with opened() as ledger:
        with pytest.raises(RuntimeError):
            async with ledger.run(agent_id="agent-a") as failed, failed.step():
                raise RuntimeError("Boom")
        found = await ledger.get_run_by_id(failed.run_id)
        assert (found.status, found.error_type, found.error_message) == (
            "failed", "RuntimeError", "Boom")  # fmt: skip
        (step,) = await ledger.get_run_steps(failed.run_id)
        assert step.status == "failed"

        async def work() -> None:
            async with ledger.run(agent_id="agent-a", run_id=cancelled):
                begun.set()
                await asyncio.sleep(60)

        cancelled, begun = new_id("run"), asyncio.Event()
        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await ledger.get_run_by_id(cancelled)).status == "cancelled"


async def test_every_command_and_what_it_returns(opened) -> None:
    async with opened() as ledger:
        agent = await ledger.register_agent("agent-a", project_id="p", name="Ada")
        assert await ledger.get_agent("agent-a") == agent
        run = await ledger.create_run("agent-a", metadata={"a": 1}, at=START)
        assert (run.created_at, run.project_id, run.version) == (START, "p", 1)
        assert await ledger.create_run("agent-a", run_id=run.run_id, metadata={"a": 1}) == run
        assert (await ledger.start_run(run.run_id)).status == "running"
        begun = await ledger.start_step(run.run_id, model="gpt")
        step = await ledger.record_step(
            run.run_id, step_id=begun, provider="openai", model="gpt", tags=["x"], prompt_tokens=3,
            messages=[Message(id=new_id("message"), role="user", content="hi")],
        )  # fmt: skip
        assert step == begun
        judged = await ledger.record_step_feedback(step, "negative", tags=["y"])
        assert (judged.feedback, judged.tags) == ("negative", ["y"])
        assert await ledger.get_step(step) == judged
        assert await ledger.list_steps(feedback="negative") == [judged]
        first, second = await ledger.record_messages(
            run.run_id, [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        )
        assert first != second
        assert await ledger.record_heartbeat(run.run_id) is None
        patched = await ledger.patch_metadata(run.run_id, {"b": {"c": [1.5, None]}}, remove=["a"])
        assert patched.metadata == {"b": {"c": [1.5, None]}}
        assert (await ledger.record_run_feedback(run.run_id, "positive")).feedback == "positive"
        ended = await ledger.update_run(
            run.run_id, stop_reason="max_steps", total_duration_ns=7, remove_metadata=["b"],
            completed_at=START + timedelta(hours=1),
        )  # fmt: skip
        assert (ended.status, ended.run_ns, ended.metadata) == ("completed", 7, {})
        assert await ledger.list_runs(feedback="positive") == [ended]
        (listed,) = await ledger.list_runs(feedback="positive", costs=True)
        assert (listed.cost_usd, listed.incomplete_steps) != (None, None)
        assert [run async for run in ledger.runs(feedback="positive", costs=True)] == [listed]
        failed = await ledger.create_run("agent-a")
        failed = await ledger.fail_run(failed.run_id, error_type="E", error_data={"a": 1})
        assert (failed.status, failed.error_data) == ("failed", {"a": 1})
        open_run = await ledger.create_run("agent-a", conversation_id="conv-1")
        (done,) = await ledger.cancel_runs(conversation_id="conv-1", reason="stop")
        assert isinstance(done, Cancellation)
        assert (done.outcome, done.run.run_id) == ("cancelled", open_run.run_id)
        assert (await ledger.cancel_run(open_run.run_id)).outcome == "already_ended"
        assert await ledger.cancel_runs(agent_id="agent-a", without_conversation=True) == []
        completed = await ledger.complete_run((await ledger.create_run("agent-a")).run_id, run_ns=9)
        assert completed.run_ns == 9
        assert await ledger.delete_run(completed.run_id) is None
        assert [r.run_id for r in await ledger.list_runs(ascending=True, statuses=["failed"])] == [
            failed.run_id
        ]


async def test_errors_are_the_same(opened) -> None:
    async with opened() as ledger:
        run = await ledger.create_run("agent-a", conversation_id="conv-1", hold_conversation=True)
        with pytest.raises(NotFound) as missing:
            await ledger.get_run_by_id(new_id("run"))
        assert missing.value.kind == "run"
        with pytest.raises(InvalidId):
            await ledger.get_run_by_id("run-1")
        with pytest.raises(InvalidId):
            await ledger.create_run("nobody")
        with pytest.raises(InvalidArgument, match="limit"):
            await ledger.list_runs(limit=0)
        with pytest.raises(InvalidArgument, match="prompt_tokens"):
            await ledger.record_step(run.run_id, prompt_tokens=-1)
        with pytest.raises(InvalidArgument, match="messages"):
            await ledger.record_messages(run.run_id, "hi")
        with pytest.raises(InvalidArgument, match="role"):
            await ledger.record_messages(run.run_id, [{"role": "nobody"}])
        with pytest.raises(UrlRefused):
            await ledger.create_run("agent-a", callback_url="ftp://example.com")
        with pytest.raises(ConversationBusy) as busy:
            await ledger.create_run("agent-a", conversation_id="conv-1", hold_conversation=True)
        assert busy.value.holder == run.run_id
        with pytest.raises(ContentConflict):
            await ledger.create_run("agent-a", run_id=run.run_id, metadata={"a": 1})
        await ledger.complete_run(run.run_id)
        with pytest.raises(AlreadyEnded) as late:
            await ledger.fail_run(run.run_id)
        assert (late.value.status, late.value.stop_reason) == ("completed", "end_turn")
        assert "completed" in late.value.allowed or "created" in late.value.allowed
        with pytest.raises(VersionConflict) as conflict:
            await ledger.patch_metadata(run.run_id, {"a": 1}, expected_version=1)
        assert (conflict.value.expected, conflict.value.found) == (1, 2)
        with pytest.raises(InvalidArgument, match="expected_version"):
            await ledger.patch_metadata(run.run_id, {"a": 1}, expected_version=0)
        await ledger.patch_metadata(run.run_id, {"a": 1}, idempotency_key="k")
        with pytest.raises(IdempotencyKeyReused):
            await ledger.patch_metadata(run.run_id, {"a": 2}, idempotency_key="k")
        another = await ledger.create_run("agent-a")
        with pytest.raises(IdempotencyKeyReused) as reused:
            await ledger.patch_metadata(another.run_id, {"a": 1}, idempotency_key="k")
        assert (reused.value.run_id, reused.value.holder) == (another.run_id, run.run_id)
        await ledger.patch_metadata(run.run_id, {"a": 1}, idempotency_key="k", expected_version=1)


async def test_followers_see_each_event_once_and_in_order(opened) -> None:
    async with opened() as ledger:
        run = await ledger.create_run("agent-a")

        async def of_the_run(**options) -> list:
            return [stored async for stored in ledger.follow_run(run.run_id, **options)]

        async def of_the_log(count: int, **options) -> list:
            async with aclosing(ledger.follow_log(**options)) as following:
                return [await anext(following) for _ in range(count)]

        topics = ["run.created", "run.step_recorded"]
        following = [
            asyncio.create_task(of_the_run()),
            asyncio.create_task(of_the_run(contents=False, after=1)),
            asyncio.create_task(of_the_log(3, after=0, topics=topics)),
        ]
        for number in range(2):
            await ledger.record_step(run.run_id, prompt_tokens=number)
            await asyncio.sleep(0.05)
        await ledger.record_messages(run.run_id, [{"role": "user", "content": "hi"}])
        await ledger.complete_run(run.run_id)
        whole, later, log = await asyncio.gather(*following)
        assert [stored.version for stored in whole] == [1, 2, 3, 4, 5]
        assert whole[3].event.bodies[0].content[0].text == "hi"
        assert [stored.version for stored in later] == [2, 3, 4, 5]
        assert list(later[2].event.bodies) == []
        assert log == whole[:3]
        assert await of_the_run() == whole
        assert await of_the_run(after=5) == []
        again = await of_the_log(4, after=whole[1].position - 1, contents=True)
        assert again == whole[1:]
        async with aclosing(ledger.follow_log(after=whole[-1].position, idle_seconds=0.2)) as idle:
            assert await anext(idle) is None
        with pytest.raises(NotFound):
            [_ async for _ in ledger.follow_run(new_id("run"))]
        for wrong in ({"after": -1}, {"idle_seconds": 0}):
            with pytest.raises(InvalidArgument):
                await anext(ledger.follow_run(run.run_id, **wrong))
        with pytest.raises(InvalidArgument, match="no such topic"):
            await anext(ledger.follow_log(topics=["x"]))


async def test_questions_answer_alike(server, remote) -> None:
    """Every question, of the past as well, with what it returns here and there."""
    here = server.ledger

    async def asked(name: str, *arguments, **options):
        from_here = server.do(getattr(here, name)(*arguments, **options))
        return from_here, await getattr(ledger, name)(*arguments, **options)

    async with remote() as ledger:
        await ledger.register_agent("agent-a", project_id="p")
        runs = []
        for number in range(3):
            run = await ledger.create_run(
                "agent-a", request_config={"use_assistant_message": True},
                callback_url="https://example.com/done", at=START + timedelta(days=number),
            )  # fmt: skip
            await ledger.record_step(
                run.run_id, provider="openai", model="gpt", prompt_tokens=number,
                messages=[{"role": "user", "content": "hi"}],
            )  # fmt: skip
            await ledger.complete_run(run.run_id, run_ns=number)
            runs.append(run.run_id)
        position = here.store.head()
        await ledger.patch_metadata(runs[0], {"later": True})
        for past in ({}, {"as_of": position}, {"as_of": datetime.now(UTC)}):
            for name in (
                "get_run_by_id", "get_run_usage", "get_run_metrics", "get_run_request_config",
                "get_run_steps", "get_stored_messages", "get_run_messages", "get_callback",
            ):  # fmt: skip
                from_here, from_there = await asked(name, runs[0], **past)
                assert type(from_here) is type(from_there)
                if name == "get_run_messages":
                    # The API shows whole seconds.
                    from_here = [message.model_dump(mode="json") for message in from_here]
                    from_there = [message.model_dump(mode="json") for message in from_there]
                assert from_here == from_there, name
            for name, options in (
                ("list_runs", {"agent_id": "agent-a", "limit": 2}),
                ("list_runs", {"duration_filter": {"value": 1, "operator": "gte"}}),
                ("list_runs", {"start_date": START + timedelta(days=1), "after": runs[2]}),
                ("run_durations", {"agent_ids": ["agent-a"]}),
                ("list_steps", {"model": "gpt", "order": "asc"}),
                ("usage_totals", {"by": ["model", "day"], "since": date(2020, 1, 1)}),
                ("usage_totals", {}),
                ("duration_percentiles", {"by": ["day"]}),
                ("list_agents", {}),
                ("list_callbacks", {"statuses": ["pending"], "limit": 2}),
            ):
                from_here, from_there = await asked(name, **options, **past)
                assert from_here == from_there, (name, options)
                assert from_there
        assert await ledger.get_run_with_status(runs[0]) == server.do(here.get_run_by_id(runs[0]))
        assert await ledger.redeliver_callback(runs[0]) is None
        assert set(await ledger.redeliver_callbacks()) == set(runs)


async def test_what_a_remote_ledger_does_not_take_is_refused(remote) -> None:
    async with remote() as ledger:
        actor = Actor("org-b", "ada")
        for call in (
            ledger.list_runs(actor=actor),
            ledger.create_run("agent-a", actor=actor),
            ledger.start_run(new_id("run"), actor=actor),
            ledger.record_step(new_id("run"), actor=actor),
            ledger.cancel_runs(agent_id="agent-a", actor=actor),
            ledger.record_step_feedback(new_id("step"), None, actor=actor),
            ledger.get_run_by_id(new_id("run"), actor=actor),
            anext(ledger.follow_log(actor=actor)),
            ledger.expire_approvals(actor=actor),
        ):
            with pytest.raises(InvalidArgument, match="by the key which user"):
                await call
        with pytest.raises(InvalidArgument, match="correlation_id"):
            await ledger.create_run("agent-a", correlation_id="c")
    for wrong in ({"actor": actor}, {"archive": "x"}, {"api_key": 1}, {"retry_for": -1}):
        with pytest.raises(InvalidArgument, match=next(iter(wrong))):
            remote(**wrong)
    with pytest.raises(InvalidArgument, match="api_key"):
        RunLedger.open("sqlite:///runs.db", api_key="k")


async def test_another_organization_acts_with_each_call_or_with_all(opened) -> None:
    other = Actor("org-b")
    async with opened() as ledger:
        mine = await ledger.create_run("agent-a")
        theirs = await ledger.create_run("agent-a", actor=other)
        await ledger.record_step(theirs.run_id, prompt_tokens=3, actor=other)
        await ledger.record_heartbeat(theirs.run_id, actor=other)
        with pytest.raises(NotFound):
            await ledger.record_step(theirs.run_id, prompt_tokens=3)
        assert [run.run_id for run in await ledger.list_runs()] == [mine.run_id]
        assert [run.run_id for run in await ledger.list_runs(actor=other)] == [theirs.run_id]
        with pytest.raises(NotFound):
            await ledger.get_run_by_id(mine.run_id, actor=other)
        view = ledger.as_actor(other)
        async with view.run(agent_id="agent-a") as run, run.step() as step:
            step.usage(prompt_tokens=5)
        assert await view.list_runs() == await ledger.list_runs(actor=other)
        assert (await view.usage_totals(by=["agent"]))[0].prompt_tokens == 8
        assert [run.run_id for run in await ledger.list_runs()] == [mine.run_id]
        await ledger.save_view("a", "true", actor=other)
        assert await ledger.list_views() == []
        assert [one.name for one in await view.list_views()] == ["a"]
        async with aclosing(ledger.follow_log(after=0, actor=other)) as followed:
            assert (await anext(followed)).event.organization == "org-b"


async def test_what_is_abandoned_is_ended(opened) -> None:
    async with opened() as ledger:
        run = await ledger.create_run("agent-a", at=START)
        call = {"type": "function", "id": "c", "function": {"name": "pay", "arguments": "{}"}}
        await ledger.record_step(
            run.run_id,
            at=START,
            stop_reason="requires_approval",
            messages=[{"role": "approval", "tool_calls": [call]}],
            approval_deadline=START + timedelta(hours=1),
        )
        failed = await ledger.create_run("agent-a")
        await ledger.fail_run(failed.run_id)
        # Recorded late: nothing can be denied there, and the other run does not wait for it.
        await ledger.record_messages(
            failed.run_id,
            [{"role": "approval", "tool_calls": [call]}],
            approval_deadline=START + timedelta(hours=1),
        )
        assert await ledger.expire_approvals(at=START) == []
        assert await ledger.expire_approvals(at=START + timedelta(hours=2)) == [run.run_id]
        with pytest.raises(InvalidArgument, match="older_than"):
            await ledger.expire_runs(older_than=timedelta(-1))
        assert await ledger.expire_runs(older_than=timedelta(0), every_organization=True) == [
            run.run_id
        ]
        lost = await ledger.get_run_by_id(run.run_id)
        assert (lost.status, lost.error_type) == ("failed", "lost")
        assert await ledger.expire_runs(older_than=timedelta(0)) == []
