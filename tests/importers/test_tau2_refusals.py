"""What of a tau2 file cannot go in is told with its place and reason; the rest goes in."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tau2_results import message, results, simulation, usage, write

from runledger import RunLedger
from runledger.importers.report import ImportReport
from runledger.importers.tau2.importer import Tau2Import
from runledger.run import Actor

pytestmark = pytest.mark.slow


def bring(folder: Path, *paths: Path) -> tuple[ImportReport, int]:
    """Import into a fresh ledger; return the report and the number of runs that are there."""

    async def imported() -> tuple[ImportReport, int]:
        async with RunLedger.open(f"sqlite:///{folder}/r.db", folder / "r.duckdb") as ledger:
            report = await Tau2Import(ledger.store, ledger.handler, Actor()).run(paths)
            return report, len(await ledger.list_runs())

    return asyncio.run(imported())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"termination_reason": "bored"}, "termination_reason: expected user_stop"),
        ({"termination_reason": None}, "termination_reason: expected"),
        ({"duration": -1}, "duration: expected seconds of 0 or more, found -1"),
        ({"duration": "long"}, "duration: expected seconds of 0 or more, found 'long'"),
        ({"duration": "nan"}, "duration: expected seconds of 0 or more, found 'nan'"),
        ({"duration": "-1"}, "duration: expected seconds of 0 or more, found '-1'"),
        ({"end_time": None, "duration": None, "messages": []}, "end_time: expected a time, a dur"),
        ({"start_time": "yesterday"}, "start_time: expected a time in ISO 8601"),
        ({"start_time": None, "messages": []}, "start_time: expected a time, or a message"),
        ({"messages": {}}, "messages: expected a list"),
        ({"messages": [], "ticks": [{"tick_id": 0}]}, "messages: expected messages beside the"),
        ({"messages": [7]}, "messages[0]: expected an object, found 7"),
        ({"messages": [message("robot")]}, "messages[0].role: expected system, user"),
        ({"messages": [message("user", content=[1])]}, "messages[0].content: expected text"),
        ({"messages": [message("user", usage="many")]}, "messages[0].usage: expected an object"),
        ({"messages": [message("user", usage=usage(-5, 1))]}, "found -5"),
        ({"messages": [message("user", usage=usage(1.5, 1))]}, "found 1.5"),  # type: ignore[arg-type]
        ({"messages": [message("user", timestamp=12)]}, "messages[0].timestamp: expected"),
        ({"messages": [message("user", tool_calls=[{"id": "c"}])]}, "tool_calls[0].name"),
        ({"messages": [message("tool", id="c", error="yes")]}, "messages[0].error"),
    ],
)
def test_a_wrong_simulation_is_refused_and_its_neighbours_go_in(
    tmp_path: Path, fault: dict[str, Any], reason: str
) -> None:
    wrong = simulation(**fault)
    path = write(tmp_path / "r.json", results(simulation(), wrong, simulation()))
    report, runs = bring(tmp_path, path)
    assert (report.recorded, report.refused, runs) == (2, 1, 2)
    assert report.refusals[0].place == f"{path}: simulations[1] ({wrong['id']})"
    assert reason in report.refusals[0].reason


def test_something_that_is_no_simulation_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", results(simulation(), "nothing"))
    report, runs = bring(tmp_path, path)
    assert (runs, report.refusals) == (
        1,
        [(f"{path}: simulations[1]", "expected an object, found 'nothing'")],
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file ends early"),
        ("[]", "expected {"),
        ('{"info": {', "Expecting property name"),
        ("{}", "expected an object with `info` and `simulations`"),
        ('{"simulations": []}', "expected an object with `info` and `simulations`"),
        ('{"info": 1, "simulations": []}', "info: expected an object"),
        ('{"info": {}, "simulations": []}', "expected agent_info and environment_info"),
        ("\xff\xfe", "codec can't decode"),
    ],
)
def test_a_file_that_is_no_result_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    broken = tmp_path / "broken.json"
    broken.write_bytes(text.encode("latin-1"))
    good = write(tmp_path / "good.json", results(simulation()))
    report, runs = bring(tmp_path, broken, good)
    assert (report.recorded, report.refused, runs) == (1, 1, 1)
    assert report.refusals[0].place == str(broken)
    assert reason in report.refusals[0].reason


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    report, _ = bring(tmp_path, tmp_path / "nowhere.json", tmp_path)
    assert [place for place, _ in report.refusals] == [
        str(tmp_path / "nowhere.json"),
        str(tmp_path),
    ]
    assert "No such file" in report.refusals[0].reason


def test_what_stands_before_a_fault_in_the_file_goes_in(tmp_path: Path) -> None:
    text = json.dumps(results(*(simulation() for _ in range(5))))
    path = tmp_path / "cut.json"
    path.write_text(text[: text.rindex('"termination_reason"')])
    report, runs = bring(tmp_path, path)
    assert (report.recorded, report.refused, runs) == (4, 1, 4)
    assert "character" in report.refusals[0].reason


def test_a_gzip_file_that_is_cut_short_gives_what_it_has(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps(results(*(simulation() for _ in range(50)))).encode())
    path = tmp_path / "cut.json.gz"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    report, runs = bring(tmp_path, path)
    assert 0 < runs == report.recorded < 50
    assert report.refused == 1
    assert "damaged" in report.refusals[0].reason


def test_info_may_stand_after_the_simulations(tmp_path: Path) -> None:
    document = results(simulation())
    about = document.pop("info")
    path = write(tmp_path / "r.json", {**document, "info": about})
    report, runs = bring(tmp_path, path)
    assert (report.refused, runs) == (0, 1)


def test_a_store_that_fails_ends_the_import(tmp_path: Path) -> None:
    from runledger.errors import StoreUnavailable

    path = write(tmp_path / "r.json", results(simulation()))

    async def imported() -> None:
        async with RunLedger.open(f"sqlite:///{tmp_path}/r.db") as ledger:
            ledger.store.close()
            with pytest.raises(StoreUnavailable):
                await Tau2Import(ledger.store, ledger.handler, Actor()).run([path])

    asyncio.run(imported())
