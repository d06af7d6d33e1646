"""`runledger import` and `runledger export`: summaries, JSON, exit codes, files."""

import gzip
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from command_line import Command

from runledger.store import open_store
from runledger.store.protocol import EncodedEvent, StreamWrite

SIMULATION = {
    "id": "7ad146cf-324c-46e5-93c9-8fb281c7ab01",
    "start_time": "2025-08-01T16:00:00",
    "end_time": "2025-08-01T16:00:01",
    "duration": 1.0,
    "termination_reason": "user_stop",
    "messages": [],
}
INFO = {
    "agent_info": {"llm": "gpt-4.1"},
    "environment_info": {"domain_name": "retail"},
}


def _results(path: Path, *simulations: object) -> Path:
    path.write_text(json.dumps({"info": INFO, "simulations": simulations}))
    return path


def test_import_tells_what_went_in(runledger: Command, tmp_path: Path) -> None:
    path = str(_results(tmp_path / "r.json", SIMULATION))
    assert runledger("import", "tau2", path).out == (
        "1 runs recorded (3 events), 0 were there already, 0 refused\n"
    )
    again = runledger("import", "tau2", path, "--json")
    assert again.code == 0
    assert again.json == {
        "unit": "runs",
        "recorded": 0,
        "extended": 0,
        "unchanged": 1,
        "refused": 0,
        "events": 0,
        "refusals": [],
        "not_understood": {},
        "left_out": {},
    }


def test_a_refusal_is_told_and_is_exit_code_1(runledger: Command, tmp_path: Path) -> None:
    path = _results(tmp_path / "r.json", {**SIMULATION, "duration": -1}, SIMULATION)
    found = runledger("import", "tau2", str(path))
    assert found.code == 1
    assert found.err.startswith(f"refused: {path}: simulations[0]")
    assert "found -1" in found.err
    assert found.out.startswith("1 runs recorded")
    report = runledger("import", "tau2", str(path), str(tmp_path / "none.json"), "--json")
    assert report.code == 1
    assert [refusal["place"] for refusal in report.json["refusals"]] == [
        f"{path}: simulations[0] ({SIMULATION['id']})",
        str(tmp_path / "none.json"),
    ]


def test_events_go_out_and_come_in(runledger: Command, runs: Path) -> None:
    file = runs / "events.jsonl.gz"
    out = runledger("export", "jsonl", "-o", str(file))
    lines = gzip.decompress(file.read_bytes())
    count = lines.count(b"\n")
    assert out.out == f"{count} lines in {file}\n"
    assert runledger("export", "jsonl").out.encode() == lines
    assert [json.loads(line)["position"] for line in lines.splitlines()] == list(
        range(1, count + 1)
    )
    env = {"RUNLEDGER_STORE": f"sqlite:///{runs}/copy.db"}
    assert runledger("import", "jsonl", str(file), env=env).out == (
        f"{count} events recorded, 0 were there already, 0 refused\n"
    )
    assert runledger("export", "jsonl", env=env).out.encode() == lines
    later = runledger(
        "export", "jsonl", "--after", str(count - 2), "-o", str(file), "--overwrite", "--json"
    )
    assert later.json == {"lines": 2, "damaged": 0, "file": str(file)}
    assert later.err == ""


def test_runs_that_meet_a_condition_go_out_and_come_in(
    runledger: Command, runs: Path, tmp_path: Path
) -> None:
    where = "error_type = 'Boom' OR num_steps > 0"
    file = tmp_path / "some.jsonl"
    assert runledger("export", "jsonl", "--where", where, "--output", str(file)).code == 0
    listed = ("runs", "list", "--json", "--where")
    expected = runledger(*listed, where).json
    assert 0 < len(expected) < len(runledger("runs", "list", "--json").json)

    other = (
        "--store",
        f"sqlite:///{tmp_path}/other.db",
        "--read-models",
        f"{tmp_path}/other.duckdb",
    )
    assert runledger("import", "jsonl", str(file), *other).code == 0
    found = runledger(*listed, "true", *other).json
    assert [run["run_id"] for run in found] == [run["run_id"] for run in expected]
    agents = runledger("agents", "--json", *other).json
    assert {agent["agent_id"] for agent in agents} == {run["agent_id"] for run in expected}

    runledger("views", "save", "some", where)
    viewed = runledger("export", "jsonl", "--view", "some", "--where", "true").out
    assert viewed.encode() == file.read_bytes()
    assert runledger("export", "jsonl", "--where", "false").out == ""
    refused = runledger("export", "jsonl", "--where", "statsu = 'failed'")
    assert (refused.code, refused.out) == (2, "")


