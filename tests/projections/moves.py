"""Random commands on a few runs, with the time between them and what the caller's clock says."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from runledger.events import (
    StepRecorded,
)
from runledger.ids import derived_id
from runledger.messages import Approval, Function, Message, ToolCall, ToolReturn
from runledger.run import STATUS_OF
from runledger.run import commands as c
from tests.strategies import json_values

RUNS = 5
BEGIN = datetime(2024, 2, 28, 22, 0, tzinfo=UTC)


@dataclass(frozen=True)
class RegisterAgent:
    """Not a command on a run: a registration, possibly with other facts than before."""

    agent_id: str
    name: str | None
    project_id: str | None


@dataclass(frozen=True)
class Move:
    """One command: on which run, how long after the one before, how far off the caller's clock."""

    run: int
    command: c.Command | RegisterAgent
    wait: timedelta
    skew: timedelta


# Few values, so that they meet: the same agent in two organizations, one call id in two messages.
# And few draws for each: a choice among whole values leaves hypothesis room for long histories.
_keys = st.sampled_from(
    ("a.b", "", "b", "a", 'q"uote', "q'uote", "ключ", "\x00", "$.a", "a[0]", "/a", "\\", "\u2028")
)
_values = st.sampled_from(
    (
        *(None, True, False, 0, 1, -1, 1.0, -0.0, 1e300, 5e-324, 2**63, 10**30),
        *("", "1", "null", "\x00", 'é"\\', "\U0001f600"),
        *([], {}, [1, None, [{}]], {"b": 1, "a": {"": None}}, {"a.b": 0.1}),
    )
)
_metadata = st.dictionaries(_keys, _values | json_values, max_size=3)
_text = st.sampled_from((None, "", "x", "é\x00", "it's"))
_tokens = st.none() | st.sampled_from([0, 1, 7, 2**40])
_call_ids = st.sampled_from(["call-1", "call-2", "call-3", ""])
_calls = st.builds(
    ToolCall,
    id=_call_ids,
    function=st.builds(
        Function, name=st.sampled_from(["search", "lookup", "é"]), arguments=st.just("{}")
    ),
    tool_id=st.none() | st.sampled_from(["tool-1", "tool-2"]),
)
_returns = st.builds(
    ToolReturn, tool_call_id=_call_ids, status=st.sampled_from(["success", "error"])
)
_approvals = st.builds(Approval, tool_call_id=_call_ids, approve=st.booleans())
_unique = {"unique_by": lambda part: getattr(part, "id", None) or getattr(part, "tool_call_id", "")}
_messages = st.one_of(
    st.builds(Message, id=st.just(""), role=st.just("user"), content=st.just("hi")),
    st.builds(
        Message,
        id=st.just(""),
        role=st.sampled_from(["assistant", "approval"]),
        tool_calls=st.lists(_calls, max_size=3, **_unique),
    ),
    st.builds(
        Message,
        id=st.just(""),
        role=st.just("tool"),
        tool_returns=st.lists(_returns, max_size=3, **_unique),
    ),
    st.builds(
        Message,
        id=st.just(""),
        role=st.just("approval"),
        approvals=st.lists(_approvals | _returns, max_size=3, **_unique),
    ),
)


@st.composite
def _numbered(draw: st.DrawFn) -> tuple[Message, ...]:
    """Messages with ids; a repeated id is refused, or known, and then left out."""
    given = draw(st.lists(_messages, max_size=3))
    first = draw(st.integers(0, 10**6))
    return tuple(
        message.model_copy(update={"id": derived_id("message", str(first + number))})
        for number, message in enumerate(given)
    )


