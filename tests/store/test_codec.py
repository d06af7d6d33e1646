"""Events to bytes and back: nothing changes on the way, and nothing is guessed."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from runledger.errors import InvalidArgument, UndecodableEvent
from runledger.events import (
    CATALOGUE,
    Event,
    MessagesRecorded,
    RunMetadataPatched,
    StepRecorded,
)
from runledger.messages import Message, TextContent, ToolCallContent
from runledger.store.codec import decode, encode, today
from tests.strategies import events, models

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP: dict[str, Any] = {
    "event_id": "e1",
    "occurred_at": NOON,
    "recorded_at": NOON,
    "organization": "acme",
    "agent_id": "agent-a",
    "born": 1,
}
OLD_STEP = {
    "revision": 1,
    **STAMP,
    "occurred_at": "2026-03-01T12:00:00Z",
    "recorded_at": "2026-03-01T12:00:00Z",
    "step_id": "step-1",
    "provider_name": "openai",
    "prompt_tokens": 812,
    "completion_tokens": 40,
    "prompt_tokens_details": {"cached_tokens": 512},
    "completion_tokens_details": {"reasoning_tokens": 16},
}


def said(*texts: str) -> MessagesRecorded:
    bodies = [
        Message(id=f"m{n}", role="user", content=[TextContent(text=text)])
        for n, text in enumerate(texts)
    ]
    return MessagesRecorded(
        **STAMP,
        messages=[{"message_id": body.id, "role": body.role} for body in bodies],  # type: ignore[list-item]
        bodies=bodies,
    )


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("cls", CATALOGUE.values(), ids=list(CATALOGUE))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_event_comes_back_as_it_was(cls: type[Event], data: st.DataObject) -> None:
    event = data.draw(models(cls))
    assert decode("run-1", 1, *encode(event)) == event


@settings(deadline=None)
@given(events)
def test_facts_name_their_revision_and_leave_out_what_is_none(event: Event) -> None:
    stored = encode(event)
    facts = json.loads(stored.facts)
    given_fields = {name for name in type(event).model_fields if getattr(event, name) is not None}
    assert stored.topic == event.topic
    assert facts.pop("revision") == event.revision
    assert facts.keys() == given_fields - event.contents


@settings(deadline=None)
@given(models(MessagesRecorded))
def test_contents_lie_apart_from_facts(event: MessagesRecorded) -> None:
    stored = encode(event)
    assert stored.contents is not None
    assert json.loads(stored.contents).keys() == {"bodies"}
    without = decode("run-1", 1, stored.topic, stored.facts, None)
    assert without == event.model_copy(update={"bodies": []})


def test_no_word_of_a_message_is_in_its_facts() -> None:
    stored = encode(said("the launch code is 0000"))
    assert b"launch" not in stored.facts
    assert b"launch" in (stored.contents or b"")


def test_an_event_without_contents_stores_none() -> None:
    assert encode(RunMetadataPatched(**STAMP, patch={"a": None})).contents is None


def test_a_key_set_to_null_stays_set_to_null() -> None:
    event = RunMetadataPatched(**STAMP, patch={"gone": None, "deep": {"er": None}})
    assert decode("run-1", 1, *encode(event)) == event


def test_a_step_of_revision_1_is_read_with_its_buckets() -> None:
    step = decode("run-1", 7, "run.step_recorded", json.dumps(OLD_STEP, default=str).encode(), None)
    assert isinstance(step, StepRecorded)
    assert (step.fresh_input_tokens, step.cache_read_tokens, step.cache_write_tokens) == (
        300,
        512,
        None,
    )
    assert (step.output_tokens, step.reasoning_tokens) == (24, 16)


def test_today_rewrites_old_facts_as_this_version_would_have_stored_them() -> None:
    old = json.dumps(OLD_STEP, default=str).encode()
    facts = today("run-1", 7, "run.step_recorded", old)
    assert facts == encode(decode("run-1", 7, "run.step_recorded", old, None)).facts
    assert json.loads(facts)["revision"] == StepRecorded.revision


def test_today_leaves_facts_of_this_revision_as_they_are() -> None:
    stored = encode(said("hello"))
    assert today("run-1", 1, stored.topic, stored.facts) == stored.facts


def test_an_unknown_topic_is_an_error_that_names_where_it_stands() -> None:
    with pytest.raises(UndecodableEvent) as caught:
        decode("run-1", 3, "run.teleported", b"{}", None)
    assert str(caught.value) == (
        "event 'run.teleported' at version 3 of 'run-1': no such topic in the catalogue"
    )
    assert (caught.value.stream, caught.value.version, caught.value.topic) == (
        "run-1",
        3,
        "run.teleported",
    )


def test_a_newer_revision_is_an_error_that_names_both() -> None:
    stored = encode(StepRecorded(**STAMP, step_id="step-1"))
    newer = stored.facts.replace(b'"revision":3', b'"revision":4', 1)
    with pytest.raises(
        UndecodableEvent,
        match="version 4 of 'run-1': stored with revision 4, this version of the ledger knows 3",
    ):
        decode("run-1", 4, stored.topic, newer, None)


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    "facts",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"7",
        b'"text"',
        b"null",
        b"[" * 100_000,
        b"{}",
        b'{"revision":"two"}',
        b'{"revision":null}',
        b'{"revision":0}',
        b'{"revision":2}',
        b'{"revision":1,"prompt_tokens":1,"prompt_tokens_details":[1]}',
        b'{"revision":1,"prompt_tokens":"x","prompt_tokens_details":{"cached_tokens":1}}',
        encode(StepRecorded(**STAMP, step_id="step-1")).facts[:-1] + b',"stray":1}',
    ],
    ids=lambda facts: repr(facts[:40]),
)
def test_damaged_facts_are_an_error_that_names_where_they_stand(facts: bytes) -> None:
    with pytest.raises(UndecodableEvent, match=r"^event 'run.step_recorded' at version 5 of 'r'"):
        decode("r", 5, "run.step_recorded", facts, None)


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b"7",
        b"{}",
        b'{"bodies":1}',
        b'{"bodies":[{}]}',
        b'{"bodies":[],"born":7}',
        b'{"bodies":[],"stray":7}',
    ],
    ids=repr,
)
def test_damaged_contents_are_an_error_that_names_where_they_stand(contents: bytes) -> None:
    stored = encode(said("hello"))
    with pytest.raises(
        UndecodableEvent, match=r"^event 'run.messages_recorded' at version 5 of 'r'"
    ):
        decode("r", 5, stored.topic, stored.facts, contents)


@settings(deadline=None)
@given(events, st.data())
def test_bytes_cut_short_never_pass(event: Event, data: st.DataObject) -> None:
    stored = encode(event)
    end = data.draw(st.integers(0, len(stored.facts) - 1))
    with pytest.raises(UndecodableEvent):
        decode("run-1", 1, stored.topic, stored.facts[:end], stored.contents)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_refused_and_not_stored_as_null(number: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        RunMetadataPatched(**STAMP, patch={"score": [number]})
    with pytest.raises(ValidationError, match="finite number"):
        ToolCallContent(id="c1", name="rate", input={"score": number})
    with pytest.raises(ValidationError, match="finite number"):
        Message(id="m1", role="user", extra={"score": number})


def test_a_count_that_no_read_model_can_hold_is_refused() -> None:
    assert StepRecorded(**STAMP, step_id="step-1", prompt_tokens=2**63 - 1).prompt_tokens
    with pytest.raises(ValidationError, match="less than or equal to 9223372036854775807"):
        StepRecorded(**STAMP, step_id="step-1", prompt_tokens=2**63)


@pytest.mark.parametrize("value", [(1, 2), {1, 2}, b"bytes", NOON, object()], ids=type)
def test_a_value_that_would_come_back_as_another_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="not a valid JSON value"):
        ToolCallContent(id="c1", name="rate", input={"given": value})


def test_half_a_surrogate_pair_is_refused_when_it_is_encoded() -> None:
    with pytest.raises(
        InvalidArgument, match=r"^run.messages_recorded: cannot be stored as JSON: .*surrogates"
    ):
        encode(said("cut off: \ud83d"))
    with pytest.raises(InvalidArgument, match=r"^run.metadata_patched: cannot be stored"):
        encode(RunMetadataPatched(**STAMP, patch={"deep": {"\ud83d": 1}}))
    with pytest.raises(ValidationError, match="unicode string"):
        RunMetadataPatched(**STAMP, patch={"\ud83d": 1})


@pytest.mark.parametrize("before", [0, 1, 2_000, 2_150, 4_299])
@pytest.mark.parametrize("sign", [1, -1])
def test_no_integer_is_stored_that_is_too_long_to_be_read(before: int, sign: int) -> None:
    def with_number(digits: int) -> RunMetadataPatched:
        return RunMetadataPatched(**STAMP, patch={"x" * before: sign * 10 ** (digits - 1)})

    most = with_number(4_300)
    assert decode("run-1", 1, most.topic, encode(most).facts, None) == most
    with pytest.raises(InvalidArgument, match=r"^run.metadata_patched: could not be read again"):
        encode(with_number(4_301))
    too_long = Message(id="m0", role="user", extra={"n": 10**4_300})
    with pytest.raises(InvalidArgument, match=r"^run.messages_recorded: could not be read again"):
        encode(said("hello").model_copy(update={"bodies": [too_long]}))
    digits = said("9" * 10_000)
    made = encode(digits)
    assert decode("run-1", 1, digits.topic, made.facts, made.contents) == digits


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("depth", range(60, 300, 5))
def test_no_event_is_stored_that_is_nested_too_deep_to_be_read(depth: int) -> None:
    try:
        patched = RunMetadataPatched(**STAMP, patch=nested(depth))
        called = said("hello").model_copy(
            update={"bodies": [Message(id="m0", role="assistant", extra=nested(depth))]}
        )
        stored = [encode(patched), encode(called)]
    except (ValidationError, InvalidArgument):
        return
    assert decode("run-1", 1, *stored[0]) == patched
    assert decode("run-1", 1, *stored[1]) == called


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Threads take turns at every chance."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("many_switches")
def test_threads_may_be_the_first_to_use_an_event_all_at_once() -> None:
    threads = 8
    together = Barrier(threads)

    def first_use(cls: type[Event]) -> bytes:
        together.wait()
        return encode(cls(**STAMP, messages=[], bodies=[])).facts

    with ThreadPoolExecutor(threads) as pool:
        for _ in range(60):
            unused = type("Unused", (MessagesRecorded,), {"__doc__": "As after an import."})
            assert not unused.__pydantic_complete__
            assert len(set(pool.map(first_use, [unused] * threads))) == 1
