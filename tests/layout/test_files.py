"""The shape of the source: names, sizes, and the name of the distribution."""

import ast
import re
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
SOURCES = [
    path for package in ("runledger", "projections") for path in (ROOT / package).rglob("*.py")
]


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_a_file_is_one_noun_and_short() -> None:
    assert {str(path) for path in SOURCES if lines(path) > 400} == set()
    assert {str(p) for p in SOURCES if "projections" in p.parts and lines(p) > 390} == set()
    assert {path.stem for path in SOURCES} & {"utils", "util", "common", "helpers"} == set()
    modules = [path for path in SOURCES if path.name != "__init__.py"]
    assert median(lines(path) for path in modules) <= 110


def test_the_index_name_of_another_project_is_never_installed() -> None:
    wrong = re.compile(r"pip install[^\n]*['\" ]runledger\b(?!-)")
    texts = [*SOURCES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found = [str(path) for path in texts if wrong.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_no_function_is_longer_than_60_lines_of_code() -> None:
    long = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                code = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if code > 60:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = code
    assert long == {}
