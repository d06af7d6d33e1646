"""A wrong read model is repaired from the page: replay, difference, reason, switch, and back."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Watched, chromium, expect_browser, violations
from running import RunningServer

from projections.read_models.catalog import BESIDE, ROOT
from runledger.web.mount import mount_page

pytestmark = pytest.mark.slow


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    """A server whose read models call failed runs completed; the SQL is right again."""
    beside = tmp_path / "beside"
    shutil.copytree(ROOT / "runs", beside / "runs")
    apply = beside / "runs" / "apply.sql"
    text = apply.read_text(encoding="utf-8")
    ended = "c.ended_by[5:]"
    assert ended in text
    planted = f"replace({ended}, 'failed', 'completed')"
    apply.write_text(text.replace(ended, planted), encoding="utf-8")
    monkeypatch.setenv(BESIDE, str(beside))
    store = f"sqlite:///{tmp_path}/runs.db"
    with RunningServer(
        store,
        tmp_path / "runs.duckdb",
        prepare=mount_page,
        services=lambda _: {"operations_folder": tmp_path / "operations"},
    ) as server:
        server.do(_record(server.ledger))
        server.do(server.ledger.list_runs())
        monkeypatch.delenv(BESIDE)
        yield server


async def _record(ledger: Any) -> None:
    for number in range(5):
        run = await ledger.create_run("agent-a")
        if number % 2:
            await ledger.fail_run(run.run_id, error_type="broken")
        else:
            await ledger.complete_run(run.run_id)


def act(server: RunningServer, path: str, **form: object) -> dict[str, Any]:
    """Send a form, wait until its operation has ended, and return the view."""
    with server.client(headers={"Origin": server.url}) as client:
        sent = client.post(f"/operations/{path}", data=form)
        assert sent.status_code == 303, sent.text
        link = sent.headers["location"].replace("/operations", "/operations.json", 1)
        for _ in range(600):
            view: dict[str, Any] = client.get(link).json()
            if all(one["state"] != "running" for one in view["operations"]):
                return view
            time.sleep(0.05)
    raise AssertionError("the operation did not end")


def failed(server: RunningServer) -> int:
    with server.client() as client:
        return int(client.get("/runs.json?statuses=failed").json()["groups"]["runs"])


def test_a_whole_repair(wrong: RunningServer) -> None:
    assert failed(wrong) == 0
    view = act(wrong, "replay")
    assert failed(wrong) == 0
    runs = next(table for table in view["comparison"]["tables"] if table["table"] == "runs")
    assert (runs["changed"], runs["columns"]) == (2, {"status": 2})
    with wrong.client() as client:
        text = client.get("/operations").text
    assert '<span class="old">completed</span>' in text
    assert '<span class="new">failed</span>' in text
    assert "run.failed" in text
    number = view["comparison"]["new"]
    one = runs["sample"][1]["key"]["run_id"]
    explained = act(wrong, "compare", number=number, run=one)["comparison"]["explanations"]
    assert [found["topic"] for found in explained if found["table"] == "runs"] == ["run.failed"]
    assert {found["stream"] for found in explained} == {one}
    act(wrong, "switch", number=number)
    assert failed(wrong) == 2
    act(wrong, "switch", number=view["comparison"]["old"])
    assert failed(wrong) == 0
    act(wrong, "switch", number=number)
    assert act(wrong, "verify")["operations"][0]["result"]["problems"] == []


@pytest.mark.browser
def test_a_whole_repair_in_a_browser(wrong: RunningServer) -> None:
    expect_browser()
    with chromium() as browser:
        opened = Watched(browser, wrong.url)
        shown = opened.open("/operations")
        shown.get_by_role("button", name="Replay", exact=True).click()
        shown.get_by_text("rows differ").wait_for()
        assert shown.locator("#diff .new").first.inner_text() == "failed"
        assert shown.locator("#why").get_by_text("run.failed").count() == 1
        assert violations(shown) == []
        shown.get_by_role("button", name="Switch to generation 2").click()
        shown.get_by_text("was made the live one").wait_for()
        assert failed(wrong) == 2
        shown.get_by_role("link", name="replay").click()
        shown.get_by_role("button", name="Back to generation 1").click()
        shown.get_by_text("Generation 1 was made the live one").wait_for()
        assert failed(wrong) == 0
        opened.close()


def test_a_key_that_only_reads_sees_no_operations(wrong: RunningServer) -> None:
    from runledger.server.keys import Keyring

    made = Keyring(wrong.ledger.store).create(name="a", organization="*", scopes=["runs:read"])
    with wrong.client(headers={"Authorization": f"Bearer {made.text}"}) as client:
        assert client.get("/operations").status_code == 403
        answer = client.post("/operations/verify", headers={"Origin": wrong.url})
        assert answer.status_code == 403
