"""Pages of API messages: whatever the limit, filter, order and cursor, each message once."""

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runledger.api_messages import RequestConfig, api_message_page, spoken_calls, to_api_messages
from runledger.errors import InvalidArgument, NotFound
from runledger.messages import (
    Approval,
    Function,
    Message,
    OmittedReasoningContent,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolReturn,
)

TYPES = [
    "system_message",
    "user_message",
    "assistant_message",
    "reasoning_message",
    "hidden_reasoning_message",
    "tool_call_message",
    "tool_return_message",
    "approval_request_message",
    "approval_response_message",
]


def call(number, name="search"):
    return ToolCall(id=f"c{number}", function=Function(name=name, arguments='{"message": "hi"}'))


THOUGHT = ReasoningContent(is_native=True, reasoning="hm")
SHAPES = [
    {"role": "user", "content": "hello"},
    {"role": "user", "content": "again", "otid": "given"},
    {"role": "system", "content": "rules"},
    {"role": "assistant"},
    {"role": "assistant", "content": "text"},
    {"role": "assistant", "content": [THOUGHT, TextContent(text="t")], "tool_calls": [call(1)]},
    {"role": "assistant", "content": [THOUGHT], "tool_calls": [call(2, "send_message"), call(3)]},
    {"role": "assistant", "content": [OmittedReasoningContent()] * 5},
    {"role": "tool", "tool_call_id": "c1", "content": "r"},
    {"role": "tool", "tool_call_id": "c2", "content": "said"},
    {"role": "tool", "tool_returns": [ToolReturn(tool_call_id="c3", func_response="x")]},
    {"role": "approval", "content": "may I?", "tool_calls": [call(4)]},
    {"role": "approval", "approvals": [Approval(tool_call_id="c4", approve=True)]},
]


@st.composite
def runs(draw):
    """The stored messages of a run; ids are random, so their order says nothing."""
    shapes = draw(st.lists(st.sampled_from(SHAPES), max_size=12))
    made = []
    for number, shape in enumerate(shapes):
        id = uuid.UUID(int=draw(st.integers(0, 2**128 - 1)), version=4)
        fields = {**shape, "otid": f"o{number}"} if "otid" in shape else shape
        made.append(Message(id=f"message-{id}", **fields))
    return list({m.id[:-2]: m for m in made}.values())


def key(message):
    return (message.id, message.otid)


def walk(messages, *, limit, cursor, backwards=False, **options):
    """Page to the end as a client does; return the pages."""
    pages = []
    name, at = ("before", 0) if backwards else ("after", -1)
    position = options.pop("start", None)
    while page := api_message_page(messages, limit=limit, **{name: position}, **options):
        pages.append(page)
        position = cursor(page[at])
        assert len(pages) < 200
    return pages


FILTERS = st.none() | st.lists(st.sampled_from(TYPES), min_size=1, unique=True)
CURSORS = st.sampled_from([lambda m: m.id, lambda m: m.otid])
WALKS = given(
    messages=runs(),
    limit=st.integers(1, 7),
    order=st.sampled_from(["asc", "desc"]),
    types=FILTERS,
    cursor=CURSORS,
    agent_type=st.sampled_from([None, "memgpt_agent"]),
)


@settings(max_examples=300)
@WALKS
def test_walking_forwards_meets_every_message_once_in_order(
    messages, limit, order, types, cursor, agent_type
):
    options = {"order": order, "include_return_message_types": types, "agent_type": agent_type}
    pages = walk(messages, limit=limit, cursor=cursor, **options)
    found = [key(m) for page in pages for m in page]
    every = [key(m) for m in api_message_page(messages, limit=None, **options)]
    assert found == every
    assert len(set(found)) == len(found)


@settings(max_examples=300)
@WALKS
def test_walking_backwards_meets_every_message_before_the_last_once(
    messages, limit, order, types, cursor, agent_type
):
    options = {"order": order, "include_return_message_types": types, "agent_type": agent_type}
    every = [key(m) for m in api_message_page(messages, limit=None, **options)]
    if not every:
        return
    last = api_message_page(messages, limit=None, **options)[-1]
    start = cursor(last)
    before = [k for k in every[:-1] if start == last.otid or k[0] != last.id]
    pages = walk(messages, limit=limit, cursor=cursor, backwards=True, start=start, **options)
    assert [key(m) for page in pages[::-1] for m in page] == before


@WALKS
def test_a_page_is_as_long_as_whole_messages_allow(
    messages, limit, order, types, cursor, agent_type
):
    options = {"order": order, "include_return_message_types": types, "agent_type": agent_type}
    for page in walk(messages, limit=limit, cursor=cursor, **options):
        assert len(page) <= limit or len({m.id for m in page}) == 1


