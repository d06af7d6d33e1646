"""The table of conventions, read from conventions.toml: what attributes of spans mean."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final

from runledger.messages import Role

TABLE: Final = "conventions.toml"


class Kind(StrEnum):
    """What a span is to a run."""

    LLM = "llm"
    EMBEDDING = "embedding"
    TOOL = "tool"
    RUN = "run"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class KindRow:
    """An attribute, and the kinds of the spans that have one of these values of it."""

    attribute: str
    values: Mapping[str, Kind]


@dataclass(frozen=True, slots=True)
class Exclusive:
    """An emitter whose input counts leave the cached tokens out, up to a version."""

    scope: str
    until: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LogRow:
    """A log event that reports a call of a model, and the meaning of its attributes.

    `program` sends it; an event of no program belongs to the span that it names. `session`,
    `prompt` and `request` are the attributes with the ids of the session, of the prompt that the
    call answers, and of the call. `where` are attributes that it must have to be meant. `given` are
    attributes that it stands for, `names` those that it has by other names.
    """

    event: str
    program: str
    session: str
    prompt: str
    request: str
    duration_ms: str
    where: Mapping[str, str]
    given: Mapping[str, str]
    names: Mapping[str, str]
    input_includes_cache: bool


@dataclass(frozen=True, slots=True)
class MessageNames:
    """Names of attributes and events that hold texts of prompts and answers, and of roles."""

    sent: tuple[str, ...]
    instructions: tuple[str, ...]
    answered: tuple[str, ...]
    listed_sent: tuple[str, ...]
    listed_answered: tuple[str, ...]
    whole_sent: tuple[str, ...]
    whole_answered: tuple[str, ...]
    choices: tuple[str, ...]
    events: Mapping[str, Role]
    roles: Mapping[str, Role]


@dataclass(frozen=True, slots=True)
class Conventions:
    """All tables; see conventions.toml for what each row is, and where that is written down."""

    kinds: tuple[KindRow, ...]
    llm_by_presence: tuple[tuple[str, ...], ...]
    counts: Mapping[str, tuple[str, ...]]
    exclusive: tuple[Exclusive, ...]
    thinking_beside_output: frozenset[str]
    facts: Mapping[str, tuple[str, ...]]
    stop_reasons: Mapping[str, str]
    cancelled: frozenset[str]
    content: tuple[str, ...]
    logs: Mapping[str, LogRow]
    messages: MessageNames


@cache
def conventions() -> Conventions:
    """Return the tables that come with the package."""
    text = files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    return as_conventions(tomllib.loads(text))


def as_conventions(given: Mapping[str, Any]) -> Conventions:
    """Return tables as they are used; `given` is shaped as conventions.toml."""
    return Conventions(
        tuple(
            KindRow(row["attribute"], {key: Kind(kind) for key, kind in row["values"].items()})
            for row in given["kind"]
        ),
        tuple(tuple(names) for names in given["llm_by_presence"]["all"]),
        {name: tuple(names) for name, names in given["counts"].items()},
        tuple(Exclusive(row["scope"], version(row["until"])) for row in given["exclusive"]),
        frozenset(given["thinking_beside_output"]["providers"]),
        {name: tuple(names) for name, names in given["facts"].items()},
        dict(given["stop_reasons"]),
        frozenset(given["cancelled"]["errors"]),
        tuple(given["content"]["prefixes"]),
        {row["event"]: _log_row(row) for row in given["log"]},
        _message_names(given["messages"]),
    )


def _message_names(given: Mapping[str, Any]) -> MessageNames:
    return MessageNames(
        tuple(given["sent"]),
        tuple(given["instructions"]),
        tuple(given["answered"]),
        tuple(given["listed_sent"]),
        tuple(given["listed_answered"]),
        tuple(given["whole_sent"]),
        tuple(given["whole_answered"]),
        tuple(given["choices"]),
        dict(given["events"]),
        dict(given["roles"]),
    )


def _log_row(row: Mapping[str, Any]) -> LogRow:
    return LogRow(
        row["event"],
        row.get("program", ""),
        row.get("session", ""),
        row.get("prompt", ""),
        row.get("request", ""),
        row.get("duration_ms", ""),
        dict(row.get("where", {})),
        dict(row.get("given", {})),
        dict(row.get("names", {})),
        row.get("input_includes_cache", True),
    )


def version(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: `0.1.8b0` is (0, 1, 8)."""
    numbers: list[int] = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
