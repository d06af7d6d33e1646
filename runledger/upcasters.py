"""Upcasters: from an old stored shape of an event to today's, one revision at a time."""

from collections.abc import Callable
from typing import Any, Final

from runledger.usage import buckets

Facts = dict[str, Any]


def _step_recorded_1_2(facts: Facts) -> Facts:
    """Revision 1 kept the provider's numbers alone; revision 2 adds the disjoint buckets."""
    split = buckets(
        facts.get("provider_name"),
        facts.get("prompt_tokens"),
        facts.get("completion_tokens"),
        facts.get("prompt_tokens_details"),
        facts.get("completion_tokens_details"),
    )
    return {**facts, **split._asdict()}


UPCASTERS: Final[dict[tuple[str, int], Callable[[Facts], Facts]]] = {
    ("run.step_recorded", 1): _step_recorded_1_2,
}
"""(topic, stored revision) → function to the next revision."""


def upcast(topic: str, revision: int, today: int, facts: Facts) -> Facts:
    """Apply the upcasters of `topic` from `revision` to `today`; KeyError where one is missing."""
    for step in range(revision, today):
        facts = UPCASTERS[topic, step](facts)
    return facts