@given(runs(), FILTERS)
def test_newest_first_is_the_reverse_of_oldest_first(messages, types):
    asc, desc = (
        api_message_page(messages, limit=None, order=o, include_return_message_types=types)
        for o in ("asc", "desc")
    )
    assert desc == asc[::-1]


@given(runs(), st.data())
def test_every_sub_cursor_goes_on_right_behind_its_message(messages, data):
    every = api_message_page(messages, limit=None)
    if not every:
        return
    at = data.draw(st.integers(0, len(every) - 1))
    target = every[at]
    siblings = [m for m in every if m.id == target.id]
    config = RequestConfig()
    spoken = set().union(*(spoken_calls(message, config) for message in messages))
    stored = next(m for m in messages if m.id == target.id)
    index = [key(m) for m in to_api_messages(stored, spoken=spoken)].index(key(target))
    assert len(siblings) > index
    for cursor in (target.otid, f"{target.id}#{index}"):
        assert api_message_page(messages, limit=None, after=cursor) == every[at + 1 :]
        assert api_message_page(messages, limit=None, before=cursor) == every[:at]
        assert (
            api_message_page(messages, limit=None, after=cursor, order="desc") == (every[:at][::-1])
        )


def plain(count):
    return [Message(id=f"message-{uuid.UUID(int=n << 8)}", role="user", content=str(n))
            for n in range(count)]  # fmt: skip


def texts(page):
    return [int(m.content) for m in page]


@pytest.mark.parametrize(
    ("order", "before", "after", "expected"),
    [
        ("asc", None, None, [0, 1]),
        ("desc", None, None, [5, 4]),
        ("asc", None, 3, [4, 5]),
        ("desc", None, 3, [2, 1]),
        ("asc", 3, None, [1, 2]),
        ("desc", 3, None, [5, 4]),
        ("asc", 5, 1, [2, 3]),
        ("desc", 1, 5, [4, 3]),
        ("asc", 1, 4, []),
    ],
)
def test_cursors_are_relative_to_the_requested_order(order, before, after, expected):
    messages = plain(6)
    page = api_message_page(
        messages,
        limit=2,
        order=order,
        before=None if before is None else messages[before].id,
        after=None if after is None else messages[after].id,
    )
    assert texts(page) == expected


def test_types_are_filtered_before_the_limit():
    last = Message(id=f"message-{uuid.uuid4()}", role="assistant", content="end")
    messages = [*plain(50), last]
    [found] = api_message_page(
        messages, limit=1, request_config={"include_return_message_types": ["assistant_message"]}
    )
    assert found.content == "end"


def test_an_explicit_filter_replaces_the_one_of_the_request():
    config = {"include_return_message_types": ["assistant_message"]}
    page = api_message_page(
        plain(3), request_config=config, include_return_message_types=["user_message"]
    )
    assert len(page) == 3
    assert len(api_message_page(plain(3), include_return_message_types=[])) == 3


def test_a_message_is_never_cut_by_the_limit():
    thoughts = Message(
        id=f"message-{uuid.uuid4()}", role="assistant", content=[OmittedReasoningContent()] * 5
    )
    messages = [*plain(2), thoughts]
    assert len(api_message_page(messages, limit=4)) == 2
    assert len(api_message_page(messages, limit=4, after=messages[1].id)) == 5
    assert len(api_message_page(messages, limit=7)) == 7


def test_a_filtered_message_is_still_a_cursor():
    messages = plain(3)
    silent = Message(id=f"message-{uuid.uuid4()}", role="assistant")
    page = api_message_page([*messages[:1], silent, *messages[1:]], after=silent.id)
    assert texts(page) == [1, 2]


@pytest.mark.parametrize(
    "cursor", ["message-unknown", "", "#", str(uuid.UUID(int=9 << 64)), "message-unknown#0"]
)
def test_an_unknown_cursor_is_an_error(cursor):
    with pytest.raises(NotFound):
        api_message_page(plain(3), after=cursor)
    with pytest.raises(NotFound):
        api_message_page(plain(3), before=f"{plain(3)[0].id}#7")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"limit": 0}, "limit: expected 1 or more"),
        ({"limit": -1}, "found -1"),
        ({"limit": True}, "found True"),
        ({"limit": "5"}, "found '5'"),
        ({"order": "up"}, "order: expected 'asc' or 'desc', found 'up'"),
        ({"include_return_message_types": ["user"]}, r"found \['user'\]"),
        ({"request_config": {"include_return_message_types": ["x"]}}, "request_config: "),
    ],
)
def test_impossible_values_are_errors(options, says):
    with pytest.raises(InvalidArgument, match=says):
        api_message_page(plain(3), **options)


def test_the_end_is_an_empty_page():
    messages = plain(2)
    assert api_message_page([]) == []
    assert api_message_page(messages, after=messages[-1].id) == []
