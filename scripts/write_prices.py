"""Writes the shipped price table from the pinned source, the package genai-prices.

Its list of prices is Python that only makes objects. It is read as a syntax tree, so nothing of
the package is imported or executed.
"""

import ast
import csv
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from io import StringIO
from pathlib import Path
from typing import Any, Final

SOURCE: Final = "genai-prices"
TABLES: Final = Path(__file__).parents[1] / "runledger" / "prices" / "tables"
DATED: Final = "2026-11-09"
"""The last day that the pinned source had looked up prices for."""
UNITS: Final = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
}
"""The source's prices of text tokens, by our names; audio, images and searches are left out."""
TIER_KEYS: Final = {"processing", "service_tier", "speed"}
KINDS: Final = {
    "ClauseEquals": "equals",
    "ClauseStartsWith": "prefix",
    "ClauseEndsWith": "suffix",
    "ClauseContains": "contains",
    "ClauseRegex": "regex",
}
MODELS_HEAD: Final = ("provider", "kind", "pattern", "model")
PRICES_HEAD: Final = (
    *("provider", "model", "valid_from", "valid_to", "time_from", "time_to"),
    *("service_tier", "unit", "price", "input_from"),
)


def fields(call: ast.expr) -> dict[str, ast.expr]:
    """Return the arguments of a call by their names."""
    assert isinstance(call, ast.Call), ast.unparse(call)
    return {str(word.arg): word.value for word in call.keywords}


def kind(call: ast.expr) -> str:
    """Return the name of the class that a call makes."""
    assert isinstance(call, ast.Call), ast.unparse(call)
    assert isinstance(call.func, ast.Name), ast.unparse(call)
    return call.func.id


def elements(node: ast.expr | None) -> list[ast.expr]:
    """Return the elements of a list, none if there is no list."""
    return list(node.elts) if isinstance(node, ast.List) else []


def value(node: ast.expr | None) -> Any:
    """Return a constant, None if there is none."""
    return None if node is None else ast.literal_eval(node)


def patterns(match: ast.expr) -> Iterator[tuple[str, str]]:
    """Yield (kind, pattern) of each way in which the source recognizes a model."""
    named = fields(match)
    if kind(match) == "ClauseOr":
        for one in elements(named["or_"]):
            yield from patterns(one)
    elif kind(match) == "ClauseAnd":
        prefix, beside = elements(named["and_"])
        assert kind(prefix) == "ClauseStartsWith"
        assert kind(beside) == "ClauseRegex"
        start = re.escape(value(fields(prefix)["starts_with"]).lower())
        yield "regex", value(fields(beside)["regex"]) + start
    else:
        ((pattern),) = named.values()
        text = value(pattern)
        yield KINDS[kind(match)], text if kind(match) == "ClauseRegex" else text.lower()


def decimal(node: ast.expr) -> str:
    """Return the text of a Decimal."""
    assert isinstance(node, ast.Call)
    assert ast.unparse(node.func) == "Decimal"
    return str(value(node.args[0]))


def priced(prices: ast.expr) -> Iterator[tuple[str, str, int]]:
    """Yield (unit, price, first input tokens that pay it) of a set of prices."""
    for name, price in fields(prices).items():
        if name not in UNITS:
            continue
        if kind(price) == "TieredPrices":
            tiers = fields(price)
            yield UNITS[name], decimal(tiers["base"]), 0
            for tier in elements(tiers["tiers"]):
                of = fields(tier)
                # The source's tier begins above its start.
                yield UNITS[name], decimal(of["price"]), int(value(of["start"])) + 1
        else:
            yield UNITS[name], decimal(price), 0


def day(constraint: ast.expr) -> str:
    """Return the first day of a price."""
    date = fields(constraint)["start_date"]
    assert isinstance(date, ast.Call)
    year, month, of_month = (value(part) for part in date.args)
    return f"{year:04}-{month:02}-{of_month:02}"


def clock(node: ast.expr) -> str:
    """Return a time of the day, which the source states in UTC."""
    assert isinstance(node, ast.Call)
    hour, minute = (value(part) for part in node.args)
    return f"{hour:02}:{minute:02}"


