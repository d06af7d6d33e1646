"""Export and import: the same log, in the same order, on every kind of store; never twice."""

import asyncio
import gzip
import json
import random
from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from runledger import RunLedger
from runledger.events import StepRecorded
from runledger.ids import new_id
from runledger.importers.event_lines import importer as event_import
from runledger.importers.event_lines.exporter import export_lines
from runledger.importers.event_lines.importer import EventImport
from runledger.importers.report import ImportReport
from runledger.messages import Base64Image, ImageContent, Message, ToolReturn
from runledger.store import Store, open_store
from runledger.store.codec import encode
from runledger.store.protocol import EncodedEvent, StreamWrite

pytestmark = pytest.mark.slow

PIXELS = b"\x89PNG pixels"
DIGEST = sha256(PIXELS).hexdigest()


async def interleaved(url: str, runs: int = 12) -> None:
    """Record runs whose events lie between each other's, with an image in one of them."""
    rng = random.Random(7)
    async with RunLedger.open(url) as ledger:
        ids = [new_id("run") for _ in range(runs)]
        for number, run_id in enumerate(ids):
            conversation = f"conv-{number}" if number % 3 == 0 else None
            await ledger.create_run(
                f"agent-{number % 3}",
                run_id=run_id,
                conversation_id=conversation and f"{conversation}-{number % 3}",
                hold_conversation=conversation is not None,
                metadata={"größe": 1.5e300, "n": None, "text": 'a "quoted" \n line'},
            )
        for _ in range(5 * runs):
            await ledger.record_step(
                rng.choice(ids),
                provider="openai",
                model="gpt-4.1",
                prompt_tokens=5,
                messages=[{"role": "assistant", "content": "stream\u2028separator"}],
            )
        for run_id in ids[::2]:
            await ledger.complete_run(run_id)
        await ledger.save_view("failed", "status = 'failed'")
        await ledger.remove_view("failed")
        image = Base64Image(data=b64encode(PIXELS).decode())
        returned = ToolReturn(tool_call_id="c", func_response=[ImageContent(source=image)])
        for run_id in ids[:2]:
            message = Message(
                id=new_id("message"), role="tool", tool_call_id="c", tool_returns=[returned]
            )
            await ledger.record_messages(run_id, [message])


def exported(url: str) -> list[bytes]:
    store = open_store(url, create=False)
    try:
        return list(export_lines(store))
    finally:
        store.close()


def bring(url: str, *paths: Path) -> ImportReport:
    async def imported() -> ImportReport:
        async with RunLedger.open(url) as ledger:
            return await EventImport(ledger.store, ledger.handler).run(paths)

    return asyncio.run(imported())


def write(path: Path, lines: Sequence[bytes]) -> Path:
    text = b"".join(lines)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.fixture
def source(tmp_path: Path) -> list[bytes]:
    """The lines of a log in another store."""
    url = f"sqlite:///{tmp_path}/source.db"
    asyncio.run(interleaved(url))
    return exported(url)


@pytest.mark.parametrize("chunk", [1, 7, 4_000])
def test_the_round_trip_keeps_every_byte_and_position(
    store_url: str, source: list[bytes], tmp_path: Path, monkeypatch, chunk: int
) -> None:
    monkeypatch.setattr(event_import, "CHUNK_EVENTS", chunk)
    report = bring(store_url, write(tmp_path / "events.jsonl.gz", source))
    events = [line for line in source if b'"position"' in line]
    assert (report.recorded, report.refused) == (len(events), 0)
    assert exported(store_url) == source


def test_blobs_stand_before_the_first_event_that_shows_them(source: list[bytes]) -> None:
    blobs = [n for n, line in enumerate(source) if line.startswith(b'{"blob"')]
    shown = [n for n, line in enumerate(source) if b'"type":"blob"' in line]
    assert len(blobs) == 1
    assert len(shown) == 2
    assert blobs[0] < shown[0]


def test_an_imported_log_is_a_ledger(store_url: str, source: list[bytes], tmp_path: Path) -> None:
    bring(store_url, write(tmp_path / "events.jsonl", source))

    async def check() -> None:
        async with RunLedger.open(store_url, tmp_path / "runs.duckdb") as ledger:
            runs = await ledger.list_runs()
            assert len(runs) == 12
            assert sum(run.num_steps for run in runs) == 60
            assert ledger.store.get_blob(DIGEST) == ("image/png", PIXELS)
            running = [run for run in runs if run.status == "running"]
            await ledger.complete_run(running[0].run_id)
            for run in runs[1:]:
                assert await ledger.get_run_by_id(run.run_id) is not None

    asyncio.run(check())


@pytest.mark.parametrize("chunk", [5, 4_000])
def test_importing_again_changes_nothing(
    store_url: str, source: list[bytes], tmp_path: Path, monkeypatch, chunk: int
) -> None:
    monkeypatch.setattr(event_import, "CHUNK_EVENTS", chunk)
    path = write(tmp_path / "events.jsonl", source)
    first = bring(store_url, path)
    again = bring(store_url, path, path)
    assert (again.recorded, again.unchanged, again.refused) == (0, 2 * first.recorded, 0)
    assert exported(store_url) == source


