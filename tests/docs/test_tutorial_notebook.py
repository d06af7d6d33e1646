"""The cells of the tutorial run one after the other; `make test-notebook` runs them in a kernel."""

import json
from pathlib import Path

import pytest
from documents import ROOT, run_program

pytestmark = pytest.mark.slow

_TUTORIAL = ROOT / "docs" / "tutorial.ipynb"


def test_its_cells_run_and_are_stored_without_outputs(tmp_path: Path) -> None:
    cells = json.loads(_TUTORIAL.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    run_program("\n".join("".join(cell["source"]) for cell in code), tmp_path)
