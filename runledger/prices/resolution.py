"""Finds the model of the price table that the names in a step mean.

The provider is, in this order: the beginning of the model's name, Amazon's region prefix, the
reported provider, and the only maker of such models, which is marked as assumed.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from runledger.prices.names import in_region, maker, price_list
from runledger.prices.table import Pattern, PriceTable

REVISION: Final = 1
"""Raised if names mean other models than before, as rows are made by it."""
ASSUMED: Final = "provider_assumed"
FALLBACK: Final = "price_of_another_provider"
_PATH: Final = re.compile(r"(?:projects/.*/)?(?:publishers/[^/]+/)?models/(?P<model>[^/]+)$")
_COMPACT_DATE: Final = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=$|[-:@])")
# What may follow the beginning of a name without making it another model: a date, `latest`, a
# version of a host. `claude-opus-4-50` is no `claude-opus-4-5`.
_SAME_MODEL: Final = re.compile(
    r"(?:[-@](?:20\d{6}|20\d\d-\d\d-\d\d|latest|default|v\d+)|:\d+|(?<=\d)\d{4})*$"
)
_OPEN_ENDS: Final = "-/@._:"


class Named(NamedTuple):
    """The names in a step: the reported provider, the model of the answer and of the request."""

    provider: str | None
    model: str | None
    requested: str | None = None


class Resolved(NamedTuple):
    """A model of the table; `flags` are the assumptions that were made."""

    provider: str
    model: str
    flags: tuple[str, ...] = ()


def resolve(table: PriceTable, named: Named) -> Resolved | None:
    """Return the model of the table that the names mean, or None if the table does not know it.

    table: the patterns. named: as a step reported them; the answer's model is tried first.
    """
    for text in (named.model, named.requested):
        if text:
            for provider, model, flags in _readings(table, named.provider, text.strip().lower()):
                found = _find(table, provider, model)
                if found is not None:
                    return found._replace(flags=(*flags, *found.flags))
    return None


def _readings(
    table: PriceTable, provider: str | None, text: str
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield (provider, model, flags) of each reading of a name, by precedence."""
    ids = table.providers
    reported = price_list(provider, ids)
    if reported and "/" in text and _exact(table, reported, text):
        # A provider of other makers' models names them with a slash, as in `openai/gpt-4.1`.
        yield reported, text, ()
        return
    head, slash, rest = text.partition("/")
    model, by_name = text, reported
    if path := _PATH.search(text):
        model = path["model"]
        by_name = price_list("google", ids) if text.startswith("projects/") else reported
    elif slash and (of_head := price_list(head, ids)) is not None:
        model, by_name = rest, of_head
        if path := _PATH.search(rest):
            model = path["model"]
    if in_region(model) and by_name != "openrouter":
        yield "aws", model, ()
    elif by_name is not None:
        yield by_name, model, ()
    elif (made_by := maker(model)) is not None:
        yield made_by, model, (ASSUMED,)


def _exact(table: PriceTable, provider: str, text: str) -> bool:
    return any(
        row.kind == "equals" and row.pattern == text for row in table.by_provider.get(provider, ())
    )


def _find(table: PriceTable, provider: str, model: str) -> Resolved | None:
    dashed = _COMPACT_DATE.sub(r"-\1-\2-\3", model)
    for text in (model,) if dashed == model else (model, dashed):
        found = _first(table, provider, text)
        if found is not None:
            return Resolved(provider, found)
        for row in table.by_provider.get(provider, ()):
            # One step only, and at that provider's standard prices.
            if row.kind == "fallback" and (found := _first(table, row.pattern, text)) is not None:
                return Resolved(row.pattern, found, (FALLBACK,))
    return None


def _first(table: PriceTable, provider: str, text: str) -> str | None:
    """Return the model of the first pattern that fits."""
    for row in table.by_provider.get(provider, ()):
        if _fits(row, text):
            return row.model
    return None


def _fits(row: Pattern, text: str) -> bool:
    pattern = row.pattern
    if row.kind == "equals":
        return text == pattern
    if row.kind == "prefix":
        return text.startswith(pattern) and _same_model(pattern, text[len(pattern) :])
    if row.kind == "contains":
        _, found, rest = text.partition(pattern)
        return bool(found) and _same_model(pattern, rest)
    if row.kind == "suffix":
        return text.endswith(pattern)
    return row.kind == "regex" and _compiled(pattern).search(text) is not None


def _same_model(pattern: str, rest: str) -> bool:
    """Whether a name that goes on with `rest` after a pattern still means the pattern's model."""
    if pattern.endswith(tuple(_OPEN_ENDS)):
        return re.fullmatch(r"[0-9]{4,}(?:-\d\d)*|latest|v\d+(?::\d+)?", rest) is not None
    return _SAME_MODEL.match(pattern[-1:] + rest, 1) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
