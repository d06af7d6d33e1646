"""Messages of a run: what the API shows, page by page, with nothing lost between the pages."""

import asyncio
import base64
import json

import pytest

from runledger.errors import ContentConflict, ImageRefused, InvalidArgument, InvalidId, NotFound
from runledger.events import MessagesRecorded
from runledger.ids import new_id
from runledger.messages import BlobImage

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(32))
INLINE = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}


def call(name: str, **arguments: object) -> dict:
    return {"id": new_id("call"), "function": {"name": name, "arguments": json.dumps(arguments)}}


async def talk(ledger, run_id: str, rounds: int) -> None:
    for number in range(rounds):
        await ledger.record_messages(
            run_id,
            [
                {"role": "user", "content": f"question {number}"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "reasoning", "is_native": True, "reasoning": "hm"},
                        {"type": "text", "text": f"answer {number}"},
                    ],
                    "tool_calls": [call("search", q=number)],
                },
            ],
        )


async def test_types_are_filtered_before_the_limit(ledger, agent):
    config = {"include_return_message_types": ["assistant_message"]}
    run = await ledger.create_run(agent, request_config=config)
    await talk(ledger, run.run_id, 10)
    page = await ledger.get_run_messages(run.run_id, limit=4)
    assert [m.content for m in page] == [f"answer {n}" for n in range(4)]
    rest = await ledger.get_run_messages(run.run_id, limit=100, after=page[-1].id)
    assert [m.content for m in rest] == [f"answer {n}" for n in range(4, 10)]
    calls = await ledger.get_run_messages(
        run.run_id, include_return_message_types=["tool_call_message"]
    )
    assert len(calls) == 10


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 4, 7, 100])
async def test_pages_by_the_last_id_reach_every_message_once(ledger, agent, order, limit):
    run = await ledger.create_run(agent)
    await talk(ledger, run.run_id, 4)
    everything = await ledger.get_run_messages(run.run_id, order=order)
    assert len(everything) == 16
    seen: list = []
    cursor = None
    while page := await ledger.get_run_messages(run.run_id, order=order, limit=limit, after=cursor):
        seen += page
        cursor = page[-1].id
    assert seen == everything
    assert len({m.otid for m in seen}) == 16


async def test_before_is_the_page_that_ends_at_the_cursor(ledger, agent):
    run = await ledger.create_run(agent)
    ids = await ledger.record_messages(
        run.run_id, [{"role": "user", "content": str(n)} for n in range(6)]
    )

    async def page(**asked):
        return [int(m.content) for m in await ledger.get_run_messages(run.run_id, **asked)]

    assert await page(before=ids[3], limit=2) == [1, 2]
    assert await page(order="desc", before=ids[3], limit=2) == [5, 4]
    assert await page(order="desc", after=ids[3], limit=2) == [2, 1]
    with pytest.raises(NotFound):
        await page(after=new_id("message"))
    with pytest.raises(InvalidArgument):
        await page(limit=0)


async def test_how_an_agent_speaks_depends_on_its_type_and_the_request(ledger, agent):
    await ledger.register_agent(agent, agent_type="memgpt_agent")
    run = await ledger.create_run(agent)
    said = {
        "role": "assistant",
        "content": "think",
        "tool_calls": [call("send_message", message="hi")],
    }
    await ledger.record_messages(run.run_id, [said])
    shown = await ledger.get_run_messages(run.run_id)
    assert [m.message_type for m in shown] == ["reasoning_message", "assistant_message"]
    assert shown[1].content == "hi"
    plain = await ledger.create_run(agent, request_config={"use_assistant_message": False})
    await ledger.record_messages(plain.run_id, [said])
    shown = await ledger.get_run_messages(plain.run_id)
    assert [m.message_type for m in shown] == ["reasoning_message", "tool_call_message"]


async def test_a_step_that_is_recorded_again_repeats_none_of_its_messages(ledger, agent):
    runs = [(await ledger.create_run(agent)).run_id for _ in range(2)]
    step_id = new_id("step")
    given = [
        {"role": "user", "content": [{"type": "image", "source": INLINE}]},
        {"id": new_id("message"), "role": "assistant", "content": "named"},
        {"role": "assistant", "content": "unnamed"},
    ]
    for _ in range(2):
        for run_id in runs:
            await ledger.record_step(run_id, step_id=step_id, messages=given)
    stored = [await ledger.get_stored_messages(run_id) for run_id in runs]
    assert [len(messages) for messages in stored] == [3, 3]
    assert stored[0][1].id == stored[1][1].id == given[1]["id"]
    assert len({message.id for messages in stored for message in messages}) == 5
    other = [*given[:2], {"role": "assistant", "content": "something else"}]
    for no_run in (None, "run-\ud83d"):
        with pytest.raises(InvalidId):
            await ledger.record_step(no_run, step_id=step_id, messages=given)
    with pytest.raises(ContentConflict, match=stored[0][2].id):
        await ledger.record_step(runs[0], step_id=step_id, messages=other)
    await ledger.record_step(runs[0], messages=given[2:])
    assert len(await ledger.get_stored_messages(runs[0])) == 4


