"""A tau2-bench result file: the common facts of its simulations, and the simulations one by one."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from runledger.errors import ImportFailed, InvalidArgument
from runledger.ids import check_id
from runledger.importers.foreign import Foreign
from runledger.importers.json_stream import JsonStream
from runledger.importers.source_file import SourceFile, opened

_DEFAULT_IMPLEMENTATION: Final = "llm_agent"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._:@-]+")
_NAME_LIMIT: Final = 100


class Experiment(NamedTuple):
    """The common facts of a file's simulations; `file` is its name without `.gz`."""

    file: str
    domain: str
    agent_model: str | None
    agent_implementation: str | None
    user_model: str | None
    user_implementation: str | None
    git_commit: str | None

    @property
    def agent_id(self) -> str:
        """The agent's id: its domain, its model, and its implementation unless it is the usual
        one."""
        parts = ["tau2", self.domain, self.agent_model or "unknown"]
        if self.agent_implementation not in (None, _DEFAULT_IMPLEMENTATION):
            parts.append(self.agent_implementation)
        name = _UNSAFE.sub("-", "-".join(map(str, parts)))
        return check_id("agent", f"agent-{name[:_NAME_LIMIT]}")


def experiment(info: Any, path: Path) -> Experiment:
    """Return the facts in `info`; InvalidArgument if agent, user or domain are missing."""
    if not isinstance(info, dict):
        raise InvalidArgument(f"info: expected an object, found {info!r:.80}")
    whole = Foreign(info, "info")
    agent, user = whole.object("agent_info"), whole.object("user_info")
    environment = whole.object("environment_info")
    domain = environment.text("domain_name") if environment else None
    if agent is None or domain is None:
        raise InvalidArgument("info: expected agent_info and environment_info.domain_name")
    return Experiment(
        path.name.removesuffix(".gz"),
        domain,
        agent.text("llm"),
        agent.text("implementation"),
        user.text("llm") if user else None,
        user.text("implementation") if user else None,
        whole.text("git_commit"),
    )


def told_beside(top: Mapping[str, Any], path: Path) -> Experiment:
    """Return the common facts of simulations in a file without `info`.

    Raises:
        ImportFailed: if it does not name a domain.
    """
    whole = Foreign(top)
    domain = whole.text("domain")
    if domain is None:
        raise ImportFailed(
            "expected an object with `info` and `simulations`, or with `domain`, `agent` and "
            "`model` in the place of `info`"
        )
    names = (whole.text("model"), whole.text("agent"), whole.text("user_model"))
    return Experiment(path.name.removesuffix(".gz"), domain, *names, None, whole.text("git_commit"))


def about_folder(path: Path) -> Experiment:
    """Return the common facts in a folder's `results.json` for the simulations beside it."""
    top: dict[str, Any] = {}
    with opened(path) as source:
        json = JsonStream(source.stream)
        for key in json.members():
            value = json.value()
            if key == "info" or isinstance(value, str):
                top[key] = value
    return told_beside(top, path) if top.get("info") is None else experiment(top["info"], path)


def folder_of(path: Path) -> Path | None:
    """Return the folder of a result that has a file for each simulation, from it or either file."""
    if path.is_dir():
        folder = path
    elif path.name == "results.json":
        folder = path.parent
    elif path.parent.name == "simulations":
        folder = path.parent.parent
    else:
        return None
    there = (folder / "results.json").is_file() and (folder / "simulations").is_dir()
    return folder if there else None


def simulations(path: Path, source: SourceFile) -> Iterator[tuple[Experiment, Any]]:
    """Yield the simulations of a file, one in memory at a time if `info` stands before them.

    Simulations that were yielded before an error are valid.

    Raises:
        ImportFailed: if the file is not a result file, or stops being one.
    """
    json = JsonStream(source.stream)
    about: Experiment | None = None
    waiting: list[Any] = []
    top: dict[str, Any] = {}
    found = False
    for key in json.members():
        if key == "info":
            info = json.value()
            about = None if info is None else experiment(info, path)
        elif key == "simulations":
            found = True
            for simulation in json.elements():
                if about is None:
                    waiting.append(simulation)
                else:
                    yield about, simulation
        elif isinstance(value := json.value(), str):
            top[key] = value
    if not found:
        raise ImportFailed("expected an object with `info` and `simulations`")
    if about is None:
        about = told_beside(top, path)
    for simulation in waiting:
        yield about, simulation
