"""Answers as JSON for a model: short texts, and no more rows than fit."""

import json
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel

MOST_CHARACTERS: Final = 60_000
"""Of an answer; about 15,000 tokens."""
_TEXT_CHARACTERS: Final = 2_000


def listed(name: str, rows: Sequence[Any], **beside: Any) -> str:
    """Return rows as JSON, without those at the end that do not fit, and whether any are left out.

    Parameters:
        name: the key of the rows.
        rows: records, dictionaries or lists.
        beside: what else is in the answer.
    """
    kept: list[Any] = []
    size = len(json.dumps(_short(beside)))
    for row in rows:
        plain = _short(row)
        size += len(json.dumps(plain)) + 2
        if size > MOST_CHARACTERS:
            break
        kept.append(plain)
    left_out = len(rows) - len(kept)
    return json.dumps({**_short(beside), name: kept, "left_out": left_out}, ensure_ascii=False)


def _short(value: Any) -> Any:
    """Return a value as JSON has it, without what is unknown, and long texts cut."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_short(one) for one in value]
    if isinstance(value, str) and len(value) > _TEXT_CHARACTERS:
        return f"{value[:_TEXT_CHARACTERS]}… ({len(value):,} characters)"
    return value
