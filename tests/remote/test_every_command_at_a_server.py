"""Each command on the ledger of a server: it does what it does on the store, or says why not."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from running import RunningServer
from test_command_line import command

from runledger import Actor
from runledger.cli.at_a_server import REASONS
from runledger.cli.main import MODULES, app
from runledger.ids import new_id

pytestmark = pytest.mark.slow


class Place(NamedTuple):
    """A server, the id of a run on it that is open, and a folder of the test's own."""

    server: RunningServer
    run: str
    folder: Path


Words = Callable[[Place], tuple[str, ...]]

ANSWERED: dict[str, Words] = {
    "runs list": lambda _: ("--all",),
    "runs show": lambda at: (at.run, "--messages"),
    "runs cancel": lambda at: (at.run,),
    "runs delete": lambda at: (at.run, "--yes"),
    "usage": lambda _: (),
    "percentiles": lambda _: (),
    "prices list": lambda _: (),
    "prices show": lambda _: ("gpt-4.1",),
    "prices set": lambda _: ("openai", "gpt-4.1", "input=1.9"),
    "prices import": lambda at: (str(_price_file(at)),),
    "prices export": lambda _: (),
    "prices update": lambda _: (),
    "reprice": lambda _: ("--dry-run",),
    "agents": lambda _: (),
    "sql": lambda _: ("SELECT run_id, status FROM runs ORDER BY run_id",),
    "views list": lambda _: (),
    "views save": lambda _: ("failed", "status = 'failed'"),
    "views remove": lambda _: ("nothing",),
    "project": lambda _: (),
    "import jsonl": lambda at: (str(_exported(at)),),
    "export jsonl": lambda _: (),
    "export parquet": lambda at: (str(at.folder / "parquet"),),
    "follow": lambda _: ("--after", "0", "--limit", "1"),
    "expire": lambda _: ("--older-than", "1h", "--approvals"),
    "callbacks list": lambda _: (),
    "callbacks show": lambda at: (at.run,),
    "callbacks redeliver": lambda _: ("--failed",),
    "replay": lambda at: ("--fresh", "--out", str(at.folder / "differences.parquet")),
    "generations list": lambda _: (),
    "generations show": lambda at: (str(_numbers(at)[0]),),
    "generations compare": lambda at: (str(_built(at)),),
    "generations switch": lambda at: (str(_built(at)),),
    "generations drop": lambda at: (str(_built(at)),),
    "verify": lambda _: (),
    "parked list": lambda _: (),
    "parked retry": lambda _: (),
    "publish": lambda at: (str(at.folder / "published"),),
}
"""What works on a server's ledger, and with which words it is tried."""

REFUSED: dict[str, Words] = {
    "serve": lambda _: (),
    "keys create": lambda _: ("ada",),
    "keys list": lambda _: (),
    "keys revoke": lambda _: ("0aB1cD2e",),
    "doctor": lambda _: (),
    "migrate": lambda _: (),
    **{
        f"import {name}": lambda at: (str(at.folder),)
        for name in ("tau2", "claude-code", "codex", "pi", "langfuse", "otel", "inspect", "auto")
    },
    "watch claude-code": lambda at: ("--path", str(at.folder)),
    "otel status": lambda _: (),
    "otel explain": lambda _: ("0af7651916cd43dd8448eb211c80319c",),
    "otel reassemble": lambda _: (),
    "dispatch": lambda _: (),
    "archive": lambda at: (str(at.folder / "archive"),),
    "backup": lambda at: (str(at.folder / "backup"),),
    "restore": lambda at: (str(at.folder / "backup"),),
    "checkpoint write": lambda at: (str(at.folder), "--key", str(_key(at))),
    "prove": lambda at: (at.run, "--checkpoints", str(at.folder), "--key", f"{_key(at)}.pub"),
}
"""What needs the store, and says why."""

WITHOUT_A_LEDGER = {"completion", "demo", "mcp", "checkpoint new-key", "verify-proof"}
"""What makes a ledger of its own, or reads none; and mcp, which serves until its input ends."""