def without_positions(lines: list[bytes]) -> list[dict[str, Any]]:
    return [{k: v for k, v in json.loads(line).items() if k != "position"} for line in lines]


@pytest.mark.parametrize("chunk", [5, 4_000])
def test_an_import_that_was_cut_goes_on_where_it_ended(
    store_url: str, source: list[bytes], tmp_path: Path, monkeypatch, chunk: int
) -> None:
    monkeypatch.setattr(event_import, "CHUNK_EVENTS", chunk)
    half = bring(store_url, write(tmp_path / "half.jsonl", source[: len(source) // 2]))
    rest = bring(store_url, write(tmp_path / "whole.jsonl", source))
    assert rest.unchanged == half.recorded > 0
    assert rest.refused == 0
    # An append that is refused may leave a gap between positions, never change their order.
    assert without_positions(exported(store_url)) == without_positions(source)


def test_an_event_that_differs_is_refused_with_what_follows_it(
    store_url: str, source: list[bytes], tmp_path: Path
) -> None:
    events = [line for line in source if line.startswith(b'{"position"')]
    parsed = [json.loads(line) for line in events]
    victim = next(row["stream"] for row in parsed if row["version"] == 4)
    places = [n for n, row in enumerate(parsed) if row["stream"] == victim]
    bring(store_url, write(tmp_path / "first.jsonl", [events[n] for n in places[:2]]))
    changed = list(events)
    changed[places[1]] = events[places[1]].replace(b'"event_id":"', b'"event_id":"x', 1)
    path = write(tmp_path / "changed.jsonl", changed)
    report = bring(store_url, path)
    assert report.unchanged == 1
    assert [place for place, _ in report.refusals] == [
        f"{path}: line {n + 1:,}" for n in places[1:]
    ]
    assert "recorded before with other content" in report.refusals[0].reason
    assert "an event before it in its stream was refused" in report.refusals[1].reason
    assert report.recorded == len(events) - len(places)


def test_bad_lines_are_refused_and_the_rest_goes_in(
    store_url: str, source: list[bytes], tmp_path: Path
) -> None:
    events = [line for line in source if line.startswith(b'{"position"')]
    streams = [json.loads(line)["stream"] for line in events]
    lost = max(n for n, stream in enumerate(streams) if streams.count(stream) > 2)
    lines = [b"nothing\n", *events[:lost], b"\n", *events[lost + 1 :]]
    path = write(tmp_path / "events.jsonl", lines)
    report = bring(store_url, path)
    after = streams[lost + 1 :].count(streams[lost])
    assert (report.recorded, report.refused) == (len(events) - 1 - after, 1 + after)
    assert report.refusals[0].place == f"{path}: line 1"
    assert "not JSON" in report.refusals[0].reason


def test_a_gap_is_told_with_the_version_that_was_expected(
    store_url: str, source: list[bytes], tmp_path: Path
) -> None:
    events = [line for line in source if line.startswith(b'{"position"')]
    victim = next(row["stream"] for row in map(json.loads, events) if row["version"] == 5)
    lines = [line for line in events if json.loads(line)["stream"] == victim]
    report = bring(store_url, write(tmp_path / "gap.jsonl", [*lines[:2], *lines[3:]]))
    assert report.recorded == 2
    assert "version: expected 3, found 4" in report.refusals[0].reason


def test_a_file_that_is_cut_short_gives_what_it_has(
    store_url: str, source: list[bytes], tmp_path: Path
) -> None:
    whole = write(tmp_path / "events.jsonl.gz", source).read_bytes()
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    report = bring(store_url, path, tmp_path / "nowhere.jsonl")
    assert 0 < report.recorded < len(source)
    assert any("damaged" in reason for _, reason in report.refusals)
    assert "No such file" in report.refusals[-1].reason
    assert exported(store_url) == source[: len(exported(store_url))]


def test_an_event_of_an_older_revision_stays_as_it_was_stored(
    open_stores: Callable[[], Store], store_url: str, source: list[bytes], tmp_path: Path
) -> None:
    store = open_stores()
    created = next(row for row in map(json.loads, source) if row.get("topic") == "run.created")
    line = next(n for n in source if n.startswith(b'{"position":%d,' % created["position"]))
    bring(store_url, write(tmp_path / "created.jsonl", [line]))
    facts = {
        key: created["facts"][key]
        for key in ("event_id", "occurred_at", "recorded_at", "organization", "agent_id", "born")
    }
    old = {"revision": 1, **facts, "step_id": new_id("step"), "prompt_tokens": 10}
    encoded = EncodedEvent("run.step_recorded", json.dumps(old).encode(), None)
    store.append([(StreamWrite(created["stream"], 1, (encoded,)),)])
    lines = exported(store_url)
    other = f"sqlite:///{tmp_path}/other.db"
    bring(other, write(tmp_path / "old.jsonl", lines))
    assert exported(other) == lines
    copy = open_store(other)
    (step,) = copy.read_stream(created["stream"], 1)
    copy.close()
    assert isinstance(step.event, StepRecorded)
    assert step.event.fresh_input_tokens == 10
    assert encode(step.event).facts != encoded.facts