_deadlines = st.sampled_from(
    [
        None,
        BEGIN,
        BEGIN + timedelta(hours=6, microseconds=1),
        datetime(2024, 2, 29, 17, tzinfo=timezone(timedelta(hours=-7))),
    ]
)
_step_ids = st.integers(0, 5).map(lambda n: derived_id("step", str(n)))
_details = st.sampled_from(
    (
        None,
        {},
        {"cached_tokens": 5},
        {"cached_tokens": 0, "cache_creation_tokens": 0},
        {"cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}},
    )
)
_step_facts = st.one_of(
    st.fixed_dictionaries(
        {
            "provider_name": st.sampled_from([None, "openai", "anthropic"]),
            "model": st.sampled_from([None, "gpt-4.1", "claude", ""]),
            "prompt_tokens": _tokens,
            "completion_tokens": _tokens,
            "prompt_tokens_details": _details,
            "usage_details": st.sampled_from([None, {"cost": 0.95}]),
            "input_includes_cache": st.sampled_from([None, True, False]),
            "completion_tokens_details": st.sampled_from(
                (None, {}, {"reasoning_tokens": 0}, {"reasoning_tokens": 3, "x": [1.0, "é"]})
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(["success", "failed", "cancelled"]),
            "provider_category": _text,
            "total_tokens": _tokens,
            "stop_reason": st.none() | st.sampled_from(sorted(STATUS_OF)),
            "error_type": _text,
            "error_data": st.none() | _metadata,
            "trace_id": _text,
            "request_id": _text,
            "tags": st.lists(st.sampled_from(["a", "b", "é", ""]), max_size=3),
            "context_window_limit": st.sampled_from([None, 0, 8192]),
            **dict.fromkeys(
                ("provider_id", "model_handle", "model_endpoint", "origin", "tid"), _text
            ),
        }
    ),
    st.sampled_from([name for name in StepRecorded.model_fields if name.endswith("_ns")]).flatmap(
        lambda name: st.fixed_dictionaries({name: st.sampled_from([0, 1, 2**53 + 1, 2**63 - 1])})
    ),
)
_ns = st.sampled_from([None, 0, 1, 5 * 10**9, 2**53 + 1])
_agents = st.integers(0, 2).map(lambda n: f"agent-{n}")
_callback = st.fixed_dictionaries(
    {
        "webhook_id": st.just("w"),
        "attempt": st.integers(1, 3),
        "url": st.just("https://example.com/"),
        "status_code": st.sampled_from([None, 200, 500]),
        "error": _text,
        "delivered": st.booleans(),
        "final": st.booleans(),
        "redelivery": st.booleans(),
        "attempt_ns": _ns,
        "next_attempt_at": _deadlines,
    }
)
_create = st.builds(
    c.CreateRun,
    agent_id=_agents,
    project_id=st.sampled_from([None, "p1", "p2"]),
    conversation_id=st.sampled_from([None, "conv-1"]),
    hold_conversation=st.booleans(),
    base_template_id=st.sampled_from([None, "t1"]),
    background=st.none() | st.booleans(),
    metadata=_metadata,
    request_config=st.none() | _metadata,
    callback_url=st.none() | st.just("https://example.com/"),
)
_step = st.builds(
    c.RecordStep,
    step_id=_step_ids,
    facts=_step_facts,
    messages=_numbered(),
    approval_deadline=_deadlines,
)
_said = st.builds(c.RecordMessages, messages=_numbered(), approval_deadline=_deadlines)
_patch = st.builds(c.PatchMetadata, patch=_metadata, remove=st.lists(_keys, max_size=3))


def _reasons(status: str) -> st.SearchStrategy[str]:
    return st.sampled_from([reason for reason, ends_in in STATUS_OF.items() if ends_in == status])


_complete = st.builds(c.CompleteRun, stop_reason=_reasons("completed"), run_ns=_ns)
_fail = st.builds(
    c.FailRun,
    stop_reason=_reasons("failed"),
    error_type=_text,
    error_message=_text,
    error_data=st.none() | _metadata,
    run_ns=_ns,
)
_start_step = st.builds(c.StartStep, step_id=_step_ids, model=st.sampled_from([None, "claude"]))
_register = st.builds(
    RegisterAgent, agent_id=_agents, name=_text, project_id=st.sampled_from([None, "p1"])
)
_feedback = st.sampled_from([None, "positive", "negative"])
_judge_step = st.builds(
    c.RecordStepFeedback,
    step_id=_step_ids,
    feedback=_feedback,
    tags=st.sampled_from([None, [], ["a", "b"]]),
)
_expire = st.builds(c.ExpireRun, silent_since=st.just(BEGIN + timedelta(hours=1)))
_weights: tuple[tuple[int, st.SearchStrategy[Any]], ...] = (
    (8, _create),
    (12, _step),
    (12, _said),
    (8, _patch),
    (3, _start_step),
    (2, st.builds(c.StartRun)),
    (2, st.builds(c.RecordHeartbeat)),
    (3, _complete),
    (2, _fail),
    (6, _judge_step),
    (2, st.builds(c.RecordRunFeedback, feedback=_feedback)),
    (3, st.builds(c.CancelRun, reason=_text, run_ns=_ns)),
    (4, st.builds(c.RecordCallbackAttempt, facts=_callback)),
    (2, st.builds(c.ExpireApprovals)),
    (1, _expire),
    (2, st.builds(c.DeleteRun)),
    (2, _register),
)
_commands = st.sampled_from(
    [commands for weight, commands in _weights for _ in range(weight)]
).flatmap(lambda commands: commands)
_waits = st.sampled_from([0, 0, 1, 10**6, 3600 * 10**6, 20 * 3600 * 10**6]).map(
    lambda microseconds: timedelta(microseconds=microseconds)
)
_skews = st.sampled_from([0, 0, 0, -5, 5, -172_800, 172_800]).map(
    lambda seconds: timedelta(seconds=seconds)
)
moves = st.builds(Move, run=st.integers(0, RUNS - 1), command=_commands, wait=_waits, skew=_skews)
