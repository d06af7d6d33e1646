"""The docs name everything that the code has, and everything that they point to exists."""

import inspect
import re
from pathlib import Path

import pytest
from documents import PAGES, ROOT

from projections.read_models.catalog import discover
from runledger import Operator, RunLedger, errors
from runledger.callbacks import CallbackSettings
from runledger.events import CATALOGUE
from runledger.handles import RunHandle, StepHandle
from runledger.store.protocol import Store
from scripts.write_reference import PAGES as WRITTEN
from scripts.write_reference import page

DOCS = ROOT / "docs"


def _all_docs() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in PAGES)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    """If this fails: python -m scripts.write_reference."""
    assert (DOCS / name).read_text(encoding="utf-8") == page(name)


def test_every_topic_read_model_and_error_has_its_place() -> None:
    events = (DOCS / "events.md").read_text(encoding="utf-8")
    for topic in CATALOGUE:
        assert f"### `{topic}`" in events
    tables = (DOCS / "read_models.md").read_text(encoding="utf-8")
    for model in discover():
        assert f"## {model.name}\n" in tables
    faults = (DOCS / "errors.md").read_text(encoding="utf-8")
    for name, error in vars(errors).items():
        if inspect.isclass(error) and issubclass(error, errors.LedgerError):
            assert f"| `{name}` |" in faults


def test_every_column_is_written_down() -> None:
    tables = (DOCS / "read_models.md").read_text(encoding="utf-8")
    for model in discover():
        for column in re.findall(r"^    (\w+) [A-Z]", model.schema, re.MULTILINE):
            assert f"| `{column}` |" in tables


def test_every_method_is_named() -> None:
    docs = _all_docs()
    for name in dir(RunLedger):
        if not name.startswith("_"):
            assert re.search(rf"\b{name}\b", docs), name


def test_every_setting_is_named() -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    for parameter in inspect.signature(RunLedger.open).parameters:
        if parameter != "cls":
            assert f"`{parameter}`" in text, parameter
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("runledger", "projections")
        for path in (ROOT / folder).rglob("*.py")
    )
    for variable in set(re.findall(r'"(RUNLEDGER_[A-Z_]*[A-Z])"', source)):
        assert variable in text, variable
    callbacks = (DOCS / "callbacks.md").read_text(encoding="utf-8") + text
    for name in re.findall(r'_variable\("(\w+)"\)', inspect.getsource(CallbackSettings)):
        assert f"RUNLEDGER_CALLBACK_{name}" in callbacks


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for path in DOCS.rglob("*.md"):
        if path.name != "index.md":
            assert f"({path.relative_to(DOCS)})" in index, path


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), target


def test_every_decision_has_a_number_and_a_status() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(path.name[:4])}. ")
        assert re.search(r"^Status: (accepted|replaced|proposed)", text, re.MULTILINE)


def test_every_dependency_says_why() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("## Dependencies") :]
    locked = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    for requirement in project["dependencies"]:
        name = re.match(r"[\w-]+", requirement)
        assert name is not None
        short = name[0].removeprefix("adbc-driver-")
        assert short in table, name[0]
        assert re.search(rf"^{name[0]}==", locked, re.MULTILINE), name[0]


def test_the_store_protocol_is_described_where_it_is() -> None:
    for name, member in vars(Store).items():
        if not name.startswith("_") and callable(member):
            assert inspect.getdoc(member), name


@pytest.mark.parametrize("whole", [RunLedger, Operator, RunHandle, StepHandle])
def test_every_parameter_of_a_public_method_is_explained(whole: type) -> None:
    unexplained = []
    for name, method in inspect.getmembers(whole, callable):
        if name.startswith("_"):
            continue
        told = inspect.getdoc(inspect.unwrap(method)) or ""
        unexplained += [
            f"{name}: {parameter}"
            for parameter in inspect.signature(method).parameters
            if parameter not in {"self", "cls"}
            and not re.search(rf"^\s+{parameter}:", told, re.MULTILINE)
        ]
    assert unexplained == []


def test_the_files_that_the_architecture_points_to_are_there() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    paths = {path for line in tables for path in re.findall(r"`([\w/]+(?:\.\w+|/))`", line)}
    assert len(paths) > 40
    missing = [
        path
        for path in paths
        if not (ROOT / path).exists() and not (ROOT / "runledger" / path).exists()
    ]
    assert missing == []


def test_every_package_stands_in_the_architecture() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    packages = [
        folder.relative_to(ROOT).as_posix()
        for root in ("runledger", "projections")
        for folder in (ROOT / root).iterdir()
        if (folder / "__init__.py").exists()
    ]
    known = ("runledger/api_messages", "runledger/tool_returns", "runledger/outbound")
    assert [name for name in packages if f"`{name}/`" not in text and name not in known] == []