def _leaves(command: Any, words: str) -> Iterator[str]:
    if not getattr(command, "commands", None):
        yield words
    else:
        for name in command.commands:
            yield from _leaves(command.commands[name], f"{words} {name}")


def _all_commands() -> set[str]:
    root: Any = typer.main.get_group(app)
    return {leaf for name in MODULES for leaf in _leaves(root.commands[name], name)}


def _numbers(at: Place) -> list[int]:
    _, out, _ = command("--store", at.server.url, "generations", "list", "--json")
    return [one["number"] for one in json.loads(out)]


def _built(at: Place) -> int:
    """Return the number of a generation that is not live."""
    code, out, err = command("--store", at.server.url, "replay", "--fresh", "--json")
    assert code == 0, err
    return int(json.loads(out)["built"]["number"])


def _exported(at: Place) -> Path:
    file = at.folder / "events.jsonl.gz"
    code, _, err = command("--store", at.server.url, "export", "jsonl", "-o", str(file))
    assert code == 0, err
    return file


def _price_file(at: Place) -> Path:
    command("--store", at.server.url, "prices", "set", "openai", "gpt-4.1", "input=1.9")
    code, out, err = command("--store", at.server.url, "prices", "export")
    assert code == 0, err
    file = at.folder / "prices.csv"
    file.write_text(out, encoding="utf-8")
    return file


def _key(at: Place) -> Path:
    file = at.folder / "ledger.key"
    command("checkpoint", "new-key", str(file), "--name", "ledger.example/log")
    return file


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("shared")
    options = {"operations_folder": folder / "operations"}
    store = f"sqlite:///{folder}/runs.db"
    with RunningServer(store, folder / "runs.duckdb", services=lambda _: options) as server:
        yield server


@pytest.fixture
def at(shared: RunningServer, tmp_path: Path) -> Place:
    async def make() -> str:
        run = await shared.ledger.create_run("agent-a", callback_url="https://example.com/done")
        await shared.ledger.record_step(
            run.run_id, model="gpt", prompt_tokens=3, messages=[{"role": "user", "content": "hi"}]
        )
        return run.run_id

    return Place(shared, shared.do(make()), tmp_path)


def test_every_command_is_answered_or_refused() -> None:
    sets = (set(ANSWERED), set(REFUSED), WITHOUT_A_LEDGER)
    assert set().union(*sets) == _all_commands()
    assert sum(map(len, sets)) == len(_all_commands())
    assert set(REASONS) == {*REFUSED, "verify --log", "export jsonl --where"}


@pytest.mark.parametrize("words", ANSWERED)
def test_it_is_answered(words: str, at: Place) -> None:
    code, out, err = command("--store", at.server.url, *words.split(), *ANSWERED[words](at))
    assert code == 0, err
    if words not in ("callbacks redeliver", "parked list", "percentiles", "callbacks list"):
        assert out


@pytest.mark.parametrize("words", REFUSED)
def test_it_is_refused_with_its_reason(words: str, at: Place) -> None:
    code, _, err = command("--store", at.server.url, *words.split(), *REFUSED[words](at))
    assert code == 1, err
    assert "expected a store, as " in err
    assert REASONS[words].split()[0] in err
    assert sorted(path.name for path in at.folder.iterdir()) in (
        [],
        ["ledger.key", "ledger.key.pub"],
    )


def test_the_events_themselves_are_verified_where_the_store_is(at: Place) -> None:
    code, _, err = command("--store", at.server.url, "verify", "--log")
    assert (code, REASONS["verify --log"] in err) == (1, True)


def test_events_are_narrowed_where_the_store_is(at: Place) -> None:
    code, out, err = command("--store", at.server.url, "export", "jsonl", "--where", "true")
    assert (code, out, REASONS["export jsonl --where"] in err) == (1, "", True)


