"""Usage that is reported several times while an answer is streamed: later reports correct it."""

from collections.abc import Mapping
from typing import Any, Final

_DETAILS: Final = ("prompt_tokens_details", "completion_tokens_details", "usage_details")
_WHOLES: Final = ("prompt_tokens", "completion_tokens")


def with_details(before: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new facts, with earlier details that are not reported again.

    before, told: facts of a step by name; details are merged key by key.
    """
    details = {
        name: {**(before.get(name) or {}), **told[name]} for name in _DETAILS if name in told
    }
    return {**told, **details}


def corrected(before: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts after a later report; an earlier total is dropped if other counts change.

    before, told: facts of a step by name.
    """
    both = {**before, **told}
    if "total_tokens" not in told and any(
        name in told and told[name] != before.get(name) for name in _WHOLES
    ):
        # It was the sum of the earlier counts, without the later ones.
        both.pop("total_tokens", None)
    return both
