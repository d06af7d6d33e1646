"""Upcasters: from an old stored shape of an event to today's, one revision at a time."""

from collections.abc import Callable
from typing import Any, Final

from runledger.errors import InvalidArgument
from runledger.usage import BUCKETS, DERIVED, derived

Facts = dict[str, Any]


def _as_it_is(facts: Facts) -> Facts:
    """Revision 2 added the buckets, which revision 3 decides again."""
    return facts


def _step_recorded_2_3(facts: Facts) -> Facts:
    """Revision 2 decided by the provider's name alone, and added up a total that it was not told.

    A total that is the sum of prompt and completion may have been added up, so it decides nothing.
    It is added up again, from the buckets, if they are no longer what they were, or if a part
    exceeds its whole, so that the old sum cannot be right.
    """
    said = {name: value for name, value in facts.items() if name not in DERIVED}
    prompt, completion = said.get("prompt_tokens"), said.get("completion_tokens")
    total = said.get("total_tokens")
    if total == (prompt or 0) + (completion or 0):
        said.pop("total_tokens", None)
    try:
        follows = derived(said)
    except InvalidArgument:
        # Details that only today's names take for counts: what was decided then stays.
        return facts
    changed = any(follows[name] != facts.get(name) for name in BUCKETS)
    exceeds = "arithmetic" in (follows["input_rule"], follows["output_rule"])
    if total is not None and "total_tokens" in follows and not (changed or exceeds):
        del follows["total_derived"]
        follows["total_tokens"] = total
    return said | follows


UPCASTERS: Final[dict[tuple[str, int], Callable[[Facts], Facts]]] = {
    ("run.step_recorded", 1): _as_it_is,
    ("run.step_recorded", 2): _step_recorded_2_3,
}
"""(topic, stored revision) → function to the next revision."""


def upcast(topic: str, revision: int, today: int, facts: Facts) -> Facts:
    """Apply the upcasters of `topic` from `revision` to `today`; KeyError where one is missing."""
    for step in range(revision, today):
        facts = UPCASTERS[topic, step](facts)
    return facts
