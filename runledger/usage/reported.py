"""Converts a provider's usage to the facts of a step: known counts by name, others as details."""

from collections.abc import Iterator, Mapping
from enum import Enum
from math import isfinite
from typing import Any, Final

from runledger.errors import InvalidArgument
from runledger.usage import counts
from runledger.usage.counts import bare, count

_DETAILS: Final = {
    bare(f"{whole}_{details}"): fact
    for fact, wholes in (
        ("prompt_tokens", ("prompt", "input")),
        ("completion_tokens", ("completion", "output")),
    )
    for whole in wholes
    for details in ("tokens_details", "token_details")
}
"""The objects with the parts of the prompt and of the completion."""
_OF_PROMPT: Final = frozenset().union(
    counts.CACHE_READ,
    counts.CACHE_WRITE,
    counts.WRITTEN_FOR_5M,
    counts.WRITTEN_FOR_1H,
    counts.WRITES_BY_LIFETIME,
    counts.WRITES_IN_LIST,
    counts.TOOL_PROMPT,
    (bare("prompt_cache_miss_tokens"),),
)
_OF_COMPLETION: Final = counts.REASONING
_WHOLES: Final = {
    "prompt_tokens": counts.PROMPT,
    "completion_tokens": counts.COMPLETION,
    "total_tokens": counts.TOTAL,
}
_NESTED: Final = ("tokens", "billed_units")
"""Cohere's two objects: the tokens of the call, and those that are billed."""
_DEEPEST: Final = 8
_LONGEST: Final = 2_000


def usage_facts(reported: object) -> dict[str, Any]:
    """Return the facts of a step in a provider's usage.

    reported: a mapping, a pydantic model, a dataclass, a named tuple, a protobuf message or any
        object with attributes, as OpenAI (Chat Completions, Responses), Anthropic, Google, Bedrock,
        Mistral, DeepSeek, xAI, OpenRouter, Cohere or LiteLLM return it; None has no facts.
    Returns prompt_tokens, completion_tokens, total_tokens, their details, and in usage_details
        everything else; counts that were not reported are left out.

    Raises:
        InvalidArgument: if the value has no fields, or for impossible counts.
    """
    if reported is None:
        return {}
    fields = _fields(reported)
    if fields is None:
        raise InvalidArgument(
            f"usage: expected an object or mapping with counts, found {reported!r:.80}"
        )
    return _sorted_out(_plain(fields, 0))


def _sorted_out(fields: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {"prompt_tokens": {}, "completion_tokens": {}}
    told: dict[str, dict[str, tuple[str, int]]] = {name: {} for name in _WHOLES}
    rest: dict[str, Any] = {}
    for key, value in fields.items():
        name = bare(key)
        whole = next((fact for fact, names in _WHOLES.items() if name in names), None)
        if value is None:
            continue
        if whole in parts and isinstance(value, dict):
            # The Vercel AI SDK reports an object with a total and its parts.
            inner = dict(value)
            tokens = count(key, inner.pop("total", None))
            parts[whole] |= inner
            if tokens is not None:
                told[whole][name] = (key, tokens)
        elif whole is not None and not isinstance(value, dict | list):
            told[whole][name] = (key, count(key, value) or 0)
        elif name in _DETAILS and isinstance(value, dict):
            parts[_DETAILS[name]] |= value
        elif name in _OF_PROMPT:
            parts["prompt_tokens"][key] = value
        elif name in _OF_COMPLETION:
            parts["completion_tokens"][key] = value
        else:
            rest[key] = value
    for fact, names in _WHOLES.items():
        facts |= _chosen(fact, names, told[fact], rest)
    if not facts:
        facts |= _nested(fields)
    beside = counts.find(parts["prompt_tokens"], counts.TOOL_PROMPT)
    if beside:
        facts["prompt_tokens"] = facts.get("prompt_tokens", 0) + beside
    facts |= {f"{fact}_details": part for fact, part in parts.items() if part}
    return {**facts, "usage_details": rest} if rest else facts


def _chosen(
    fact: str, names: counts.Names, told: dict[str, tuple[str, int]], rest: dict[str, Any]
) -> dict[str, int]:
    """Return the first positive count among the names; the others are kept as details."""
    if not told:
        return {}
    order = sorted(told, key=lambda name: (not told[name][1], names[name]))
    for name in order[1:]:
        key, tokens = told[name]
        rest[key] = tokens
    return {fact: told[order[0]][1]}


def _nested(fields: dict[str, Any]) -> dict[str, int]:
    by_name = {bare(key): value for key, value in fields.items()}
    for name in _NESTED:
        inner = by_name.get(bare(name))
        if isinstance(inner, dict):
            found = {fact: counts.find(inner, names) for fact, names in _WHOLES.items()}
            return {fact: tokens for fact, tokens in found.items() if tokens is not None}
    return {}


def _fields(given: object) -> Mapping[str, Any] | None:
    """Return the fields of an object as a mapping; None if it has none."""
    if isinstance(given, Mapping):
        return given
    if isinstance(given, str | bytes | int | float | list | set | type) or callable(given):
        return None
    for method in ("model_dump", "_asdict", "to_dict"):
        if callable(make := getattr(given, method, None)):
            try:
                made = make()
            except Exception:
                continue  # The same fields are found in another way below.
            if isinstance(made, Mapping):
                return made
    # A protobuf message, possibly inside its wrapper from proto-plus.
    message = getattr(given, "_pb", given)
    return {name: getattr(message, name, None) for name in _names(message)} or None


def _names(given: object) -> Iterator[str]:
    descriptor = getattr(given, "DESCRIPTOR", None)
    if descriptor is not None:
        yield from (field.name for field in descriptor.fields)
        return
    slots = [getattr(cls, "__slots__", ()) for cls in type(given).__mro__]
    own = [*getattr(given, "__dict__", ()), *getattr(given, "__struct_fields__", ())]
    for names in (own, *([one] if isinstance(one, str) else one for one in slots)):
        yield from (name for name in names if not name.startswith("_"))


def _plain(value: Any, depth: int) -> Any:
    """Return a value as JSON; values that JSON lacks become text."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, str):
        return _text(value)
    if depth >= _DEEPEST:
        return _text(str(value))
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_asdict"):
        return [_plain(item, depth + 1) for item in value]
    fields = _fields(value)
    if fields is None:
        return _text(str(value))
    return {_text(str(key)): _plain(item, depth + 1) for key, item in fields.items()}


def _text(value: str) -> str:
    return value[:_LONGEST].encode(errors="backslashreplace").decode()
