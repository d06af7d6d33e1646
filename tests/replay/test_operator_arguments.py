"""Wrong arguments of an operator's calls are refused before anything is built, written or dropped."""

import asyncio
from pathlib import Path
from typing import Any

from runledger import RunLedger
from runledger.errors import InvalidArgument

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("verify", {"sample": "x"}, "sample: expected 1 or more, found 'x'"),
    ("verify", {"sample": True}, "sample: expected 1 or more, found True"),
    ("verify", {"sample": 1.5}, "sample: expected 1 or more, found 1.5"),
    ("verify", {"sample": 0}, "sample: expected 1 or more, found 0"),
    ("verify", {"sample": 2**64}, f"sample: expected {2**63 - 1} at most, found a larger number"),
    ("replay", {"limit": "x"}, "limit: expected 0 or more, found 'x'"),
    ("replay", {"limit": None}, "limit: expected 0 or more, found None"),
    ("replay", {"explain": -1}, "explain: expected 0 or more, found -1"),
    ("replay", {"keep": "2"}, "keep: expected 0 or more, found '2'"),
    ("replay", {"switch": "no"}, "switch: expected True or False, found 'no'"),
    ("replay", {"fresh": 1}, "fresh: expected True or False, found 1"),
    ("replay", {"only_changed": None}, "only_changed: expected True or False, found None"),
    ("replay", {"max_changed": 0.1}, "max_changed: expected text, found 0.1"),
    ("replay", {"fail_if_changed": "runs"}, "fail_if_changed: expected a list, found 'runs'"),
    ("replay", {"fail_if_changed": [5]}, "fail_if_changed: expected a list of texts, found 5 in"),
    ("replay", {"explain_runs": [5]}, "explain_runs: expected a list of texts, found 5 in it"),
    ("replay", {"out": 5}, "out: expected a path, found 5"),
    ("replay", {"source": "a"}, "source: expected an archived log, found 'a'"),
    ("replay", {"selection": "a"}, "selection: expected a Selection, found 'a'"),
    ("generation", {"number": "x"}, "number: expected 0 or more, found 'x'"),
    ("compare_generation", {"number": 1.0}, "number: expected 0 or more, found 1.0"),
    ("compare_generation", {"number": 1, "limit": "x"}, "limit: expected 0 or more, found 'x'"),
    ("compare_generation", {"number": 1, "out": 5}, "out: expected a path, found 5"),
    ("switch_generation", {"number": [1]}, "number: expected 0 or more, found [1]"),
    ("drop_generation", {"number": None}, "number: expected 0 or more, found None"),
    ("publish", {"folder": None}, "folder: expected a path, found None"),
    ("export_parquet", {"folder": 5}, "folder: expected a path, found 5"),
    ("archive", {"folder": 5}, "folder: expected a path, found 5"),
    ("archive", {"folder": "a", "segment_events": 0}, "segment_events: expected 1 or more, found"),
    ("verify_archive", {"folder": 5}, "folder: expected a path, found 5"),
    ("retry_parked", {"streams": 5}, "streams: expected a list, found 5"),
]


def test_an_operator_s_call_with_a_wrong_value_is_refused_by_name(tmp_path: Path) -> None:
    async def tried() -> list[str]:
        url = f"sqlite:///{tmp_path}/runs.db"
        async with RunLedger.open(url, tmp_path / "runs.duckdb") as ledger:
            await ledger.create_run("agent-a")
            await ledger.project()
            before = sorted(tmp_path.rglob("*"))
            said = [await _said(ledger, call, given) for call, given, _ in REFUSED]
            assert sorted(tmp_path.rglob("*")) == before
            return said

    said = asyncio.run(tried())
    wrong = [(s, e) for s, (*_, e) in zip(said, REFUSED, strict=True) if not s.startswith(e)]
    assert wrong == []


async def _said(ledger: RunLedger, call: str, given: dict[str, Any]) -> str:
    try:
        await getattr(ledger, call)(**given)
    except InvalidArgument as e:
        return str(e)
    except Exception as e:
        return f"{call}: {e!r}"
    return f"{call}: not refused"
