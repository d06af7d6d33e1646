"""The kind, the counts and the facts of a span, read by the table of conventions."""

import json
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from typing import Any, Final, NamedTuple

from runledger.importers.otlp.conventions import Conventions, Kind, LogRow, version
from runledger.importers.otlp.span import Span

LONGEST_FACT: Final = 2_000
"""Characters of a name or an id; a longer one is cut."""
COUNT_MAX: Final = 2**40
"""Tokens that a step may have at most; see runledger.run.step_facts."""


class Kinded(NamedTuple):
    """A kind, and the rule by which a span has it."""

    kind: Kind
    rule: str


class Counts(NamedTuple):
    """The counts that a span reports; None for what it does not report."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    total: int | None = None

    @property
    def reported(self) -> bool:
        """Whether there is anything to count."""
        return self.input is not None or self.output is not None

    @property
    def cached(self) -> int:
        """The tokens read from and written to a cache."""
        return (self.cache_read or 0) + (self.cache_write or 0)


class Reader:
    """Reads spans by one table of conventions."""

    def __init__(self, table: Conventions) -> None:
        self.table = table

    def log(self, span: Span) -> LogRow | None:
        """Return what a log event that is kept as a span means; None for what is a span."""
        return self.table.logs.get(span.name) if span.record else None

    def translated(self, span: Span) -> Span:
        """Return a log event with the attributes that a span of the call would have."""
        row = self.log(span)
        if row is None:
            return span
        renamed = {row.names.get(name, name): value for name, value in span.attributes.items()}
        return replace(span, attributes={**row.given, **renamed})

    def kind(self, span: Span) -> Kinded:
        """Return the kind of a span and the rule that decided."""
        for row in self.table.kinds:
            value = span.attributes.get(row.attribute)
            found = row.values.get(value) if isinstance(value, str) else None
            if found is not None:
                return Kinded(found, f"{row.attribute} = {value}")
        names = [
            next((name for name in group if name in span.attributes), None)
            for group in self.table.llm_by_presence
        ]
        if None not in names and self._count(span, "input") is not None:
            return Kinded(Kind.LLM, f"has {', '.join(map(str, names))} and an input count")
        return Kinded(Kind.OTHER, "no rule")

    def counts(self, span: Span) -> Counts:
        """Return the counts that a span reports."""
        return Counts(*(self._count(span, name) for name in Counts._fields))

    def refused(self, span: Span) -> Iterator[str]:
        """Yield the names of attributes that should be counts and are none."""
        for names in self.table.counts.values():
            for name in names:
                if name in span.attributes and as_number(span.attributes[name]) is None:
                    yield name

    def fact(self, span: Span, fact: str) -> str | None:
        """Return the first of a fact's attributes that a span has, as text of LONGEST_FACT."""
        value = self.content(span, fact)
        return value and value[:LONGEST_FACT]

    def content(self, span: Span, fact: str) -> str | None:
        """Return the same, whole: what a tool was given, or gave."""
        for name in self.table.facts[fact]:
            text = as_text(span.attributes.get(name))
            if text:
                return text
        return None

    def stop_reason(self, span: Span) -> str | None:
        """Return the ledger's stop reason for a span's finish reason."""
        value = self.fact(span, "finish_reason")
        if value is None:
            return None
        if value.startswith("["):
            try:
                listed = json.loads(value)
            except (ValueError, RecursionError):
                return None
            value = str(listed[0]) if listed else ""
        return self.table.stop_reasons.get(value.lower())

    def error(self, span: Span) -> str | None:
        """Return the type of a span's error; None if it has none."""
        value = self.fact(span, "error_type")
        for happening in span.happenings:
            value = value or as_text(happening.attributes.get("exception.type"))
        if value is None and span.failed:
            return "_OTHER"
        return value and value[:LONGEST_FACT]

    def cancelled(self, span: Span) -> bool:
        """Whether a span's error means that the work was cancelled."""
        value = self.error(span) or ""
        names = self.table.cancelled
        return value in names or value.rsplit(".", 1)[-1] in names or span.status_message in names

    def includes_cache(self, span: Span, counts: Counts) -> bool:
        """Whether the input count includes the cached tokens, as the conventions say it does."""
        if counts.cached > (counts.input or 0):
            return False
        whole = (counts.input or 0) + (counts.output or 0)
        if counts.cached and counts.total == whole + counts.cached:
            return False
        row = self.log(span)
        if row is not None:
            return row.input_includes_cache
        found = version(span.scope_version)
        return not any(
            row.scope == span.scope_name and found and found <= row.until
            for row in self.table.exclusive
        )

    def thinking(self, provider: str | None, counts: Counts) -> int | None:
        """Return the thinking that a provider leaves out of its output; None if it does not."""
        if counts.reasoning is not None or counts.total is None:
            return None
        rest = counts.total - (counts.input or 0) - (counts.output or 0)
        return rest if rest > 0 and provider in self.table.thinking_beside_output else None

    def unmapped(self, span: Span) -> Iterator[tuple[str, Any]]:
        """Yield the attributes that hold no prompts, answers and counts, by name."""
        for name in sorted(span.attributes):
            if not name.startswith(self.table.content):
                yield name, span.attributes[name]

    def _count(self, span: Span, count: str) -> int | None:
        for name in self.table.counts[count]:
            if name in span.attributes:
                number = as_number(span.attributes[name])
                if number is not None:
                    return number
        return None


def as_text(value: Any) -> str | None:
    """Return an attribute's value as text, structures as JSON; None stays None."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def as_number(value: Any) -> int | None:
    """Return a count, None for what is none; exporters write 12, 12.0 and "12"."""
    if isinstance(value, str):
        try:
            value = float(value) if not value.strip().isdecimal() else int(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return int(value) if 0 <= value <= COUNT_MAX and value == int(value) else None
