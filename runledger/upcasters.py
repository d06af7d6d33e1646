"""Upcasters: convert an old stored shape of an event to the current one, one revision at a time."""

from collections.abc import Callable
from typing import Any, Final

from runledger.errors import InvalidArgument
from runledger.usage import BUCKETS, DERIVED, derived

Facts = dict[str, Any]


def _as_it_is(facts: Facts) -> Facts:
    """Convert to revision 2, which added the buckets; revision 3 computes them again."""
    return facts


def _step_recorded_2_3(facts: Facts) -> Facts:
    """Convert to revision 3. Revision 2 used only the provider's name, and summed missing totals.

    A total that equals the sum of prompt and completion may have been summed, so it is not used as
    evidence. It is summed again from the buckets if these have changed, or if a part exceeds its
    whole, so that the old sum cannot be right.
    """
    said = {name: value for name, value in facts.items() if name not in DERIVED}
    prompt, completion = said.get("prompt_tokens"), said.get("completion_tokens")
    total = said.get("total_tokens")
    if total == (prompt or 0) + (completion or 0):
        said.pop("total_tokens", None)
    try:
        follows = derived(said)
    except InvalidArgument:
        # These details are counts only by names that were added later: the earlier result is kept.
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
    """Apply the upcasters of `topic` from `revision` to `today`; KeyError if one is missing."""
    for step in range(revision, today):
        facts = UPCASTERS[topic, step](facts)
    return facts
