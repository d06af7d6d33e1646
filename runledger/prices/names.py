"""The names of providers: which of the table's price lists each of them means."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = Path(__file__).with_name("names.toml")
_REGION: Final = re.compile(r"(?:us|eu|apac|au|jp|in|us-gov|global)\.[a-z0-9-]+\.")


class ProviderNames(NamedTuple):
    """The table of names: price lists by name, names without a price list, and names of models."""

    known: Mapping[str, str]
    unpriced: frozenset[str]
    silent: frozenset[str]
    families: tuple[tuple[str, str], ...]


def bare(name: str) -> str:
    """Return a name without case and separators.

    name: a provider, as a step reported it.
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def provider_names() -> ProviderNames:
    """Return the content of names.toml."""
    found = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return ProviderNames(
        {bare(name): of for of, names in found["names"].items() for name in (of, *names)},
        frozenset(map(bare, found["unpriced"]["names"])),
        frozenset(map(bare, found["none"]["names"])),
        tuple((start, of) for of, starts in found["families"].items() for start in starts),
    )


@lru_cache(maxsize=4096)
def price_list(provider: str | None, ids: frozenset[str]) -> str | None:
    """Return the price list that a reported provider means.

    provider: as reported, or None. ids: the price lists that there are.

    Returns:
        Its id; an empty text for a provider without one; None if the name says nothing.
    """
    if not provider:
        return None
    names, name = provider_names(), bare(provider)
    if name in names.silent:
        return None
    by_id = {bare(one): one for one in ids}
    found = names.known.get(name) or by_id.get(name)
    # An organization may have prices of its own for what has no list.
    return "" if found is None and name in names.unpriced else found


def in_region(model: str) -> bool:
    """Whether a model is named as Amazon Bedrock names it in a region, as in `us.anthropic.…`.

    model: a name in lower case.
    """
    return _REGION.match(model) is not None


def maker(model: str) -> str | None:
    """Return the provider that alone makes models of such a name, or None.

    model: a name in lower case.
    """
    for start, provider in provider_names().families:
        if model.startswith(start):
            return provider
    return None