def test_what_is_asked_of_a_server_is_what_the_store_says(tmp_path: Path) -> None:
    store, read_models = f"sqlite:///{tmp_path}/runs.db", tmp_path / "runs.duckdb"
    asked = [
        ("runs", "list", "--all"),
        ("usage", "--by", "model"),
        ("sql", "SELECT run_id, status, prompt_tokens FROM runs ORDER BY run_id"),
        ("generations", "list"),
        ("generations", "show", "2"),
        ("generations", "compare", "2"),
        ("parked", "list"),
        ("verify",),
        ("views", "list"),
    ]
    options = {"operations_folder": tmp_path / "operations"}
    with RunningServer(store, read_models, services=lambda _: options) as server:

        async def make() -> None:
            for number in range(3):
                run = await server.ledger.create_run(f"agent-{number}")
                await server.ledger.record_step(run.run_id, model="gpt", prompt_tokens=number)
            await server.ledger.save_view("all", "true")
            await server.ledger.project()

        server.do(make())
        assert command("--store", server.url, "replay")[0] == 0
        there = [command("--store", server.url, *words, "--json") for words in asked]
        exported = tmp_path / "there.jsonl"
        done = command("--store", server.url, "export", "jsonl", "-o", str(exported))
        assert done[0] == 0, done
        files = tmp_path / "there"
        done = command("--store", server.url, "export", "parquet", str(files), "--json")
        assert done[0] == 0, done
        published = tmp_path / "published"
        done = command("--store", server.url, "publish", str(published))
        assert done[0] == 0, done
        # What is fetched does not stay at the server.
        assert not list((tmp_path / "operations").glob("*/*"))
    on_store = ("--store", store, "--read-models", str(read_models))
    for words, answer in zip(asked, there, strict=True):
        here = command(*on_store, *words, "--json")
        assert _plain(answer) == _plain(here), words
    command(*on_store, "export", "jsonl", "-o", str(tmp_path / "here.jsonl"))
    assert exported.read_bytes() == (tmp_path / "here.jsonl").read_bytes()
    command(*on_store, "export", "parquet", str(tmp_path / "here"))
    names = [sorted(p.relative_to(f) for p in f.rglob("*")) for f in (files, tmp_path / "here")]
    assert names[0] == names[1]
    copy = command("--store", store, "--read-models", str(published), "runs", "list", "--json")
    assert json.loads(copy[1]) == json.loads(command(*on_store, "runs", "list", "--json")[1])


def _plain(answer: tuple[int, str, str]) -> Any:
    """Return an answer without what each asking changes: the time that it took, and sizes."""
    code, out, err = answer
    assert code == 0, err
    return _without(json.loads(out))


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without(v) for k, v in value.items() if k not in ("seconds", "size")}
    return [_without(one) for one in value] if isinstance(value, list) else value


def test_another_organization_is_named_with_the_key_of_all(at: Place) -> None:
    url = at.server.url
    run = at.server.do(at.server.ledger.create_run("agent-b", actor=Actor("org-b")))
    code, out, err = command("--store", url, "--organization", "org-b", "runs", "list", "--json")
    assert code == 0, err
    assert [one["run_id"] for one in json.loads(out)] == [run.run_id]
    code, out, _ = command("--store", url, "--organization", "org-c", "runs", "show", run.run_id)
    assert code == 1
    code, _, err = command("--store", url, "runs", "show", new_id("run"))
    assert (code, "not found" in err) == (1, True)


def test_a_damaged_file_of_events_is_refused_by_its_lines(at: Place) -> None:
    file = at.folder / "events.jsonl"
    lines = _exported(at)
    file.write_bytes(gzip.decompress(lines.read_bytes()) + b"{}\n")
    code, out, err = command("--store", at.server.url, "import", "jsonl", str(file), "--json")
    told = json.loads(out)
    count = len(file.read_bytes().splitlines())
    assert (code, told["recorded"], told["refused"]) == (1, 0, 1), err
    assert told["unchanged"] == count - 1
    assert told["refusals"][0]["place"] == f"{file}: line {count:,}"
