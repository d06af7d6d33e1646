"""Long operations: one at a time, followed, cancelled, kept; their files are fetched by name."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import RunningServer

from runledger import RunLedger
from runledger.ids import derived_id
from runledger.importers.event_lines.exporter import export_lines
from runledger.server.keys import Keyring

Start = Callable[..., RunningServer]


@pytest.fixture
def operating(start: Start, tmp_path: Path) -> RunningServer:
    server = start(services=lambda _: {"operations_folder": tmp_path / "operations"})
    for _ in range(3):
        server.do(server.ledger.create_run("agent-a"))
    server.do(server.ledger.list_runs())
    return server


def _begin(server: RunningServer, kind: str, **arguments: Any) -> Any:
    with server.client() as client:
        return client.post("/api/v1/operations", json={"kind": kind, "arguments": arguments})


def _ended(server: RunningServer, address: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    with server.client() as client:
        while time.monotonic() < deadline:
            found: dict[str, Any] = client.get(address).json()
            if found["state"] != "running":
                return found
            time.sleep(0.05)
    raise AssertionError("the operation did not end")


def test_a_replay_is_begun_and_followed_and_switched_to(operating: RunningServer) -> None:
    begun = _begin(operating, "replay", fresh=True, out=True)
    assert begun.status_code == 202, begun.text
    address = begun.headers["location"]
    with operating.client() as client:
        followed = client.get(f"{address}/follow").text
        assert followed.endswith("event: end\ndata: {}\n\n")
        last = json.loads(followed.split("data: ")[-2].partition("\n")[0])
        done = _ended(operating, address)
        assert last["state"] == done["state"] == "done", done
        number = done["result"]["built"]["number"]
        assert done["events"] >= 3
        switched = _ended(operating, _begin(operating, "switch", number=number).headers["location"])
        assert switched["state"] == "done"
        listed = client.get("/api/v1/operations").json()
        assert [one["kind"] for one in listed] == ["switch", "replay"]


def test_verify_compare_and_export(operating: RunningServer) -> None:
    verified = _ended(operating, _begin(operating, "verify").headers["location"])
    assert verified["result"]["problems"] == []
    exported = _ended(operating, _begin(operating, "export").headers["location"])
    assert exported["state"] == "done", exported
    name = next(name for name in exported["files"] if "runs" in name)
    with operating.client() as client:
        address = f"/api/v1/operations/{exported['id']}/files"
        file = client.get(f"{address}/{name.replace('/', '%2f')}")
        assert file.content.startswith(b"PAR1")
        for wrong in ("..%2f..%2fruns.db", "%2e%2e", "nothing", "..%2foperation.json"):
            assert client.get(f"{address}/{wrong}").status_code == 404
    failed = _ended(operating, _begin(operating, "compare", number=99).headers["location"])
    assert failed["state"] == "failed"
    assert failed["problem"]["type"] == "urn:runledger:error:not-found"


def test_what_a_generation_differs_in_is_explained_for_runs(operating: RunningServer) -> None:
    replayed = _ended(operating, _begin(operating, "replay").headers["location"])
    assert replayed["state"] == "done"
    (run, *_) = operating.do(operating.ledger.list_runs())
    with operating.client() as client:
        found = client.get("/api/v1/generations").json()
        assert client.get("/api/v1/parked").json() == []
        position = operating.ledger.store.head()
        assert client.get(f"/api/v1/parked?as_of={position}").json() == []
    assert [one["state"] for one in found].count("live") == 1
    other = next(one["number"] for one in found if one["state"] != "live")
    begun = _begin(operating, "explain", number=other, runs=[run.run_id])
    explained = _ended(operating, begun.headers["location"])
    assert explained["state"] == "done", explained
    assert _begin(operating, "explain", number=other).status_code == 422


def test_a_part_without_a_condition_is_not_the_whole_log(operating: RunningServer) -> None:
    begun = _begin(operating, "replay", selection={})
    ended = _ended(operating, begun.headers["location"])
    assert (ended["state"], ended["problem"]["status"]) == ("failed", 422)
    (run, *_) = operating.do(operating.ledger.list_runs())
    begun = _begin(operating, "replay", selection={"runs": [run.run_id]})
    ended = _ended(operating, begun.headers["location"])
    assert (ended["state"], ended["result"]["radius"]["runs"]) == ("done", 1)


def test_the_live_generation_is_not_dropped(operating: RunningServer) -> None:
    with operating.client() as client:
        (live,) = (
            one["number"]
            for one in client.get("/api/v1/generations").json()
            if one["state"] == "live"
        )
        refused = client.delete(f"/api/v1/generations/{live}")
        assert (refused.status_code, "not live" in refused.text) == (409, True)
        assert client.get(f"/api/v1/generations/{live}").json()["state"] == "live"
        replayed = _ended(operating, _begin(operating, "replay").headers["location"])
        built = replayed["result"]["built"]["number"]
        assert client.delete(f"/api/v1/generations/{built}").status_code == 200
        assert client.delete(f"/api/v1/generations/{built}").status_code == 404
        assert client.get("/api/v1/generations/x").status_code == 422


def test_an_operation_that_is_begun_again_with_its_key_is_the_first(
    operating: RunningServer,
) -> None:
    body = {"kind": "verify", "arguments": {}}
    with operating.client(headers={"Idempotency-Key": "k"}) as client:
        first = client.post("/api/v1/operations", json=body).json()
        _ended(operating, f"/api/v1/operations/{first['id']}")
        again = client.post("/api/v1/operations", json=body)
        assert (again.status_code, again.json()["id"]) == (202, first["id"])
        other = client.post("/api/v1/operations", json={"kind": "copy"})
        assert other.status_code == 422


def test_exported_events_are_taken_once(operating: RunningServer, tmp_path: Path) -> None:
    source = RunLedger.open(f"sqlite:///{tmp_path}/source.db")

    async def exported() -> list[bytes]:
        async with source as ledger:
            run = await ledger.create_run("agent-source", run_id=derived_id("run", "exported"))
            await ledger.complete_run(run.run_id)
            return list(export_lines(ledger.store))

    lines = asyncio.run(exported())
    kind = {"Content-Type": "application/x-ndjson"}
    with operating.client(headers=kind) as client:
        taken = client.post("/api/v1/events", content=b"".join(lines))
        assert (taken.status_code, taken.json()["recorded"]) == (200, len(lines))
        packed = gzip.compress(b"".join(lines))
        again = client.post(
            "/api/v1/events", content=packed, headers={**kind, "Content-Encoding": "gzip"}
        )
        told = again.json()
        assert (told["recorded"], told["unchanged"], told["refused"]) == (0, len(lines), 0)
        broken = client.post("/api/v1/events", content=b"{}\n")
        assert broken.status_code == 422
        (refusal,) = broken.json()["refusals"]
        assert refusal["place"] == "line 1"
        assert client.post("/api/v1/events").json()["recorded"] == 0
    run = operating.do(operating.ledger.get_run_by_id(derived_id("run", "exported")))
    assert run.status == "completed"


@pytest.mark.one_database
def test_one_at_a_time(operating: RunningServer) -> None:
    from runledger.server.operation import Operation

    desk = operating.services.operations
    running = Operation(id="operation-1", kind="replay")
    desk._running = desk._operations["operation-1"] = running
    refused = _begin(operating, "verify")
    assert refused.status_code == 409
    assert refused.headers["location"] == "/api/v1/operations/operation-1"
    with operating.client() as client:
        assert client.delete("/api/v1/operations/operation-1").status_code == 202
    desk._running = None
    with operating.client() as client:
        assert client.delete("/api/v1/operations/operation-1").status_code == 409


@pytest.mark.one_database
def test_what_ran_when_the_server_ended_was_interrupted(start: Start, tmp_path: Path) -> None:
    from runledger.server.operation import Operation

    folder = tmp_path / "operations"
    folder.mkdir()
    running = Operation(id="operation-1", kind="replay")
    running.keep(folder)
    server = start(services=lambda _: {"operations_folder": folder})
    with server.client() as client:
        assert client.get("/api/v1/operations/operation-1").json()["state"] == "interrupted"


@pytest.mark.one_database
def test_no_path_comes_from_a_caller(operating: RunningServer) -> None:
    for kind, arguments in (
        ("replay", {"out": "/tmp/x"}),
        ("publish", {"folder": "/tmp/x"}),
        ("archive", {"folder": "/tmp/x"}),
        ("switch", {}),
        ("nothing", {}),
    ):
        assert _begin(operating, kind, **arguments).status_code == 422, kind


@pytest.mark.one_database
def test_operations_are_for_operators(operating: RunningServer) -> None:
    keyring = Keyring(operating.ledger.store)
    for organization, status in (("org-a", 403), ("*", 200)):
        made = keyring.create(name="a", organization=organization)
        operating.services.authentication._read_at = float("-inf")
        with operating.client(headers={"Authorization": f"Bearer {made.text}"}) as client:
            for path in ("operations", "parked", "generations"):
                assert client.get(f"/api/v1/{path}").status_code == status
            kind = {"Content-Type": "application/x-ndjson"}
            answer = client.post("/api/v1/events", content=b"", headers=kind)
            assert answer.status_code == status