async def test_a_run_without_messages_has_an_empty_page(ledger, agent):
    run = await ledger.create_run(agent)
    assert await ledger.get_run_messages(run.run_id) == []
    with pytest.raises(NotFound):
        await ledger.get_run_messages(new_id("run"))


async def test_an_image_is_kept_once_and_shown_with_its_bytes(ledger, agent):
    run = await ledger.create_run(agent)
    for _ in range(2):
        await ledger.record_messages(
            run.run_id,
            [{"role": "user", "content": [{"type": "text", "text": "look"},
                                          {"type": "image", "source": INLINE}]}],
        )  # fmt: skip
    stored = [m.content[1].source for m in await ledger.get_stored_messages(run.run_id)]
    assert stored[0] == stored[1]
    assert isinstance(stored[0], BlobImage)
    assert await asyncio.to_thread(ledger.store.get_blob, stored[0].sha256) == ("image/png", PNG)
    events = await asyncio.to_thread(ledger.store.read_stream, run.run_id)
    recorded = [row.event for row in events if isinstance(row.event, MessagesRecorded)]
    assert all(INLINE["data"] not in event.model_dump_json() for event in recorded)
    shown = await ledger.get_run_messages(run.run_id)
    assert shown[0].content[1].source.data == INLINE["data"]


async def test_a_hash_alone_shows_nobody_what_others_have_stored(ledger, stranger, agent):
    theirs = await stranger.create_run(agent)
    image = {"type": "image", "source": INLINE}
    await stranger.record_messages(theirs.run_id, [{"role": "user", "content": [image]}])
    (known,) = await stranger.get_stored_messages(theirs.run_id)
    part = known.content[0]
    run = await ledger.create_run(agent)
    for said in (
        {"role": "user", "content": [part]},
        {"role": "tool", "tool_returns": [{"tool_call_id": "c", "func_response": [part]}]},
        {"role": "approval",
         "approvals": [{"type": "tool", "tool_call_id": "c", "func_response": [part]}]},
        known,
    ):  # fmt: skip
        for call in (ledger.record_messages, ledger.record_step):
            with pytest.raises(ImageRefused, match="found a reference to stored bytes"):
                await call(run.run_id, messages=[said])
    assert await ledger.get_stored_messages(run.run_id) == []
    # Whoever recorded it may say it again, and nothing is recorded twice.
    assert await stranger.record_messages(theirs.run_id, [known]) == [known.id]
    assert await stranger.get_stored_messages(theirs.run_id) == [known]


async def test_a_tool_return_keeps_its_status_and_its_parts(ledger, agent):
    run = await ledger.create_run(agent)
    parts = [{"type": "text", "text": "caption"}, {"type": "image", "source": INLINE}]
    await ledger.record_step(
        run.run_id,
        messages=[
            {"role": "assistant", "tool_calls": [{**call("draw"), "id": "c1"}]},
            {
                "role": "tool",
                "tool_returns": [{"tool_call_id": "c1", "status": "error", "func_response": parts}],
            },
        ],
    )
    _, shown = await ledger.get_run_messages(run.run_id)
    (returned,) = shown.tool_returns
    assert (shown.status, returned.status) == ("error", "error")
    assert returned.tool_return[0].text == "caption"
    assert returned.tool_return[1].source.data == INLINE["data"]


@pytest.mark.parametrize(
    "source",
    [
        {"type": "url", "url": "file:///etc/passwd"},
        {"type": "url", "url": "http://127.0.0.1:9/x.png"},
        {"type": "base64", "media_type": "image/png", "data": "***"},
    ],
)
async def test_an_image_that_is_refused_leaves_nothing_behind(ledger, agent, source):
    run = await ledger.create_run(agent)
    with pytest.raises(ImageRefused):
        await ledger.record_step(
            run.run_id,
            messages=[{"role": "user", "content": [{"type": "image", "source": source}]}],
        )
    assert await ledger.get_run_steps(run.run_id) == []
    assert (await ledger.get_run_by_id(run.run_id)).status == "created"
