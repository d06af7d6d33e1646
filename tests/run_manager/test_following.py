"""Followers see every event once, in order, whenever they begin and however many there are."""

import asyncio
import json
import logging
import time
from contextlib import aclosing
from copy import copy

import pytest

from runledger.errors import InvalidArgument, LedgerError, LogDiverged, NotFound, StoreUnavailable
from runledger.events import CATALOGUE, Event
from runledger.ids import new_id
from runledger.ledger.part import LedgerPart
from runledger.store.codec import EncodedEvent, encode
from runledger.store.protocol import StreamWrite
from runledger.store.tail import _EVERY_SECONDS, Tail


async def work(ledger, agent: str, steps: int) -> str:
    """Record a run of so many steps and a message, to its end."""
    run = await ledger.create_run(agent)
    for _ in range(steps):
        await ledger.record_step(run.run_id)
    await ledger.record_messages(run.run_id, [{"role": "user", "content": "hi"}])
    await ledger.complete_run(run.run_id)
    return run.run_id


async def events_of(following) -> list:
    return [stored async for stored in following]


async def test_a_follower_sees_each_event_once_and_ends_with_the_run(ledger, agent):
    run = await ledger.create_run(agent)
    followers = [asyncio.ensure_future(events_of(ledger.follow_run(run.run_id)))]
    for number in range(30):
        if number % 10 == 0:
            followers.append(asyncio.ensure_future(events_of(ledger.follow_run(run.run_id))))
            await asyncio.sleep(0.01)
        await ledger.record_step(run.run_id)
    await ledger.record_messages(run.run_id, [{"role": "user", "content": "hi"}])
    await ledger.complete_run(run.run_id)
    stored = ledger.store.read_stream(run.run_id)
    for seen in await asyncio.gather(*followers):
        assert seen == stored
    assert seen[-2].event.bodies[0].content[0].text == "hi"
    assert await events_of(ledger.follow_run(run.run_id, after=30)) == stored[30:]
    with pytest.raises(LogDiverged, match="expected version 99"):
        await events_of(ledger.follow_run(run.run_id, after=99))
    without = await events_of(ledger.follow_run(run.run_id, after=31, contents=False))
    assert [len(row.event.bodies) for row in without[:1]] == [0]


async def test_an_end_between_a_page_and_a_second_look_is_seen(ledger, agent, monkeypatch):
    run = await ledger.create_run(agent)
    load = ledger.handler.load
    before = copy(await load(ledger.actor, run.run_id))
    await ledger.record_step(run.run_id)
    looks = 0

    async def behind(actor, run_id):
        """Answer the second look with what was there before, and end the run before the third."""
        nonlocal looks
        looks += 1
        if looks == 3:
            await ledger.complete_run(run.run_id)
        return before if looks == 2 else await load(actor, run_id)

    monkeypatch.setattr(ledger.handler, "load", behind)
    version = len(ledger.store.read_stream(run.run_id))
    (last,) = await events_of(ledger.follow_run(run.run_id, after=version))
    assert last.event.topic == "run.completed"
    assert looks > 3


async def test_an_end_while_a_page_is_read_is_seen(ledger, agent, monkeypatch):
    run = await ledger.create_run(agent)
    loop, read = asyncio.get_running_loop(), ledger.store.read_stream
    ending: list = []

    def then_ended(run_id, after=0, *more, **named):
        page = read(run_id, after, *more, **named)
        if run_id == run.run_id and after == run.version and not ending:
            ending.append(run_id)
            asyncio.run_coroutine_threadsafe(ledger.complete_run(run_id), loop).result(timeout=300)
        return page

    monkeypatch.setattr(ledger.store, "read_stream", then_ended)
    (last,) = await events_of(ledger.follow_run(run.run_id, after=run.version))
    assert last.event.topic == "run.completed"
    assert ending


