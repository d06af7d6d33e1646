"""Result files of tau2-bench in the shapes that its versions and its users write."""

import json
from pathlib import Path

import pytest
from tau2_results import info, message, results, simulation
from test_tau2_refusals import bring

from runledger.importers.foreign import Foreign
from runledger.importers.tau2.simulation import _counts

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

COUNTED = [message("assistant", 1, content="Hi", usage={"input_tokens": 50.0, "output_tokens": 7})]


def dumped(path: Path, content: object, start: str = "") -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(start + json.dumps(content), encoding="utf-8")
    return path


def test_other_names_of_counts_are_mapped(tmp_path: Path) -> None:
    path = dumped(tmp_path / "r.json", results(simulation(messages=COUNTED)), "\ufeff")
    report, runs = bring(tmp_path, path)
    assert (report.recorded, report.refused, runs) == (1, 0, 1)
    told = Foreign(COUNTED[0]).object("usage")
    assert told is not None
    assert _counts(told) == {"prompt_tokens": 50, "completion_tokens": 7}


def test_a_file_without_info_is_imported_from_what_is_there(tmp_path: Path) -> None:
    one = simulation(messages=COUNTED, info=None, mode=None, ticks=None)
    document = {
        "domain": "airline",
        "agent": "llm_agent",
        "model": "gpt-4.1",
        "total_tasks": 1,
        "passed": 1,
        "pass_rate": 1.0,
        "simulations": [one],
    }
    report, runs = bring(tmp_path, dumped(tmp_path / "r.json", document))
    assert (report.recorded, report.refused, runs) == (1, 0, 1)


@pytest.mark.parametrize("named", [".", "results.json", "simulations/b.json"])
def test_a_folder_is_imported_from_itself_or_either_file(tmp_path: Path, named: str) -> None:
    folder = tmp_path / "run"
    dumped(folder / "results.json", {"info": info(), "tasks": []})
    for name in ("a", "b"):
        dumped(folder / "simulations" / f"{name}.json", simulation(messages=COUNTED))
    report, runs = bring(tmp_path, folder / named)
    expected = 1 if named.startswith("simulations") else 2
    assert (report.recorded, report.refused, runs) == (expected, 0, expected)
