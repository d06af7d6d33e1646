"""The ledger in the kernel of a notebook, with nothing installed that draws there.

`make test-notebook` installs the kernel and runs this; `make test` leaves it out without one.
"""

import json
from pathlib import Path
from typing import Any

import pytest

jupyter_client = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipykernel")

CELL = """
from runledger import RunLedger
async with RunLedger.open("sqlite:///runs.db", "runs.duckdb") as ledger:
    async with ledger.run(agent_id="agent-a") as run:
        async with run.step(model="m") as step:
            step.usage(prompt_tokens=5)
    (found,) = await ledger.list_runs()
    print(found.status, found.total_tokens)
    print((await ledger.operator.replay(switch=True)).live.state)
"""


@pytest.mark.notebook
def test_a_cell_records_a_run_and_lists_it(tmp_path: Any) -> None:
    manager, client = jupyter_client.start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        content = message["content"]
        said.extend(content[key] for key in ("text", "ename", "evalue") if key in content)

    try:
        reply = client.execute_interactive(CELL, timeout=300, output_hook=hear)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", said
    assert "".join(said).split() == ["completed", "5", "live"]


@pytest.mark.notebook
def test_the_tutorial_shows_tables_and_time_lines(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    tutorial = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"
    book = nbformat.reads(tutorial.read_text(encoding="utf-8"), as_version=4)
    nbformat.validate(book)
    done = client.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [
        output["data"]["text/html"]
        for cell in done.cells
        for output in cell.get("outputs", ())
        if "text/html" in output.get("data", {})
    ]
    assert len(shown) >= 6
    assert sum("<th>time</th>" in table for table in shown) >= 3
    assert json.loads(nbformat.writes(done))["cells"][-1]["outputs"] == []