async def test_the_log_is_followed_for_one_organization(ledger, stranger, agent):
    async def upto(count: int, **asked) -> list:
        async with aclosing(ledger.follow_log(**asked)) as following:
            return [await anext(following) for _ in range(count)]

    await ledger.register_agent(agent)
    before = ledger.store.head()
    following = asyncio.ensure_future(upto(6, after=before))
    mine = await work(ledger, agent, 3)
    await work(stranger, agent, 9)
    seen = await following
    assert [(row.stream, row.version) for row in seen] == [(mine, n) for n in range(1, 7)]
    assert {row.event.organization for row in seen} == {ledger.actor.organization}
    assert await upto(5, after=seen[0].position) == seen[1:]
    (ended,) = await upto(1, after=before, topics=["run.completed"])
    assert ended == seen[-1]
    (bodies,) = await upto(1, after=before, topics=["run.messages_recorded"], contents=True)
    assert bodies.event.bodies[0].content[0].text == "hi"
    # The present end is where it begins unless told otherwise.
    following = asyncio.ensure_future(upto(1))
    while not following.done():
        later = await ledger.create_run(agent)
        await asyncio.sleep(0.01)
    assert (await following)[0].version == 1
    assert later.version == 1


async def test_the_log_is_followed_for_runs_that_meet_a_condition(ledger, stranger, agent):
    before = ledger.store.head()
    red = await ledger.create_run(agent, metadata={"team": "red"})
    await stranger.create_run(agent, metadata={"team": "red"})
    other = await ledger.create_run(agent)
    gone = await ledger.create_run(agent, metadata={"team": "red"})
    await ledger.delete_run(gone.run_id)
    following = ledger.follow_log(after=before, where="metadata.team = 'red'", idle_seconds=0.05)
    async with aclosing(following):
        first = await anext(following)
        assert (first.stream, first.version) == (red.run_id, 1)
        assert await anext(following) is None
        # A run is followed from when it meets the condition.
        await ledger.patch_metadata(other.run_id, {"team": "red"})
        await ledger.complete_run(red.run_id)
        seen = []
        while len(seen) < 2:
            stored = await anext(following)
            seen += [] if stored is None else [(stored.stream, stored.version)]
        assert seen == [(other.run_id, 2), (red.run_id, 2)]
    for wrong in ("statsu = 'failed'", "percentile(duration) >= 95"):
        with pytest.raises(InvalidArgument):
            await anext(ledger.follow_log(where=wrong))


async def test_silence_is_told_while_events_of_others_come(ledger, stranger, agent):
    async def quiet() -> None:
        asked = {"after": ledger.store.head(), "idle_seconds": 0.2}
        async with aclosing(ledger.follow_log(**asked)) as following:
            assert await anext(following) is None

    following = asyncio.ensure_future(quiet())
    while not following.done():
        await stranger.create_run(agent)
    await following


async def test_a_foreign_run_is_not_followed(ledger, stranger, agent):
    theirs = await work(stranger, agent, 1)
    answers = set()
    for run_id in (theirs, new_id("run")):
        with pytest.raises(NotFound) as caught:
            await events_of(ledger.follow_run(run_id))
        answers.add(str(caught.value).replace(run_id, "…"))
    assert len(answers) == 1


async def test_silence_is_told_where_asked_for(ledger, agent):
    run = await ledger.create_run(agent)
    async with aclosing(ledger.follow_run(run.run_id, idle_seconds=0.05)) as following:
        assert (await anext(following)).version == 1
        assert await anext(following) is None
        await ledger.complete_run(run.run_id)
        while (stored := await anext(following)) is None:
            pass
        assert stored.event.topic == "run.completed"
    head = ledger.store.head()
    async with aclosing(ledger.follow_log(after=head, idle_seconds=0.05)) as following:
        assert await anext(following) is None
    for wrong in ({"after": -1}, {"idle_seconds": 0}, {"contents": 1}):
        with pytest.raises(InvalidArgument, match=next(iter(wrong))):
            await anext(ledger.follow_run(run.run_id, **wrong))
        with pytest.raises(InvalidArgument, match=next(iter(wrong))):
            await anext(ledger.follow_log(**wrong))
    with pytest.raises(InvalidArgument, match="no such topic: x"):
        await anext(ledger.follow_log(topics=["x"]))


async def test_a_deleted_run_ends_its_followers(ledger, agent):
    run = await ledger.create_run(agent)
    following = asyncio.ensure_future(events_of(ledger.follow_run(run.run_id)))
    await asyncio.sleep(0.05)
    await ledger.delete_run(run.run_id)
    with pytest.raises(NotFound):
        await following


