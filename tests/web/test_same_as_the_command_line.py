"""Every number of a view is the one that the command line says for the same question."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import pytest
from hostile import ATTACKS, HOSTILE
from running import RunningServer
from sample import CONVERSATION, RICH
from typer.testing import CliRunner
from views import WITHOUT_TEXT

from runledger.cli.main import app
from runledger.ids import DEFAULT_ORGANIZATION
from runledger.server.route_table import RouteTable
from runledger.web.buckets import BUCKETS
from runledger.web.routes import ROUTES

pytestmark = pytest.mark.slow

Ask = Callable[..., Any]
"""Returns what a command line prints with `--json`."""

TOKENS: Final = ("total_tokens", *(column for _, _, column in BUCKETS))
ALL: Final = ("runs", "list", "--limit", "1000")
STATEMENT: Final = "SELECT status, count(*) AS n FROM runs GROUP BY 1 ORDER BY 1"


class Case(NamedTuple):
    """A view, and what compares the facts of it with what the command line says."""

    path: str
    same: Callable[[Any, Ask], None]

    @property
    def name(self) -> str:
        """The name of the route that shows it."""
        found = RouteTable(ROUTES).find("GET", self.path.partition("?")[0])
        assert found is not None, self.path
        return found.route.name


def tokens(row: Any, names: tuple[str, ...] = TOKENS) -> dict[str, int]:
    # Totals count what was not reported as nothing; the page says that it is not known.
    return {name: row[name] or 0 for name in names}


def counted(rows: list[Any]) -> dict[str, int]:
    return {row["value"]: row["runs"] for row in rows}


def taken(values: Any) -> tuple[Any, ...]:
    return tuple(values[name] for name in ("p50", "p95", "p99"))


def overview(facts: Any, ask: Ask) -> None:
    listed = ask(*ALL)
    assert facts["runs"] == len(listed)
    assert counted(facts["statuses"]) == Counter(run["status"] for run in listed)
    (percentiles,) = ask("percentiles")
    assert facts["percentiles"]["runs"] == percentiles["runs"]
    assert taken(facts["percentiles"]) == taken(percentiles)
    for name, column in (("tokens_by_model", "model"), ("tokens_by_day", "day")):
        assert by(column, facts[name]) == by(column, ask("usage", "--by", column))
    slowest = ask("runs", "list", "--order-by", "duration", "--limit", "6")
    assert facts["slowest"] == without_costs(slowest)
    running = ask("runs", "list", "--status", "running", "--limit", "6")
    assert facts["running"] == without_costs(running)
    most = ask("runs", "list", "--order-by", "total_tokens", "--limit", "6")
    assert [run["run_id"] for run in facts["most_tokens"]] == [run["run_id"] for run in most]
    failed = Counter(run["error_type"] or run["stop_reason"] for run in listed_as(listed, "failed"))
    assert counted(facts["failures"]) == failed


def without_costs(runs: list[Any]) -> list[Any]:
    # The command line always shows costs, and the page only if their column is chosen.
    costs = ("cost_usd", "unpriced_tokens", "incomplete_steps")
    return [run | dict.fromkeys(costs) for run in runs]


def by(column: str, rows: list[Any]) -> dict[Any, Any]:
    return {row[column]: row for row in rows}


def listed_as(runs: list[Any], status: str) -> list[Any]:
    return [run for run in runs if run["status"] == status]


def the_list(*words: str) -> Callable[[Any, Ask], None]:
    """Return what compares a list of runs, and what is counted of it, with `runs list`."""

    def same(facts: Any, ask: Ask) -> None:
        listed = ask(*ALL, *words)
        assert listed
        assert facts["runs"] == without_costs(listed)
        groups = facts["groups"]
        assert groups["runs"] == groups["in_order"] == len(listed)
        facets: dict[str, Any] = {
            "status": lambda run: [run["status"]],
            "agent": lambda run: [run["agent_id"]],
            "stop reason": lambda run: [run["stop_reason"]],
            "tool": lambda run: run["tools_used"],
            "project": lambda run: [run["project_id"]],
        }
        assert groups["facets"].keys() == facets.keys()
        for title, of in facets.items():
            values = Counter(value for run in listed for value in of(run) if value is not None)
            assert counted(groups["facets"][title]) == values
        assert sum(row["runs"] for row in groups["times"]) == len(listed)

    return same


def run(facts: Any, ask: Ask) -> None:
    said = ask("runs", "show", facts["run"]["run_id"])
    assert facts["run"] == said["run"]
    assert facts["steps"] == said["steps"]
    assert facts["callback"]["url"] == said["run"]["callback_url"]
    assert len(facts["events"]) == said["run"]["version"]
    if said["run"]["callback_url"] is not None:
        callback = ask("callbacks", "show", facts["run"]["run_id"])
        assert facts["callback"]["owed"]["attempts"] == callback["owed"]["attempts"]


def earlier_run(facts: Any, ask: Ask) -> None:
    position = str(facts["events"][-1]["position"])
    said = ask("runs", "show", RICH, "--as-of", position)
    assert (facts["run"], facts["steps"]) == (said["run"], said["steps"])


def two_runs(facts: Any, ask: Ask) -> None:
    left, right = (ask("runs", "show", run_id)["run"] for run_id in (RICH, HOSTILE))
    assert facts["runs"] == [left, right]
    lines = {line["name"]: line for line in facts["compared"]}
    columns = {"Steps": "num_steps", "Tokens in": "prompt_tokens", "Duration": "run_ns"}
    for name, column in columns.items():
        assert lines[name]["values"] == [left[column], right[column]]
        assert lines[name]["difference"] == right[column] - left[column]


def one(row: Any, column: str, listed: list[Any], ask: Ask) -> None:
    """Compare an agent or a conversation with its runs, its totals and its percentiles."""
    mine = [run for run in listed if run[column] == row["value"]]
    where = f"{column} = '{row['value']}'"
    assert row["runs"] == len(mine)
    for status in ("failed", "cancelled"):
        assert row[status] == len(listed_as(mine, status))
    assert row["open"] == len(mine) - sum(run["completed_at"] is not None for run in mine)
    used = ask("usage", "--where", where)
    for name in TOKENS:
        assert (row[name] or 0) == sum(total[name] or 0 for total in used)
    percentiles = ask("percentiles", "--where", where)
    assert [tuple(row["p"])] == [taken(p) for p in percentiles] if row["p"] else not percentiles


def groups(name: str, column: str) -> Callable[[Any, Ask], None]:
    def same(facts: Any, ask: Ask) -> None:
        listed = ask(*ALL)
        rows = facts[name]
        assert {row["value"] for row in rows} == {run[column] for run in listed} - {None}
        for row in rows:
            one(row, column, listed, ask)

    return same


def one_group(name: str, column: str) -> Callable[[Any, Ask], None]:
    def same(facts: Any, ask: Ask) -> None:
        row, listed = facts[name], ask(*ALL)
        one(row, column, listed, ask)
        mine = [run for run in listed if run[column] == row["value"]]
        alike(facts, mine)
        assert sum(bucket["runs"] for bucket in facts["durations"]) == sum(
            run["run_ns"] is not None for run in mine
        )

    return same


def alike(facts: Any, mine: list[Any]) -> None:
    """Compare what is counted of the runs of one of a group with these runs."""
    assert facts["groups"]["runs"] == len(mine)
    status = Counter(run["status"] for run in mine)
    assert counted(facts["groups"]["facets"]["status"]) == status
    assert sum(row["runs"] for row in facts["groups"]["times"]) == len(mine)
    assert sum(row["runs"] for row in facts["errors"]) == status["failed"]
    shown = [{name: run[name] for name in facts["latest"][0]} for run in mine[:20]]
    assert facts["latest"] == shown


def calls(row: Any, ask: Ask) -> None:
    assert row["runs"] == len(ask(*ALL, "--tool", row["value"]))
    asked = "SELECT name, status, denied, epoch_ns(returned_at) - epoch_ns(called_at) AS ns"
    said = ask("sql", f"{asked} FROM tool_calls WHERE name IS NOT NULL")
    mine = [call for call in said if call["name"] == row["value"]]
    assert row["calls"] == len(mine)
    assert row["failed"] == len(listed_as(mine, "error"))
    assert row["open"] == len(listed_as(mine, "open"))
    assert row["denied"] == sum(call["denied"] for call in mine)


def tools(facts: Any, ask: Ask) -> None:
    names = {name for run in ask(*ALL) for name in run["tools_used"]}
    assert {row["value"] for row in facts["tools"]} == names
    for row in facts["tools"]:
        calls(row, ask)


def tool(facts: Any, ask: Ask) -> None:
    calls(facts["tool"], ask)
    alike(facts, ask(*ALL, "--tool", facts["tool"]["value"]))


def models(facts: Any, ask: Ask) -> None:
    said = by("model", ask("usage", "--by", "model"))
    rows = by("value", facts["models"])
    # A step that is only begun is a row of the page, and no usage yet.
    assert said.keys() <= rows.keys()
    for name, total in said.items():
        assert tokens(rows[name]) == tokens(total)
        used(rows[name], ask)


def used(row: Any, ask: Ask) -> None:
    steps = ask("sql", "SELECT run_id, model, status FROM steps")
    mine = [step for step in steps if step["model"] == row["value"]]
    assert row["steps"] == len(mine)
    assert row["runs"] == len({step["run_id"] for step in mine})
    assert row["failed"] == len(listed_as(mine, "failed"))


def model(facts: Any, ask: Ask) -> None:
    row = facts["model"]
    (total,) = ask("usage", "--by", "model", "--model", row["value"])
    assert tokens(row) == tokens(total)
    used(row, ask)
    steps = ask("sql", "SELECT run_id, model FROM steps")
    mine = {step["run_id"] for step in steps if step["model"] == row["value"]}
    alike(facts, [run for run in ask(*ALL) if run["run_id"] in mine])


def sql(facts: Any, ask: Ask) -> None:
    said = ask("sql", STATEMENT)
    answer = facts["answer"]
    assert [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]] == said


def operations(facts: Any, ask: Ask) -> None:
    """The command line has read models of its own: what is the same is what they say."""
    assert facts["parked"] == ask("parked", "list")
    assert facts["callbacks_owed"] == len(ask("callbacks", "list", "--status", "pending"))
    ((mine,), (own,)) = facts["generations"], ask("generations", "list")
    for name in ("state", "position", "models", "rows"):
        assert mine[name] == own[name]
    health, doctor = (by("name", found) for found in (facts["health"], ask("doctor")))
    for name in ("store", "file", "durable", "position", "duckdb"):
        assert health[name] == doctor[name]
    assert {check["state"] for check in facts["health"]} <= {"ok", "note"}


CASES: Final = (
    Case("/overview", overview),
    Case("/runs?limit=1000", the_list()),
    Case("/runs?limit=1000&statuses=failed", the_list("--status", "failed")),
    Case(
        "/runs?limit=1000&duration_percentile=50",
        the_list("--duration-percentile", "50"),
    ),
    Case(
        "/runs?limit=1000&order_by=duration&statuses=completed&ascending=true",
        the_list("--order-by", "duration", "--status", "completed", "--ascending"),
    ),
    Case(f"/runs/{RICH}", run),
    Case(f"/runs/{HOSTILE}", run),
    Case(f"/runs/{RICH}?event=3", earlier_run),
    Case(f"/runs/compare?run={RICH}&run={HOSTILE}", two_runs),
    Case("/agents", groups("agents", "agent_id")),
    Case("/agents/one?name=agent-rich", one_group("agent", "agent_id")),
    Case("/conversations", groups("conversations", "conversation_id")),
    Case(
        f"/conversations/one?name={CONVERSATION}",
        one_group("conversation", "conversation_id"),
    ),
    Case("/tools", tools),
    Case(f"/tools/one?{urlencode({'name': ATTACKS[0]})}", tool),
    Case("/tools/one?name=search", tool),
    Case("/models", models),
    Case("/models/one?name=claude", model),
    Case(f"/models/one?{urlencode({'name': ATTACKS[1]})}", model),
    Case(f"/sql?{urlencode({'statement': STATEMENT})}", sql),
    Case("/operations", operations),
)


@pytest.fixture(scope="module")
def ask(page: RunningServer, tmp_path_factory: Any) -> Ask:
    """The command line on the store of the page, with read models of its own."""
    own: Path = tmp_path_factory.mktemp("own") / "runs.duckdb"
    settings = {
        "RUNLEDGER_STORE": page.ledger.store.url,
        "RUNLEDGER_READ_MODELS": str(own),
        "RUNLEDGER_ORGANIZATION": DEFAULT_ORGANIZATION,
    }
    known: dict[tuple[str, ...], Any] = {}

    def asked(*words: str) -> Any:
        if words not in known:
            result = CliRunner().invoke(app, [*words, "--json"], env=settings)
            assert result.exit_code == 0, (words, result.output)
            known[words] = json.loads(result.stdout)
        return known[words]

    return asked


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path[:60])
def test_a_view_says_what_the_command_line_says(page: RunningServer, ask: Ask, case: Case) -> None:
    path, mark, query = case.path.partition("?")
    with page.client() as client:
        answer = client.get(f"{path}.json{mark}{query}")
    assert answer.status_code == 200, answer.text
    case.same(answer.json(), ask)


def test_every_view_of_the_application_is_compared() -> None:
    views = {route.name for route in ROUTES if route.method == "GET"}
    assert {case.name for case in CASES} == views - WITHOUT_TEXT
