"""Records as HTML: every fact, and no text that a browser would execute."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from runledger.html_table import MOST_ROWS
from runledger.records import DurationPercentiles, Records, RunRecord, StepView, UsageTotal

AT = datetime(2025, 1, 1, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>"


def _run(number: int, **facts: object) -> RunRecord:
    given = {"status": "completed", "created_at": AT, "last_event_at": AT, **facts}
    return RunRecord(run_id=f"run-{number}", organization="o", agent_id="a", **given)  # type: ignore[arg-type]


def test_texts_of_agents_are_escaped() -> None:
    run = _run(1, error_message=HOSTILE, metadata={HOSTILE: HOSTILE}, tools_used=[HOSTILE])
    for html in (run._repr_html_(), Records([run])._repr_html_()):
        assert "<script" not in html
        assert "<img" not in html
        assert html.count("&lt;script&gt;") >= 3


def test_a_bar_has_the_place_and_the_length_of_its_run() -> None:
    first = _run(1, completed_at=AT + timedelta(seconds=5))
    second = _run(2, created_at=AT + timedelta(seconds=5), completed_at=AT + timedelta(seconds=10))
    html = Records([first, second, _run(3)])._repr_html_()
    assert [place in html for place in ("left:0.00%;width:50.00%", "left:50.00%;width:50.00%")] == [
        True,
        True,
    ]
    assert html.count("position:absolute") == 2
    assert html.endswith("<td></td></tr></tbody></table><p>rows: 3</p>")


def test_a_cost_that_is_not_wholly_known_is_a_lower_bound() -> None:
    names = dict.fromkeys(UsageTotal.model_fields)
    counts = {"steps": 1, "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    for incomplete, said in ((0, ">1.50 USD<"), (1, ">≥ 1.50 USD<")):
        costs = {"cost_usd": Decimal("1.5"), "incomplete_steps": incomplete}
        total = UsageTotal(**{**names, **counts, **costs})  # type: ignore[arg-type]
        assert said in Records([total])._repr_html_()
        assert said in total._repr_html_()


def test_durations_and_counts_are_read_by_people() -> None:
    spans = DurationPercentiles(
        project_id=None, agent_id="a", day=None, runs=1234, p50=1e9, p90=2e9, p95=3e9, p99=61e9
    )
    html = Records([spans])._repr_html_()
    for said in (">1,234<", ">1.00 s<", ">1m 01s<"):
        assert said in html
    assert "project_id" not in html


def test_a_long_list_says_what_is_not_shown() -> None:
    html = Records([_run(number) for number in range(MOST_ROWS + 7)])._repr_html_()
    assert html.count("<tr>") == MOST_ROWS + 1
    assert f"rows: {MOST_ROWS + 7}, of which 7 are not shown" in html
    empty: Records[StepView] = Records()
    assert "rows: 0" in empty._repr_html_()
