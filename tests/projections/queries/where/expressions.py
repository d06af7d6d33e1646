"""Random expressions of the filter language, each with its meaning in plain Python.

The meaning is a function of a row: True, False, or None if it is unknown, as in SQL.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from where_ledger import START, Rows

Truth = bool | None
Row = dict[str, Any]


@dataclass(frozen=True)
class Term:
    """A condition as text, and what it means for a row."""

    text: str
    means: Callable[[Rows, Row], Truth]

    def __repr__(self) -> str:
        return self.text


_COMPARED = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_TEXTS = {
    "runs": {
        "agent_id": ["agent-a", "agent-b", "x"],
        "base_template_id": ["template-1", "template-2", ""],
        "run_id": ["run-", "it's"],
    },
    "steps": {"model": ["gpt-4.1", "claude-sonnet-4", "é"], "step_id": ["step-"]},
    "tool_calls": {"name": ["search", "refund", "x"], "step_id": ["step-"]},
}
_LISTED = {
    "runs": {
        "status": ["created", "running", "completed", "failed", "cancelled"],
        "stop_reason": ["end_turn", "error", "cancelled"],
    },
    "steps": {},
    "tool_calls": {"status": ["open", "success", "error", "denied"]},
}
_NUMBERS = {
    "runs": ["total_tokens", "num_steps", "prompt_tokens", "run_ns"],
    "steps": ["total_tokens", "prompt_tokens"],
    "tool_calls": [],
}
_LISTS = {"runs": {"tools_used": ["search", "x"]}, "steps": {"tags": ["night", "x"]}}
_PATTERNS = {
    "LIKE": [("%-1", r".*-1"), ("a%t_4%", r"a.*t.4.*"), ("%", r".*"), ("search", "search")],
    "ILIKE": [("%A", r"(?i).*a"), ("GPT%", r"(?i)gpt.*")],
    "~": [("^gpt|a$", r"(?:^gpt.*|.*a$)"), ("[0-9]", r".*[0-9].*")],
}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _of(column: str, apply: Callable[[Any], bool]) -> Callable[[Rows, Row], Truth]:
    return lambda _rows, row: None if row[column] is None else apply(row[column])


@st.composite
def _text_terms(draw: st.DrawFn, table: str) -> Term:
    listed = _LISTED[table]
    column = draw(st.sampled_from([*_TEXTS[table], *listed]))
    values = {**_TEXTS[table], **listed}[column]
    shape = draw(st.sampled_from(["compare", "in", "null", "distinct", "pattern", "lower"]))
    value = draw(st.sampled_from(values))
    if shape == "compare":
        sign = draw(st.sampled_from(list(_COMPARED)))
        return Term(
            f"{column} {sign} {_quoted(value)}", _of(column, lambda v: _COMPARED[sign](v, value))
        )
    if shape == "in":
        some = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        word = draw(st.sampled_from(["IN", "NOT IN"]))
        listed_values = ", ".join(map(_quoted, some))
        return Term(
            f"{column} {word} ({listed_values})",
            _of(column, lambda v: (v in some) == (word == "IN")),
        )
    if shape == "null":
        word = draw(st.sampled_from(["IS NULL", "IS NOT NULL"]))
        return Term(f"{column} {word}", lambda _, row: (row[column] is None) == (word == "IS NULL"))
    if shape == "distinct":
        return Term(
            f"{column} IS DISTINCT FROM {_quoted(value)}", lambda _, row: row[column] != value
        )
    if shape == "lower":
        return Term(
            f"upper({column}) = {_quoted(value.upper())}",
            _of(column, lambda v: v.upper() == value.upper()),
        )
    sign = draw(st.sampled_from(list(_PATTERNS)))
    pattern, means = draw(st.sampled_from(_PATTERNS[sign]))
    found = re.compile(means, re.DOTALL)
    return Term(
        f"{column} {sign} {_quoted(pattern)}", _of(column, lambda v: bool(found.fullmatch(v)))
    )


@st.composite
def _number_terms(draw: st.DrawFn, table: str) -> Term:
    column = draw(st.sampled_from(_NUMBERS[table]))
    limit = draw(st.sampled_from([0, 1, 2, 20, 4_000, 10**9, 2.5]))
    shape = draw(st.sampled_from(["compare", "between", "sum"]))
    if shape == "between":
        most = draw(st.sampled_from([1, 5_000]))
        return Term(
            f"{column} BETWEEN {limit} AND {most}", _of(column, lambda v: limit <= v <= most)
        )
    sign = draw(st.sampled_from(list(_COMPARED)))
    compare = _COMPARED[sign]
    if shape == "sum":
        return Term(
            f"{column} * 2 - 1 {sign} {limit}", _of(column, lambda v: compare(v * 2 - 1, limit))
        )
    return Term(f"{column} {sign} {limit}", _of(column, lambda v: compare(v, limit)))


@st.composite
def _list_terms(draw: st.DrawFn, table: str) -> Term:
    column = draw(st.sampled_from(list(_LISTS[table])))
    value = draw(st.sampled_from(_LISTS[table][column]))
    count = draw(st.integers(0, 2))
    return draw(
        st.sampled_from(
            [
                Term(f"list_contains({column}, '{value}')", lambda _, row: value in row[column]),
                Term(f"'{value}' IN {column}", lambda _, row: value in row[column]),
                Term(f"len({column}) > {count}", lambda _, row: len(row[column]) > count),
            ]
        )
    )


@st.composite
def _time_terms(draw: st.DrawFn) -> Term:
    at = START + timedelta(minutes=draw(st.integers(0, 600)))
    sign = draw(st.sampled_from(["<", ">", "<=", ">="]))
    compare = _COMPARED[sign]
    written = draw(
        st.sampled_from(
            [
                _quoted(at.isoformat()),
                f"TIMESTAMPTZ {_quoted(at.isoformat())}",
                _quoted(at.replace(tzinfo=None).isoformat()),
                _quoted((at + timedelta(hours=2)).replace(tzinfo=None).isoformat() + "+02:00"),
            ]
        )
    )
    hour = draw(st.integers(0, 10))
    seconds = draw(st.sampled_from([0, 1, 29, 420]))
    return draw(
        st.sampled_from(
            [
                Term(f"created_at {sign} {written}", _of("created_at", lambda v: compare(v, at))),
                Term(
                    f"date_part('hour', created_at) {sign} {hour}",
                    _of("created_at", lambda v: compare(v.hour, hour)),
                ),
                Term(
                    f"duration {sign} INTERVAL {seconds} SECOND",
                    _of("run_ns", lambda v: compare(v, seconds * 10**9)),
                ),
                Term(
                    f"created_at {sign} now() - INTERVAL '1 hour'",
                    _of("created_at", lambda v: compare(v, datetime.now(v.tzinfo))),
                ),
                Term("completed_at >= created_at", _ended),
            ]
        )
    )


def _ended(_: Rows, row: Row) -> Truth:
    return None if row["completed_at"] is None else row["completed_at"] >= row["created_at"]


def _team(value: str) -> Callable[[Rows, Row], Truth]:
    def means(_: Rows, row: Row) -> Truth:
        found = row["metadata"].get("team")
        return None if found is None else found == value

    return means


def _amount(least: float) -> Callable[[Rows, Row], Truth]:
    def means(_: Rows, row: Row) -> Truth:
        try:
            return float(row["metadata"]["n"]) > least
        except (KeyError, ValueError):
            return None

    return means


_FIXED = st.sampled_from(
    [
        Term("background", _of("background", lambda v: v)),
        Term("background = false", _of("background", lambda v: not v)),
        Term("background IS TRUE", lambda _, row: row["background"] is True),
        Term("background IS NOT TRUE", lambda _, row: row["background"] is not True),
        Term("coalesce(background, true)", lambda _, row: row["background"] is not False),
        Term("metadata.team = 'red'", _team("red")),
        Term("metadata.team IS NULL", lambda _, row: row["metadata"].get("team") is None),
        Term("metadata.\"a.b\" = 'x'", lambda _, row: True if "a.b" in row["metadata"] else None),
        Term("number(metadata.n) > 7", _amount(7)),
        Term("true", lambda _, row: True),
        Term("NULL", lambda _, row: None),
        Term("1 = 2", lambda _, row: False),
    ]
)


def _not(one: Term) -> Term:
    def means(rows: Rows, row: Row) -> Truth:
        found = one.means(rows, row)
        return None if found is None else not found

    return Term(f"NOT ({one.text})", means)


def _joined(word: str, terms: list[Term]) -> Term:
    decides = word == "OR"

    def means(rows: Rows, row: Row) -> Truth:
        found = [term.means(rows, row) for term in terms]
        if decides in found:
            return decides
        return None if None in found else not decides

    return Term(f" {word} ".join(f"({term.text})" for term in terms), means)


def _of_rows(name: str, one: Term) -> Term:
    table = "steps" if "step" in name else "tool_calls"

    def means(rows: Rows, row: Row) -> Truth:
        found = [one.means(rows, r) is True for r in getattr(rows, table).get(row["run_id"], ())]
        return all(found) if name.startswith("all") else any(found)

    return Term(f"{name}({one.text})", means)


def _trees(atoms: st.SearchStrategy[Term], leaves: int) -> st.SearchStrategy[Term]:
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            inner.map(_not),
            st.builds(
                _joined, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3)
            ),
        ),
        max_leaves=leaves,
    )


_STEPS = _trees(st.one_of(_text_terms("steps"), _number_terms("steps"), _list_terms("steps")), 3)
_TOOLS = _trees(_text_terms("tool_calls"), 3)
_ASKED = st.one_of(
    st.builds(_of_rows, st.sampled_from(["any_step", "all_steps"]), _STEPS),
    st.builds(_of_rows, st.sampled_from(["any_tool", "all_tools"]), _TOOLS),
)
# NULL alone is refused: no run would meet it.
TERMS = _trees(
    st.one_of(
        _text_terms("runs"),
        _number_terms("runs"),
        _list_terms("runs"),
        _time_terms(),
        _FIXED,
        _ASKED,
        _ASKED,
    ),
    8,
).filter(lambda term: term.text != "NULL")