def dated(prices: ast.expr) -> Iterator[tuple[tuple[str, str, str, str], ast.expr]]:
    """Yield ((valid_from, valid_to, time_from, time_to), prices) of a model's standard prices."""
    entries = elements(prices) if isinstance(prices, ast.List) else None
    if entries is None:
        yield ("", "", "", ""), prices
        return
    parsed = [fields(entry) for entry in entries]

    def starts(entry: dict[str, ast.expr]) -> str | None:
        limit = entry.get("constraint")
        dated = isinstance(limit, ast.Call) and kind(limit) == "StartDateConstraint"
        return day(limit) if dated and limit is not None else None

    days = [starts(entry) for entry in parsed]
    known = [one for one in days if one]
    assert known == sorted(set(known)), "the dates of a model must ascend"
    since = ""
    for nth, entry in enumerate(parsed):
        limit = entry.get("constraint")
        # The first entry is the source's price before every date.
        since = (days[nth] if nth else None) or since
        until = next((one for one in days[nth + 1 :] if one), "")
        if isinstance(limit, ast.Call) and kind(limit) == "TimeOfDateConstraint":
            window = fields(limit)
            begin, end = clock(window["start_time"]), clock(window["end_time"])
            yield (since, until, begin, end), entry["prices"]
        else:
            yield (since, until, "", ""), entry["prices"]


def variants(model: dict[str, ast.expr]) -> Iterator[tuple[str, str, ast.expr]]:
    """Yield (valid_from, service tier, prices) of a model's prices for other service tiers."""
    for variant in elements(model.get("price_variants")):
        of = fields(variant)
        when = value(of["when"])
        if not when.keys() <= TIER_KEYS:
            continue
        ((tier),) = when.values()
        limit = of.get("constraint")
        since = day(limit) if isinstance(limit, ast.Call) else ""
        yield since, tier.lower(), of["prices"]


def rows(source: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Return the rows of models.csv and of prices.csv, in the order of the source.

    source: the text of the module with its list of providers.
    """
    (providers,) = (
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "providers"
    )
    models: list[tuple[str, ...]] = []
    prices: list[tuple[str, ...]] = []
    for provider in elements(providers):
        its = fields(provider)
        name = value(its["id"])
        for entry in elements(its.get("models")):
            model = fields(entry)
            model_id = value(model["id"])
            models += [(name, *found, model_id) for found in patterns(model["match"])]
            before = len(prices)
            spans = [((*span, ""), of) for span, of in dated(model["prices"])]
            spans += [((since, "", "", "", tier), of) for since, tier, of in variants(model)]
            for span, of in spans:
                for unit, price, start in priced(of):
                    prices.append((name, model_id, *span, unit, price, str(start)))
            if len(prices) == before and model_id.endswith(":free"):
                # Only this ending says that a model without prices is free.
                free = ("input", "output")
                prices += [(name, model_id, *[""] * 5, unit, "0", "0") for unit in free]
        for other in value(its.get("fallback_model_providers")) or ():
            models.append((name, "fallback", other, ""))
    return models, prices


def text(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """Return a table as CSV."""
    made = StringIO()
    csv.writer(made, lineterminator="\n").writerows([head, *lines])
    return made.getvalue()


def files() -> dict[str, str]:
    """Return the text of each file by its name, from the installed package."""
    found = distribution(SOURCE)
    source = Path(str(found.locate_file("genai_prices/data.py"))).read_text(encoding="utf-8")
    licence = found.read_text("licenses/LICENSE")
    assert licence is not None
    models, prices = rows(source)
    about = (
        f'# Written by scripts/write_prices.py.\nsource = "{SOURCE}"\nversion = "{found.version}"\n'
        f'dated = "{DATED}"\nlicence = "MIT; see LICENSE"\n'
    )
    return {
        "models.csv": text(MODELS_HEAD, models),
        "prices.csv": text(PRICES_HEAD, prices),
        "source.toml": about,
        "LICENSE": licence,
    }


def folder() -> Path:
    """Return the folder of the installed version: tables are added and never changed."""
    return TABLES / f"{SOURCE}-{distribution(SOURCE).version}"


def main() -> None:
    """Write the files."""
    written = folder()
    written.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (written / name).write_text(content, encoding="utf-8")
    sys.stdout.write(f"{written}: written\n")


if __name__ == "__main__":
    main()
