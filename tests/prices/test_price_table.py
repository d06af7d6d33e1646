"""The shipped price table follows from its pinned source, and names find the rows they mean."""

from decimal import Decimal

import pytest

from runledger.errors import InvalidArgument
from runledger.prices import Named, Price, Resolved, cells, pico_per_token, resolve
from runledger.prices.resolution import _first
from runledger.prices.table import (
    SHIPPED,
    UNITS,
    PriceTable,
    opening,
    price_row,
    shipped,
    unpacked,
    with_own,
)
from scripts.write_prices import files, folder


@pytest.mark.slow
def test_the_files_follow_from_the_pinned_source() -> None:
    assert folder().name == SHIPPED
    for name, text in files().items():
        assert (folder() / name).read_text(encoding="utf-8") == text, name


def found(provider: str | None, model: str, requested: str | None = None) -> Resolved | None:
    """Return what the shipped table takes the names to mean."""
    return resolve(shipped(), Named(provider, model, requested))


def test_no_stated_name_is_hidden_by_an_earlier_pattern() -> None:
    table = shipped()
    stated = [row for row in table.patterns if row.kind == "equals"]
    hidden = []
    for row in stated:
        found = _first(table, row.provider, row.pattern)
        first = next(r for r in stated if r[:3] == row[:3])
        if found != first.model:
            hidden.append(row)
    assert hidden == []


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4.1", ("openai", "gpt-4.1")),
        ("az.ai.openai", "gpt-4o", ("openai", "gpt-4o")),
        ("x_ai", "grok-4", ("x-ai", "grok-4-0709")),
        (None, "gpt-4.1-2025-04-14", ("openai", "gpt-4.1")),
        ("anthropic", "claude-opus-4-5-20251101", ("anthropic", "claude-opus-4-5")),
        ("litellm", "openai/gpt-4.1", ("openai", "gpt-4.1")),
        ("gcp.vertex.agent", "gpt-4.1-mini", ("openai", "gpt-4.1-mini")),
        ("google", "models/gemini-2.5-flash", ("google", "gemini-2.5-flash")),
        (None, "models/gemini-2.5-flash", ("google", "gemini-2.5-flash")),
        (None, "projects/p/locations/l/publishers/google/models/gemini-2.5-flash",
         ("google", "gemini-2.5-flash")),
    ],
)  # fmt: skip
def test_a_provider_is_found_by_its_names(
    provider: str | None, model: str, expected: tuple[str, str]
) -> None:
    named = found(provider, model)
    assert named is not None
    assert (named.provider, named.model) == expected


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-opus-4-50"),
        ("anthropic", "claude-opus-4-5-acme-tuned"),
        ("ollama", "gpt-4.1"),
        ("openai", "gpt-4.1-acme"),
        (None, "llama-3.3-70b"),
        (None, ""),
        ("openai", "a model of another maker"),
    ],
)
def test_a_neighbour_is_not_taken_for_the_model(provider: str | None, model: str) -> None:
    assert found(provider, model) is None


def test_the_model_of_the_answer_comes_before_that_of_the_request() -> None:
    named = found("openai", "gpt-4.1-mini-2025-04-14", "gpt-4.1")
    assert named is not None
    assert named.model == "gpt-4.1-mini"
    assert found("openai", "unheard-of", "gpt-4.1") == Resolved("openai", "gpt-4.1")


def test_a_model_without_prices_is_unknown_and_not_free() -> None:
    named = found("github-copilot", "gpt-4.1")
    assert named is not None
    assert shipped().by_model.get((named.provider, named.model)) is None
    free = shipped().by_model["openrouter", "deepseek/deepseek-r1:free"]
    assert {row.price for row in free} == {"0"}


def test_cells_never_overlap_and_price_every_moment_once() -> None:
    for rows in shipped().by_model.values():
        for tier in {None, *(row.service_tier for row in rows)}:
            places = {cell[:6] for cell in cells(rows, tier)}
            starts = {(place[0], place[2], place[4]) for place in places}
            assert len(places) == len(cells(rows, tier)) == len(starts)


def test_prices_are_whole_pico_dollars_but_for_a_few() -> None:
    rounded = [
        row for row in shipped().prices if pico_per_token(row.price) != Decimal(row.price) * 10**6
    ]
    assert len(rounded) == 28


@pytest.mark.parametrize("price", ["-1", "NaN", "inf", "", "1e9", "free"])
def test_a_price_is_a_number_from_nothing_to_a_million(price: str) -> None:
    with pytest.raises(InvalidArgument):
        pico_per_token(price)
    with pytest.raises(InvalidArgument):
        price_row({"provider": "openai", "model": "m", "unit": UNITS[0], "price": price})


def test_a_table_that_went_through_json_is_the_same() -> None:
    table = shipped()
    assert unpacked(table.packed()).digest == table.digest
    other = PriceTable(table.patterns, table.prices[:-1], table.dated, table.source)
    assert other.digest != table.digest


def test_a_later_row_replaces_an_equal_one() -> None:
    rows = [
        Price("p", "m", "", "", "", "", "", "input", "1"),
        Price("p", "m", "", "", "", "", "", "input", "2"),
    ]
    (cell,) = cells(rows, None)
    assert cell.input == 2_000_000


def test_the_opening_table_never_changes() -> None:
    # Rows of ledgers that adopted nothing are made by it.
    assert opening().digest == ("83b2d39e4a6add6490394b4350bc00d99f9670183ebe8e87e13e7b24d6f5c037")


def test_own_prices_come_before_the_shipped_ones() -> None:
    own = [
        Price("openai", "gpt-4.1", "", "", "", "", "", "input", "1.5"),
        Price("acme", "llama-x", "", "", "", "", "", "output", "3"),
    ]
    table = with_own(shipped(), own)
    assert resolve(table, Named("acme", "LLAMA-X")) == Resolved("acme", "llama-x")
    rows = table.by_model["openai", "gpt-4.1"]
    (cell,) = cells(rows, None, own=own[:1])
    (before,) = cells(rows, None)
    assert (cell.input, cell.output) == (1_500_000, before.output)
    assert cell.price_row.startswith("own ")
