"""Splits one step's usage into disjoint buckets, and records the rule that decided.

The two questions are whether the input includes what was read from and written to a cache, and
whether the output includes the reasoning. Four rules answer them, in this order: arithmetic that
leaves one answer, what the caller states, the table of providers, and "includes".
"""

from collections.abc import Mapping
from itertools import product
from typing import Any, Final, Literal, NamedTuple, get_args

from runledger.errors import InvalidArgument
from runledger.usage.counts import CACHE_READ, REASONING, cache_writes, count, find
from runledger.usage.dialects import includes

Rule = Literal["arithmetic", "stated", "provider", "default", "contradicted"]
"""The rule that decided; `contradicted`: arithmetic decided, against the caller's statement."""
RULES: Final[tuple[Rule, ...]] = get_args(Rule)


class Buckets(NamedTuple):
    """Disjoint token counts; None means that the provider did not report it, 0 that it reported 0.

    fresh_input + cache_read + cache_write is all input; output + reasoning is all output.
    """

    fresh_input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None


BUCKETS: Final = Buckets._fields
"""The disjoint buckets, by the names of their fields and columns."""
INPUT: Final = BUCKETS[:3]
"""The buckets that add up to all input."""
COUNTED: Final = (*BUCKETS, "cache_write_1h_tokens")
"""The counts that are summed: the buckets, and the part of one of them with a separate price."""
DERIVED: Final = frozenset({*COUNTED, "input_rule", "output_rule", "total_derived"})
"""The facts that the ledger adds to a step, which are not the caller's."""


class Split(NamedTuple):
    """The buckets, the part of the cache writes that is kept for one hour, and the rules.

    A rule is None if there was nothing to decide: no cache, no reasoning, or no total input or
    output.
    """

    buckets: Buckets
    cache_write_1h_tokens: int | None
    input_rule: Rule | None
    output_rule: Rule | None


_SPLIT: Final = (*BUCKETS, *Split._fields[1:])


class _Question(NamedTuple):
    """The question whether `of` includes `part`; undecided only if both are given."""

    of: int | None
    part: int
    stated: bool | None
    known: bool | None

    @property
    def open(self) -> bool:
        return self.of is not None and self.part > 0

    @property
    def answers(self) -> tuple[bool, ...]:
        # A part that exceeds the whole cannot be included.
        if self.of is None or self.part == 0:
            return (True,)
        return (True, False) if self.part <= self.of else (False,)

    @property
    def preferred(self) -> bool:
        if not self.open:
            return True
        likely = self.known if self.stated is None else self.stated
        return True if likely is None else likely

    def whole(self, inside: bool) -> int:
        return (self.of or 0) + (0 if inside else self.part)

    def rule(self, chosen: bool, left: set[bool]) -> Rule | None:
        """Return the rule that decided; `left` are the answers that arithmetic allows."""
        if not self.open:
            return None
        if self.stated is not None and self.stated is not chosen:
            return "contradicted"
        if left == {chosen}:
            return "arithmetic"
        if self.stated is not None:
            return "stated"
        if self.known is not None:
            return "provider" if self.known is chosen else "arithmetic"
        return "default" if chosen else "arithmetic"


def split(
    provider: str | None,
    prompt_tokens: int | None,
    completion_tokens: int | None,
    prompt_tokens_details: Mapping[str, Any] | None = None,
    completion_tokens_details: Mapping[str, Any] | None = None,
    *,
    total_tokens: int | None = None,
    input_includes_cache: bool | None = None,
    output_includes_reasoning: bool | None = None,
) -> Split:
    """Split one step's usage into disjoint buckets.

    provider: its name, by which the table of dialects is read; None if it is not known.
    prompt_tokens, completion_tokens: as reported; None if they were not.
    prompt_tokens_details, completion_tokens_details: the counts of the parts, by any of the names
        in runledger.usage.counts.
    total_tokens: as reported; None if no total was reported, and never a sum made by the caller.
    input_includes_cache, output_includes_reasoning: what the caller knows; None if it does not.

    Raises:
        InvalidArgument: for impossible counts.
    """
    if provider is not None and not isinstance(provider, str):
        raise InvalidArgument(f"provider: expected text, found {provider!r:.80}")
    read = find(prompt_tokens_details, CACHE_READ)
    write, hour = cache_writes(prompt_tokens_details)
    thought = find(completion_tokens_details, REASONING)
    known = includes(provider)
    cached = (read or 0) + (write or 0)
    asked = (
        _Question(prompt_tokens, cached, input_includes_cache, known.cache),
        _Question(completion_tokens, thought or 0, output_includes_reasoning, known.reasoning),
    )
    chosen, rules = _decide(*asked, total_tokens)
    fresh, output = prompt_tokens, completion_tokens
    if fresh is not None and chosen[0]:
        fresh -= cached
    if output is not None and chosen[1]:
        output -= thought or 0
    return Split(Buckets(fresh, read, write, output, thought), hour, *rules)


def _decide(
    given: _Question, made: _Question, total: int | None
) -> tuple[tuple[bool, bool], tuple[Rule | None, Rule | None]]:
    """Answer both questions together, since the total is the sum of both wholes."""
    if not given.open and not made.open:
        return (True, True), (None, None)
    readings = list(product(given.answers, made.answers))
    if total is not None and given.of is not None:
        told = [r for r in readings if given.whole(r[0]) + made.whole(r[1]) == total]
        # A total that matches no combination of answers is no evidence.
        readings = told or readings

    def weight(reading: tuple[bool, bool]) -> tuple[int, int, int]:
        inside, within = reading
        return (
            (given.stated is inside) + (made.stated is within),
            (given.known is inside) + (made.known is within),
            inside + within,
        )

    chosen = (given.preferred, made.preferred)
    if chosen not in readings:
        chosen = max(readings, key=weight)
    return chosen, (
        given.rule(chosen[0], {reading[0] for reading in readings}),
        made.rule(chosen[1], {reading[1] for reading in readings}),
    )


def derived(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the derived facts of a step: the buckets, the rules, possibly the total.

    facts: by the names of the fields of StepRecorded; `total_tokens` only if it was reported.
    If it was not, the total is the sum of the buckets, and `total_derived` says so.

    Raises:
        InvalidArgument: for impossible counts.
    """
    prompt = count("prompt_tokens", facts.get("prompt_tokens"))
    completion = count("completion_tokens", facts.get("completion_tokens"))
    total = count("total_tokens", facts.get("total_tokens"))
    parts = split(
        facts.get("provider_name"),
        prompt,
        completion,
        facts.get("prompt_tokens_details"),
        facts.get("completion_tokens_details"),
        total_tokens=total,
        input_includes_cache=facts.get("input_includes_cache"),
        output_includes_reasoning=facts.get("output_includes_reasoning"),
    )
    split_up, *others = parts
    follows = dict(zip(_SPLIT, (*split_up, *others), strict=True))
    if total is None and not (prompt is None and completion is None):
        added = sum(tokens or 0 for tokens in parts.buckets)
        follows |= {"total_tokens": added, "total_derived": True}
    return follows
