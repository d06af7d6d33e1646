"""Write the reference pages from the code: events, read models, commands, errors, decisions.

    python -m scripts.write_reference

Each page has a part between two marks that is made here; the rest is written by hand.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import typer

from projections.fold.layouts import LAYOUTS as GENERATION_LAYOUTS
from projections.read_models.catalog import discover
from runledger import errors
from runledger.cli.main import app
from runledger.events import CATALOGUE, Event, RunEvent
from runledger.store.layouts import LAYOUTS as STORE_LAYOUTS
from runledger.usage import dialects

DOCS: Final = Path(__file__).parents[1] / "docs"
BEGIN: Final = "<!-- written by scripts/write_reference.py -->"
END: Final = "<!-- end of what is written -->"


def page(name: str) -> str:
    """Return a page with its written part made again."""
    text = (DOCS / name).read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/{name}: expected the marks {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{chr(10).join(PAGES[name]())}\n\n{END}{after}"


def events() -> Iterator[str]:
    """The catalogue: every topic with its fields."""
    shared = Event.model_fields.keys() | RunEvent.model_fields.keys()
    for topic, event in CATALOGUE.items():
        yield f"### `{topic}`"
        yield ""
        yield f"`{event.__name__}`, revision {event.revision}. {_text(event)}"
        yield ""
        properties = event.model_json_schema()["properties"]
        own = {name: shape for name, shape in properties.items() if name not in shared}
        if not own:
            yield "No fields of its own."
        else:
            yield "| field | type |"
            yield "|---|---|"
            for name, shape in own.items():
                kind = "contents" if name in event.contents else _type(shape)
                yield f"| `{name}` | {kind} |"
        yield ""


def _type(shape: dict[str, Any]) -> str:
    if "$ref" in shape:
        return f"`{shape['$ref'].rpartition('/')[2]}`"
    if "anyOf" in shape:
        kinds = [_type(one) for one in shape["anyOf"]]
        return " or ".join([*(kind for kind in kinds if kind != "null"), *_null(kinds)])
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_type(shape['items'])}"
    if shape.get("format") == "date-time":
        return "time with a zone"
    if shape.get("type") == "integer":
        least = shape.get("minimum", shape.get("exclusiveMinimum"))
        return "integer" if least is None else f"integer, {least} or more"
    kind = str(shape.get("type", "any"))
    return {"object": "JSON object", "boolean": "true or false", "string": "text"}.get(kind, kind)


def _null(kinds: list[str]) -> list[str]:
    return ["nothing"] if "null" in kinds else []


def read_models() -> Iterator[str]:
    """Every folder under projections/: what its comments say, and its columns."""
    for model in discover():
        yield f"## {model.name}"
        yield ""
        for comment, table, columns in _tables(model.schema):
            if table != model.name:
                yield f"### {table}"
                yield ""
            key = ", ".join(f"`{column}`" for column in model.keys[table])
            yield f"{comment} Key: {key}."
            yield ""
            yield "| column | type |"
            yield "|---|---|"
            for line in columns:
                name, _, kind = line.partition(" ")
                yield f"| `{name}` | {kind} |"
            yield ""


def _tables(schema: str) -> Iterator[tuple[str, str, list[str]]]:
    found = re.finditer(
        r"((?:^--[^\n]*\n)*)CREATE TABLE (\w+) \((.*?)\n\);", schema, re.MULTILINE | re.DOTALL
    )
    for comments, table, body in (match.groups() for match in found):
        words = " ".join(line.lstrip("- ") for line in comments.splitlines())
        comment = words.removeprefix(f"{table}: ")
        columns = [
            line.strip().rstrip(",")
            for line in body.splitlines()
            if line.strip() and not line.strip().startswith("--")
        ]
        yield comment[:1].upper() + comment[1:], table, columns


def commands() -> Iterator[str]:
    """Every command with its options, their variables and an example."""
    root = typer.main.get_command(app)
    yield "## Global options"
    yield ""
    yield from _options(root, [])
    for path, command in walk(root, []):
        yield f"## runledger {' '.join(path)}"
        yield ""
        yield inspect.cleandoc(command.help or "")
        yield ""
        yield from _options(command, path)
        yield "```sh"
        yield from (line.strip() for line in (command.epilog or "").splitlines()[2:])
        yield "```"
        yield ""


def walk(command: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
    """Yield (words, command) of every command below."""
    for name, inner in getattr(command, "commands", {}).items():
        if hasattr(inner, "commands"):
            yield from walk(inner, [*path, name])
        else:
            yield [*path, name], inner


def _options(command: Any, path: list[str]) -> Iterator[str]:
    rows = []
    for option in command.params:
        if option.name == "help":
            continue
        if option.param_type_name == "argument":
            rows.append((f"`{option.metavar or option.name.upper()}`", option.help or "", ""))
            continue
        names = ", ".join((*option.opts, *option.secondary_opts))
        variable = option.envvar or "_".join(["RUNLEDGER", *path, option.name]).upper()
        told = f"`{variable.replace('-', '_')}`" if option.allow_from_autoenv else ""
        rows.append((f"`{names}`", option.help or "", told))
    if rows:
        yield "| option | | variable |"
        yield "|---|---|---|"
        yield from ("| " + " | ".join(row) + " |" for row in rows)
        yield ""


def error_classes() -> Iterator[str]:
    """Every error class, under the one that it is a kind of."""
    yield "| error | is a | when |"
    yield "|---|---|---|"
    for name, error in vars(errors).items():
        if inspect.isclass(error) and issubclass(error, errors.LedgerError):
            bases = ", ".join(f"`{base.__name__}`" for base in error.__bases__)
            yield f"| `{name}` | {bases} | {_text(error)} |"


def decisions() -> Iterator[str]:
    """Every decision with its title and status."""
    yield "| decision | status |"
    yield "|---|---|"
    for decision in sorted((DOCS / "decisions").glob("*.md")):
        title, _, rest = decision.read_text(encoding="utf-8").partition("\n")
        (status,) = re.findall(r"^Status: (.*?)\.?$", rest, re.MULTILINE)
        yield f"| [{title.removeprefix('# ')}](decisions/{decision.name}) | {status} |"


def token_dialects() -> Iterator[str]:
    """The table of dialects, each with its source and a worked example."""
    yield "| dialect | names of the provider | input includes cache | output includes reasoning |"
    yield "|---|---|---|---|"
    for dialect in dialects():
        names = ", ".join(f"`{name}`" for name in dialect.providers)
        cached, thought = ("yes" if one else "no" for one in dialect.includes)
        yield f"| [{dialect.name}]({dialect.source}) | {names} | {cached} | {thought} |"
    yield ""
    yield "| dialect | its API returns | the buckets |"
    yield "|---|---|---|"
    for dialect in dialects():
        buckets = ", ".join(
            f"{name.removesuffix('_tokens')} {tokens:,}" for name, tokens in dialect.buckets.items()
        )
        yield f"| {dialect.name} | `{json.dumps(dialect.usage)}` | {buckets} |"


def _text(cls: type) -> str:
    return " ".join(inspect.cleandoc(cls.__doc__ or "").split())


def layouts() -> Iterator[str]:
    """The numbered layouts of stores and of read models."""
    for title, numbered in (("Stores", STORE_LAYOUTS), ("Read models", GENERATION_LAYOUTS)):
        yield f"## {title}"
        yield ""
        yield "| layout | what it adds |"
        yield "|---|---|"
        for number, adds in numbered.items():
            yield f"| {number} | {adds} |"
        yield ""


PAGES: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "events.md": events,
    "read_models.md": read_models,
    "cli.md": commands,
    "errors.md": error_classes,
    "index.md": decisions,
    "usage.md": token_dialects,
    "upgrades.md": layouts,
}
"""Page → what writes its part."""

if __name__ == "__main__":
    for made in PAGES:
        (DOCS / made).write_text(page(made), encoding="utf-8")
