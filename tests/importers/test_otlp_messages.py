"""Texts of prompts and answers are messages of the run, each once, however spans tell them."""

import json
from typing import Any

import pytest

from runledger.importers.otlp.run import Run, Trace
from runledger.importers.otlp.span import Happening, Span
from runledger.messages import Message
from runledger.run import commands as c

TRACE = "0af7651916cd43dd8448eb211c80319c"
BEGIN = 1_767_600_000_000_000_000


def made(
    number: int,
    parent: int,
    attributes: dict[str, Any],
    happenings: tuple[Happening, ...] = (),
    event: str = "",
) -> Span:
    return Span(
        TRACE,
        f"{number:016x}",
        f"{parent:016x}" if parent else "",
        event or f"span {number}",
        BEGIN + number * 1_000_000,
        BEGIN + number * 1_000_000 + 500_000,
        attributes=attributes,
        happenings=happenings,
        record=bool(event),
    )


AGENT = made(1, 0, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"})
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5}
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "why?"}]}]
SAID = [{"role": "assistant", "parts": [{"type": "text", "content": "because"}]}]


def messages(*spans: Span) -> list[Message]:
    found: list[Message] = []
    for run in Trace(spans, "acme").runs():
        found += of_run(run)
    return found


def of_run(run: Run) -> list[Message]:
    found: list[Message] = []
    for _, command in run.commands():
        if isinstance(command, c.RecordStep | c.RecordMessages):
            found += command.messages
    return found


def told(found: list[Message]) -> list[tuple[str, str]]:
    return [
        (one.role, "".join(getattr(part, "text", "") for part in one.content or []))
        for one in found
    ]


DIALECTS: dict[str, tuple[dict[str, Any], tuple[Happening, ...]]] = {
    "structured": ({"gen_ai.input.messages": ASKED, "gen_ai.output.messages": SAID}, ()),
    "as JSON": (
        {
            "gen_ai.input.messages": json.dumps(ASKED),
            "gen_ai.output.messages": json.dumps(SAID),
        },
        (),
    ),
    "an event of the span": (
        {},
        (
            Happening(
                "gen_ai.client.inference.operation.details",
                BEGIN,
                {"gen_ai.input.messages": json.dumps(ASKED), "gen_ai.output.messages": SAID},
            ),
        ),
    ),
    "an event for each message": (
        {},
        (
            Happening("gen_ai.user.message", BEGIN, {"content": "why?"}),
            Happening("gen_ai.tool.message", BEGIN, {"content": "5"}),
            Happening(
                "gen_ai.choice",
                BEGIN,
                {"message": json.dumps({"role": "assistant", "content": "because"})},
            ),
        ),
    ),
    "openllmetry": (
        {
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "why?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "because",
        },
        (),
    ),
    "OpenInference": (
        {
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.contents.1.message_content.text": "y?",
            "llm.input_messages.0.message.contents.0.message_content.text": "wh",
            "llm.input_messages.0.message.contents.0.message_content.type": "text",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": "because",
        },
        (),
    ),
    "the Agent Development Kit": (
        {
            "gcp.vertex.agent.llm_request": json.dumps(
                {"contents": [{"role": "user", "parts": [{"text": "why?"}]}]}
            ),
            "gcp.vertex.agent.llm_response": json.dumps(
                {"content": {"role": "model", "parts": [{"text": "because"}]}}
            ),
        },
        (),
    ),
    "the Vercel AI SDK": (
        {
            "ai.prompt.messages": json.dumps(
                [{"role": "user", "content": [{"type": "text", "text": "why?"}]}]
            ),
            "ai.response.text": "because",
        },
        (),
    ),
    "whole values": ({"input.value": "why?", "output.value": "because"}, ()),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_texts_are_messages_in_every_dialect(dialect: str) -> None:
    attributes, happenings = DIALECTS[dialect]
    found = messages(AGENT, made(2, 1, {**CHAT, **attributes}, happenings))
    assert told(found) == [("user", "why?"), ("assistant", "because")]
    assert found[1].step_id is not None


def test_a_log_event_gives_its_texts_to_the_step_of_its_span() -> None:
    event = "gen_ai.client.inference.operation.details"
    texts = {"gen_ai.input.messages": ASKED, "gen_ai.output.messages": SAID}
    found = messages(AGENT, made(2, 1, CHAT), made(3, 2, {**CHAT, **texts}, (), event))
    assert told(found) == [("user", "why?"), ("assistant", "because")]


def test_a_history_that_every_call_repeats_is_recorded_once() -> None:
    more = [{"role": "user", "parts": [{"type": "text", "content": "why?"}]}]
    first = {"gen_ai.input.messages": ASKED, "gen_ai.output.messages": SAID}
    again = {"gen_ai.input.messages": [*ASKED, *SAID, *more], "gen_ai.output.messages": SAID}
    spans = [AGENT, made(2, 1, {**CHAT, **first}), made(3, 1, {**CHAT, **again})]
    found = messages(*spans)
    # The second question and answer are equal to the first, and are others all the same.
    assert told(found) == [("user", "why?"), ("assistant", "because")] * 2
    assert len({one.id for one in found}) == 4
    assert [one.id for one in messages(*reversed(spans))] == [one.id for one in found]


def test_instructions_come_first_and_reasoning_is_told_apart() -> None:
    attributes = {
        "gen_ai.system_instructions": [{"type": "text", "content": "be brief"}],
        "gen_ai.input.messages": ASKED,
        "gen_ai.output.messages": [
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "hm"},
                    {"type": "text", "content": "because"},
                    {"type": "tool_call", "id": "1", "name": "t", "arguments": {}},
                ],
            }
        ],
    }
    found = messages(AGENT, made(2, 1, {**CHAT, **attributes}))
    assert told(found) == [("system", "be brief"), ("user", "why?"), ("assistant", "because")]
    assert [part.type for part in found[2].content or []] == ["reasoning", "text"]
    # What a model asked tools to do is told by the spans of those tools.
    assert not any(one.tool_calls for one in found)


@pytest.mark.parametrize(
    "odd", [5, None, [], [None, 5, {}], {"role": 5}, '["[', "[" * 900 + "]" * 900, [[["x"]]]]
)
def test_odd_texts_lose_no_counts(odd: Any) -> None:
    texts = dict.fromkeys(("gen_ai.input.messages", "gen_ai.output.messages"), odd)
    texts |= {"gen_ai.prompt.x.content": odd, "llm.input_messages.0.message.contents": odd}
    (run,) = Trace([AGENT, made(2, 1, {**CHAT, **texts})], "acme").runs()
    steps = [one for _, one in run.commands() if isinstance(one, c.RecordStep)]
    assert [step.facts["prompt_tokens"] for step in steps] == [5]
