"""What is not a condition on the caller's runs is refused by name, or harmless."""

import asyncio
from typing import Any

import pytest
from hostile_expressions import HARMLESS, REFUSED
from hypothesis import given, settings
from hypothesis import strategies as st
from where_ledger import ORGANIZATIONS

from projections.queries.time_limit import limited
from projections.queries.where import expression, tree
from projections.queries.where.columns import columns
from runledger import Actor, RunLedger
from runledger.errors import InvalidExpression, ReadModelsError
from runledger.records import RunRecord, StepView


def test_there_are_more_than_two_hundred_of_them() -> None:
    assert len(set(REFUSED)) + len(set(HARMLESS)) >= 280


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:40]))
def test_it_is_refused_before_anything_is_asked(text: str) -> None:
    with pytest.raises(InvalidExpression) as refused:
        expression.read(text)
    assert refused.value.reason
    assert len(str(refused.value)) < 600
    column = refused.value.column
    assert column is None or 1 <= column <= len(text) + 1


@pytest.mark.parametrize("text", HARMLESS)
def test_it_keeps_runs_of_the_caller_alone(filled: RunLedger, text: str) -> None:
    for organization in ORGANIZATIONS:
        mine = filled.as_actor(Actor(organization))
        found = asyncio.run(mine.list_runs(where=text, limit=1000))
        assert {run.organization for run in found} <= {organization}
        asyncio.run(mine.usage_totals(by=("agent",), where=text))
        asyncio.run(mine.duration_percentiles(where=text))


_PIECES = [
    *(
        "status",
        "total_tokens",
        "created_at",
        "tools_used",
        "metadata.team",
        "organization",
        "born",
    ),
    *("any_step", "any_tool", "all_steps", "number", "lower", "now()", "read_text", "getenv"),
    *("'failed'", "'/etc/passwd'", "5", "1e400", "NULL", "true", "INTERVAL 1 DAY", "$1", "?"),
    *("(", ")", ") OR (", ", ", "=", "<", "IN", "LIKE", "~", "+", "%", "::", ".", "[", "]"),
    *("AND", "OR", "NOT", "IS", "BETWEEN", "SELECT", "FROM runs", "UNION", "--", "/*", "*/", ";"),
    *("\n", "é", "😀", "\\", '"', "'"),
]


@given(text=st.lists(st.sampled_from(_PIECES), max_size=12).map(" ".join))
@settings(max_examples=300)
def test_pieces_in_any_order_are_refused_or_keep_runs_of_the_caller_alone(
    filled: RunLedger, text: str
) -> None:
    for organization in ORGANIZATIONS:
        mine = filled.as_actor(Actor(organization))
        try:
            found = asyncio.run(mine.list_runs(where=text, limit=1000))
        except InvalidExpression as e:
            assert e.reason  # noqa: PT017
            return
        assert {run.organization for run in found} <= {organization}


def test_two_organizations_have_all_runs_between_them(filled: RunLedger) -> None:
    found = [
        {run.run_id for run in asyncio.run(mine.list_runs(where="true) OR (true", limit=1000))}
        for mine in (filled.as_actor(Actor(name)) for name in ORGANIZATIONS)
    ]
    _, rows = asyncio.run(filled.sql("SELECT count(*) FROM runs"))
    assert found[0].isdisjoint(found[1])
    assert len(found[0] | found[1]) == rows[0][0]


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("status = 'failed' AND statsu = 'x'", 23, "did you mean status"),
        ("agent_id = 'é€😀' AND nope = 1", 22, "'nope'"),
        ("status = 'faild'", 10, "did you mean failed? expected one of created, running"),
        ("any_step(modle = 'x')", 10, "did you mean model"),
        ("tags = 'x'", 1, "any_step(tags …)"),
        ("duration > 30", 1, "INTERVAL 30 SECOND"),
        ("metadata.n > 3", 1, "number(metadata.key)"),
        ("start_with(agent_id, 'a')", 1, "did you mean starts_with"),
        ("status = 'failed' AND", 22, "found its end"),
    ],
)
def test_the_message_points_at_the_fault(text: str, column: int, says: str) -> None:
    with pytest.raises(InvalidExpression) as refused:
        expression.read(text)
    assert refused.value.column == column
    assert says in refused.value.reason
    *_, line, caret = str(refused.value).splitlines()
    assert line == f"  {text}"
    assert caret.index("^") - 2 == column - 1


def test_every_column_of_a_record_has_its_name() -> None:
    left_out = {"organization", "request_config", "error_data", "metadata"}
    assert RunRecord.model_fields.keys() - left_out <= columns("runs").keys()
    details = {"prompt_tokens_details", "completion_tokens_details", "usage_details"}
    assert StepView.model_fields.keys() - left_out - details <= columns("steps").keys()


def test_syntax_trees_of_another_form_turn_expressions_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = tree.Parser.condition

    def of_another_version(self: tree.Parser, text: str) -> Any:
        return _renamed(made(self, text))

    monkeypatch.setattr(tree.Parser, "condition", of_another_version)
    expression.expect_understood.cache_clear()
    try:
        with pytest.raises(ReadModelsError, match="filter expressions are turned off"):
            expression.read("status = 'failed' -- of another version")
    finally:
        monkeypatch.undo()
        expression.expect_understood.cache_clear()
    assert expression.read("status = 'failed' -- of another version").values


def _renamed(node: Any) -> Any:
    """Return a tree in which constants are written as DuckDB 1.4 wrote them."""
    if isinstance(node, list):
        return [_renamed(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {("value" if k == "literal" else k): _renamed(v) for k, v in node.items()}


def test_a_query_that_takes_too_long_is_interrupted_and_the_next_one_is_not() -> None:
    db = tree.connect()
    endless = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b"
    with pytest.raises(InvalidExpression, match="within 0.1 s"), limited(db, 0.1):
        db.execute(endless).fetchall()
    with limited(db, 60):
        assert db.execute("SELECT 1").fetchall() == [(1,)]