async def test_closing_the_ledger_ends_its_followers(own_ledger, agent):
    ledger = own_ledger(read_models=False)
    async with ledger:
        run = await ledger.create_run(agent)
        followers = [
            asyncio.ensure_future(events_of(ledger.follow_run(run.run_id))),
            asyncio.ensure_future(events_of(ledger.follow_log())),
        ]
        await asyncio.sleep(0.05)
    for result in await asyncio.gather(*followers, return_exceptions=True):
        assert isinstance(result, LedgerError)


@pytest.mark.slow
async def test_another_process_writes_and_a_thousand_wait(own_ledger, agent):
    """They share one look at the end of the log, and none is left when they have gone."""
    async with own_ledger(read_models=False) as reader, own_ledger(read_models=False) as writer:
        runs = [(await writer.create_run(agent)).run_id for _ in range(1_000)]
        looks = 0
        read_log = reader.store.read_log

        def counted(*arguments, **options):
            nonlocal looks
            looks += 1
            return read_log(*arguments, **options)

        reader.store.read_log = counted
        begun = time.monotonic()
        followers = [asyncio.ensure_future(events_of(reader.follow_run(run))) for run in runs]
        await asyncio.sleep(1)
        for run in runs:
            await writer.complete_run(run)
        for seen in await asyncio.gather(*followers):
            assert [row.version for row in seen] == [1, 2]
        # One look at a time, with a pause after each; a thousand on their own would take as many.
        assert looks <= (time.monotonic() - begun) / _EVERY_SECONDS + 10
        assert reader.part(LedgerPart).opened.tail.of(reader.store)._looking is None


async def test_what_waits_outlives_a_store_that_does_not_answer(ledger, agent, caplog, monkeypatch):
    monkeypatch.setattr("runledger.store.tail._AGAIN_SECONDS", 0.01)
    tail, fails = Tail(ledger.store), 3
    read_log = ledger.store.read_log

    def unreliable(*arguments):
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise StoreUnavailable("away")
        return read_log(*arguments)

    monkeypatch.setattr(ledger.store, "read_log", unreliable)
    with caplog.at_level(logging.WARNING, "runledger.tail"):
        async with tail.watch() as woken:
            await ledger.create_run(agent)
            await asyncio.wait_for(woken.wait(), 120)
    assert caplog.text.count("away") == 3


def test_the_log_of_an_organization_is_what_its_events_say(store):
    """However their facts are written: an import keeps the bytes that it was given."""
    facts = {
        "event_id": "e", "occurred_at": "2026-01-01T00:00:00Z",
        "recorded_at": "2026-01-01T00:00:00Z", "agent_id": "agent-a", "born": 1,
    }  # fmt: skip

    def event(organization: str, **more) -> Event:
        return CATALOGUE["run.created"](**facts, organization=organization, **more)

    def stored_as(text: str) -> EncodedEvent:
        return EncodedEvent("run.created", text.encode(), None)

    plain = {"revision": 1, **facts, "organization": "org-a", "metadata": {}}
    mine = [
        encode(event("org-a")),
        encode(event("org-a", metadata={"organization": "org-b"})),
        stored_as(json.dumps(plain, indent=1)),
        stored_as(json.dumps({"metadata": {"organization": "org-b"}, **plain})),
        stored_as(json.dumps(plain).replace('"org-a"', '"\\u006frg-a"')),
    ]
    others = [
        encode(event("org-b")),
        encode(event("org-ab")),
        encode(event("org-b", metadata={"organization": "org-a"})),
        encode(event("org-b", user="org-a", base_template_id='"organization":"org-a"')),
        stored_as(
            json.dumps({"metadata": {"organization": "org-a"}, **plain, "organization": "b"})
        ),
    ]
    streams = [new_id("run") for _ in (*mine, *others)]
    store.append(
        [
            (StreamWrite(stream, 0, (encoded,)),)
            for stream, encoded in zip(streams, [*mine, *others], strict=True)
        ]
    )
    found = store.read_log(0, 100, organization="org-a")
    assert [row.stream for row in found] == streams[: len(mine)]
    assert len(store.read_log(0, 2, organization="org-a")) == 2
    assert store.read_log(0, 9, ["run.started"], organization="org-a") == []
    assert len(store.read_log(0, 100)) == len(streams)
