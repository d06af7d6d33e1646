"""The command line: list, show, redeliver, and a dispatcher that stops when it is told to."""

import asyncio
import json
import os
import signal
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

import runledger
from runledger import RunLedger
from runledger.callbacks import CallbackSettings
from runledger.cli.main import app
from runledger.store import open_store
from runledger.store.protocol import EncodedEvent, StreamWrite
from tests.callbacks.conftest import KEY, LOCAL, receiving, status, until

pytestmark = pytest.mark.slow

URL = "http://127.0.0.1:9/hook"
WRITER = CallbackSettings(**LOCAL, dispatch=False)


@pytest.fixture
def environment(tmp_path):
    return {
        "RUNLEDGER_STORE": f"sqlite:///{tmp_path}/runs.db",
        "RUNLEDGER_READ_MODELS": f"{tmp_path}/runs.duckdb",
        "RUNLEDGER_CALLBACK_KEYS": KEY,
    }


@pytest.fixture
def command(environment):
    def run(*words):
        result = CliRunner().invoke(app, list(words), env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


async def ended(environment, url, count=1):
    async with RunLedger.open(environment["RUNLEDGER_STORE"], callbacks=WRITER) as ledger:
        runs = [await ledger.create_run("agent-a", callback_url=url) for _ in range(count)]
        return [(await ledger.complete_run(run.run_id)).run_id for run in runs]


def test_a_callback_of_a_run_that_cannot_be_read_is_shown_with_the_reason(environment, command):
    after, sound, before = asyncio.run(ended(environment, URL, 3))
    unknown = EncodedEvent("run.teleported", b"{}", None)
    with closing(open_store(environment["RUNLEDGER_STORE"])) as store:
        store.append([(StreamWrite(after, 2, (unknown,)),)])
        store.append([(StreamWrite("run-that-owes-nothing", 0, (unknown,)),)])
        left = store.head() - 1
    rows = json.loads(command("callbacks", "list", "--json").stdout)
    errors = {row["run_id"]: row["error"] for row in rows}
    assert errors.pop(after).startswith(f"left out from position {left} on: ")
    assert errors == {sound: None, before: None}
    checks = {check["name"]: check for check in json.loads(command("doctor", "--json").stdout)}
    check = checks["callbacks that cannot be sent"]
    assert check["state"] == "note"
    assert check["found"].startswith("1 of runs that cannot be read; the first: event 'run.tele")
    assert f"{after!r}: no such topic in the catalogue" in check["found"]


def test_a_callback_whose_end_cannot_be_read_is_found_by_doctor(environment, command):
    async def created():
        async with RunLedger.open(environment["RUNLEDGER_STORE"], callbacks=WRITER) as ledger:
            runs = [await ledger.create_run("agent-a", callback_url=URL) for _ in range(2)]
            return [run.run_id for run in runs]

    ends, goes_on = asyncio.run(created())
    with closing(open_store(environment["RUNLEDGER_STORE"])) as store:
        for run_id, topic in ((ends, "run.completed"), (goes_on, "run.teleported")):
            event = EncodedEvent(topic, b'{"revision":99}', None)
            store.append([(StreamWrite(run_id, 1, (event,)),)])
    command("project")
    checks = {check["name"]: check for check in json.loads(command("doctor", "--json").stdout)}
    found = checks["callbacks that cannot be sent"]["found"]
    assert found.startswith("1 of runs that cannot be read; the first: event 'run.completed'")


async def dispatched(environment, receiver, count, *words):
    """Run `runledger dispatch` until the receiver has so many requests; return its exit code."""
    root = Path(runledger.__file__).parents[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runledger.cli.main", "dispatch", *words),
        env={**os.environ, **environment, "PYTHONPATH": str(root)},
        stderr=asyncio.subprocess.PIPE,
    )
    await until(lambda: len(receiver.requests) >= count)
    process.send_signal(signal.SIGTERM)
    _, said = await process.communicate()
    return process.returncode, said.decode()


def test_callbacks_are_listed_shown_and_sent_again(environment, command):
    codes = [410]

    async def answer(request, writer):
        await status(codes.pop() if codes else 200)(request, writer)

    development = ("--allow-http", "--allow-private-callbacks")

    async def first():
        async with receiving(answer) as receiver:
            (run_id,) = await ended(environment, receiver.url)
            code, said = await dispatched(environment, receiver, 1, *development)
            return run_id, receiver.port, code, said

    run_id, port, code, said = asyncio.run(first())
    assert code == 0
    assert "callbacks may reach private addresses" in said
    assert KEY not in said

    (row,) = json.loads(command("callbacks", "list", "--failed", "--json").stdout)
    assert (row["run_id"], row["status"], row["status_code"]) == (run_id, "failed", 410)
    assert f"127.0.0.1:{port}" in command("callbacks", "list").stdout
    assert json.loads(command("callbacks", "list", "--status", "pending", "--json").stdout) == []
    shown = command("callbacks", "show", run_id).stdout
    assert "given up" in shown
    assert f"{run_id}-2" in shown
    whole = json.loads(command("callbacks", "show", run_id, "--json").stdout)
    assert whole["owed"]["settled"] is True
    assert [attempt["status_code"] for attempt in whole["attempts"]] == [410]

    asked = command("callbacks", "redeliver", "--failed", "--from", "2020-01-01")
    assert asked.stdout == f"{run_id}  callback requested\n"
    assert command("callbacks", "redeliver", "--failed").stdout == ""
    again = command("callbacks", "redeliver", "--run", run_id, "--json")
    assert json.loads(again.stdout) == [run_id]
    (row,) = json.loads(command("callbacks", "list", "--json").stdout)
    assert row["status"] == "pending"


def test_redeliver_needs_to_be_told_what(environment, command):
    asyncio.run(ended(environment, "http://127.0.0.1:1/"))
    run_id = "run-0f1e2d3c-4b5a-4678-9abc-def012345678"
    for words in ([], ["--run", run_id, "--failed"], ["--failed", "--from", "yesterday"]):
        assert command("callbacks", "redeliver", *words).exit_code == 2
    missing = command("callbacks", "redeliver", "--run", run_id)
    assert missing.exit_code == 1
    assert "not found" in missing.stderr
    assert command("callbacks", "list", "--status", "lost").exit_code == 2


def test_dispatch_refuses_what_it_cannot_work_with(environment, command, tmp_path):
    missing = command("dispatch")
    assert missing.exit_code == 1
    assert "no such file" in missing.stderr
    asyncio.run(ended(environment, None))
    file = tmp_path / "keys"
    file.write_text("secret\n")
    refused = command("dispatch", "--keys-file", str(file))
    assert refused.exit_code == 1
    assert "expected whsec_…" in refused.stderr
