"""The command line on a server's ledger: what it prints equals what it prints on the store."""

import json

import pytest
from running import RunningServer
from typer.testing import CliRunner

from runledger.cli.main import app
from runledger.ids import new_id

pytestmark = pytest.mark.slow


def command(*words: str, **env: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words), env=env)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def runs(server: RunningServer) -> list[str]:
    """Runs of every fate on the server."""

    async def make() -> list[str]:
        ledger = server.ledger
        made = []
        for number, reason in enumerate(("end_turn", "error", None)):
            run = await ledger.create_run(f"agent-{number}", status="running")
            await ledger.record_step(
                run.run_id, provider="openai", model="gpt", prompt_tokens=3,
                messages=[{"role": "user", "content": "hi"}],
            )  # fmt: skip
            if reason:
                await ledger.update_run(run.run_id, stop_reason=reason, total_duration_ns=5)
            made.append(run.run_id)
        return made

    return server.do(make())


def test_lists_and_totals_are_asked_of_the_server(server: RunningServer, runs: list[str]) -> None:
    code, out, _ = command("--store", server.url, "runs", "list", "--json")
    assert code == 0
    found = json.loads(out)
    assert [run["run_id"] for run in found] == runs[::-1]
    costs = dict.fromkeys(("cost_usd", "unpriced_tokens", "incomplete_steps"))
    single = json.loads(server.do(server.ledger.get_run_by_id(runs[2])).model_dump_json())
    assert found[0] | costs == single
    code, out, _ = command(
        "runs", "list", "--status", "failed", "--json", RUNLEDGER_STORE=server.url
    )
    assert [run["run_id"] for run in json.loads(out)] == [runs[1]]
    code, out, _ = command("--store", server.url, "usage", "--by", "model", "--by", "day", "--json")
    (row,) = json.loads(out)
    assert (code, row["model"], row["prompt_tokens"]) == (0, "gpt", 9)
    code, out, _ = command("--store", server.url, "percentiles", "--json")
    assert json.loads(out)[0]["runs"] == 2
    code, out, _ = command("--store", server.url, "agents", "--json")
    assert len(json.loads(out)) == 3
    assert "hi" in command("--store", server.url, "runs", "show", runs[0], "--messages")[1]


def test_runs_are_changed_at_the_server(server: RunningServer, runs: list[str]) -> None:
    code, _, _ = command("--store", server.url, "runs", "cancel", runs[2], "--reason", "enough")
    assert code == 0
    assert server.do(server.ledger.get_run_by_id(runs[2])).status == "cancelled"
    code, _, err = command("--store", server.url, "runs", "show", new_id("run"))
    assert (code, "not found" in err) == (1, True)


def test_a_key_is_given_by_option_or_environment(server: RunningServer, runs: list[str]) -> None:
    from runledger.ids import DEFAULT_ORGANIZATION
    from runledger.server.keys import Keyring

    made = Keyring(server.ledger.store).create(
        name="ada", organization=DEFAULT_ORGANIZATION, scopes=["runs:read"]
    )
    code, _, err = command("--store", server.url, "runs", "list")
    assert (code, "key" in err) == (1, True)
    assert command("runs", "list", "--store", server.url, "--api-key", made.text)[0] == 0
    assert command("--store", server.url, "runs", "list", RUNLEDGER_API_KEY=made.text)[0] == 0
    code, _, err = command(
        "--store", server.url, "runs", "cancel", runs[2], RUNLEDGER_API_KEY=made.text
    )
    assert (code, "runs:write" in err) == (1, True)