def test_events_that_cannot_be_read_are_exported_and_told(
    runledger: Command, tmp_path: Path
) -> None:
    damaged = (
        EncodedEvent("not.a.topic", b"{}", None),
        EncodedEvent("run.messages_recorded", b"{\n}", b'{"blob" cut off'),
    )
    with closing(open_store(f"sqlite:///{tmp_path}/runs.db")) as store:
        store.append([(StreamWrite("odd", 0, damaged),)])
    runledger("import", "tau2", str(_results(tmp_path / "r.json", SIMULATION)))
    shown = runledger("export", "jsonl")
    assert shown.err == (
        "warning: 2 events are written as they are stored, and an import will refuse them; the "
        "first at position 1: event 'not.a.topic' at version 1 of 'odd': no such topic in the "
        "catalogue\n"
    )
    assert '"contents":{"blob" cut off}\n' in shown.out
    file = tmp_path / "events.jsonl"
    told = runledger("export", "jsonl", "-o", str(file), "--json")
    assert (told.code, told.json["damaged"], told.err) == (0, 2, shown.err)
    assert file.read_text() == shown.out
    whole = runledger("export", "jsonl", "--after", "2")
    assert (whole.code, whole.err) == (0, "")


def test_an_export_that_fails_leaves_no_file(runledger: Command, runs: Path) -> None:
    refused = runledger("export", "jsonl", "-o", str(runs / "nowhere" / "events.jsonl"))
    assert refused.code == 1
    assert refused.err.startswith("runledger: ")
    assert "expected a file in a folder that is there" in refused.err
    before = sorted(runs.iterdir())
    missing = {"RUNLEDGER_STORE": f"sqlite:///{runs}/missing.db"}
    assert runledger("export", "jsonl", "-o", str(runs / "e.jsonl"), env=missing).code == 1
    assert sorted(runs.iterdir()) == before


def test_a_reader_that_goes_away_is_no_traceback(runledger: Command, tmp_path: Path) -> None:
    path = _results(tmp_path / "r.json", *({**SIMULATION, "id": f"sim-{n}"} for n in range(1_000)))
    runledger("import", "tau2", str(path))
    exporting = subprocess.Popen(
        [sys.executable, "-m", "runledger.cli.main", "export", "jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            "RUNLEDGER_STORE": f"sqlite:///{tmp_path}/runs.db",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
    )
    assert exporting.stdout is not None
    assert exporting.stderr is not None
    exporting.stdout.read(10)
    exporting.stdout.close()
    said = exporting.stderr.read()
    exporting.stderr.close()
    exporting.wait()
    assert b"Traceback" not in said


def test_auto_says_what_it_recognised(runledger: Command, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    _results(folder / "r.json", SIMULATION)
    (folder / "notes.json").write_text('{"a": 1}')
    found = runledger("import", "auto", str(folder))
    assert found.code == 0
    assert found.err == "recognised: tau2: 1 files\nnot recognised: 1 files\n"
    assert found.out.startswith("tau2: 1 runs recorded (3 events)")
    named = runledger("import", "auto", str(folder / "notes.json"), "--json")
    assert named.code == 1
    assert named.json["formats"] == {}
    assert "expected a file of claude-code, codex, pi" in named.json["refusals"][0]["reason"]
