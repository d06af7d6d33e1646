"""A provider's own usage is taken in any shape: counts by name, the rest as details."""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, create_model

from runledger.errors import InvalidArgument
from runledger.usage import usage_facts

USAGE = {
    "prompt_tokens": 194,
    "completion_tokens": 12,
    "total_tokens": 206,
    "cost": 0.95,
    "is_byok": False,
    "cost_details": {"upstream_inference_cost": 19},
    "prompt_tokens_details": {"cached_tokens": 150},
}
FACTS = {
    "prompt_tokens": 194,
    "completion_tokens": 12,
    "total_tokens": 206,
    "prompt_tokens_details": {"cached_tokens": 150},
    "usage_details": {
        "cost": 0.95,
        "is_byok": False,
        "cost_details": {"upstream_inference_cost": 19},
    },
}


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Broken(SimpleNamespace):
    def model_dump(self) -> dict[str, Any]:
        raise RuntimeError("not today")


class Slotted:
    __slots__ = ("completion_tokens", "prompt_tokens")


@dataclass(slots=True)
class Nested:
    input_tokens: int
    output_tokens: int
    details: Any


def _attributes(given: dict[str, Any]) -> Any:
    return SimpleNamespace(
        **{k: _attributes(v) if isinstance(v, dict) else v for k, v in given.items()}
    )


@pytest.mark.parametrize(
    "shaped",
    [
        dict,
        lambda given: Open(**given),
        lambda given: create_model("Usage", **dict.fromkeys(given, (Any, ...)))(**given),
        lambda given: make_dataclass("Usage", given)(**given),
        lambda given: namedtuple("Usage", given)(**given),
        lambda given: msgspec.defstruct("Usage", list(given))(**given),
        _attributes,
        lambda given: Broken(**given),
    ],
)
def test_any_object_with_fields_tells_its_usage(shaped: Callable[[Any], Any]) -> None:
    assert usage_facts(shaped(USAGE)) == FACTS


def test_slots_and_objects_within_objects_are_read() -> None:
    slotted = Slotted()
    slotted.prompt_tokens = 5  # type: ignore[attr-defined]
    assert usage_facts(slotted) == {"prompt_tokens": 5}
    found = usage_facts(Nested(1, 2, Nested(3, 4, float("nan"))))
    assert found["usage_details"] == {
        "details": {"input_tokens": 3, "output_tokens": 4, "details": "nan"}
    }


def test_none_tells_nothing_and_a_text_is_no_usage() -> None:
    assert usage_facts(None) == usage_facts({}) == {}
    for wrong in ("usage", 5, ["prompt_tokens"], object()):
        with pytest.raises(InvalidArgument, match="usage: expected an object or mapping"):
            usage_facts(wrong)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 5.0, "output_tokens": 2.0}, {"prompt_tokens": 5, "completion_tokens": 2}),
        # A gateway that fills two dialects: a count of 0 is none, and another one is kept beside.
        ({"prompt_tokens": 0, "input_tokens": 5}, {"prompt_tokens": 5, "usage_details": {"prompt_tokens": 0}}),
        ({"prompt_tokens": 7, "input_tokens": 5}, {"prompt_tokens": 7, "usage_details": {"input_tokens": 5}}),
        # Google's lists by modality share their name with OpenAI's objects.
        (
            {"prompt_token_count": 9, "prompt_tokens_details": [{"modality": "TEXT", "token_count": 9}]},
            {"prompt_tokens": 9, "usage_details": {"prompt_tokens_details": [{"modality": "TEXT", "token_count": 9}]}},
        ),
        # The results of tools are input that Google counts beside the prompt.
        (
            {"promptTokenCount": 9, "toolUsePromptTokenCount": 4, "totalTokenCount": 13},
            {"prompt_tokens": 13, "total_tokens": 13, "prompt_tokens_details": {"toolUsePromptTokenCount": 4}},
        ),
        ({"billed_units": {"input_tokens": 5}}, {"prompt_tokens": 5, "usage_details": {"billed_units": {"input_tokens": 5}}}),
        ({"note": "half \ud83d"}, {"usage_details": {"note": "half \\ud83d"}}),
    ],
)  # fmt: skip
def test_counts_are_found_by_name_and_nothing_is_lost(
    usage: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert usage_facts(usage) == expected


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_keys_that_are_not_known_never_lose_the_counts(others: dict[str, Any]) -> None:
    reported = {f"x {key}": value for key, value in others.items()}
    found = usage_facts({**reported, "prompt_tokens": 5, "completion_tokens": 7})
    assert (found["prompt_tokens"], found["completion_tokens"]) == (5, 7)
