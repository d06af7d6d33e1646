"""Draws the pictures of docs/pictures: a month of made-up runs, a replay after a repaired bug."""

import asyncio
import os
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from projections.read_models.catalog import BESIDE, ROOT
from runledger import RunLedger
from runledger.server.access_log import AccessLog
from runledger.server.app import Application
from runledger.server.browser_rules import BrowserRules
from runledger.server.services import Services
from runledger.server.serving import Serving, bind
from runledger.web.mount import mount_page

PICTURES: Final = Path(__file__).parents[1] / "docs" / "pictures"
RUNS: Final = 420
_FIRST: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)
_AGENTS: Final = ("agent-support", "agent-billing", "agent-research", "agent-code-review")
_MODELS: Final = (("openai", "gpt-4.1"), ("anthropic", "claude-sonnet-4"), ("google", "gemini-2"))
_TOOLS: Final = ("find_order", "search_policy", "read_file", "refund", "send_email")
_ENDED: Final = "c.ended_by[5:]"


async def make_month(ledger: RunLedger) -> str:
    """Record the runs of a month; return the id of a run that failed."""
    chance = random.Random(7)
    failed = ""
    for _ in range(RUNS):
        day = chance.choice([n for n in range(27) if n % 7 < 5])
        at = _FIRST + timedelta(days=day, seconds=chance.uniform(0, 30_000))
        number = chance.randrange(len(_AGENTS))
        run = await ledger.create_run(_AGENTS[number], at=at, project_id=f"project-{number % 2}")
        await ledger.start_run(run.run_id, at=at)
        at = await _steps(ledger, chance, run.run_id, at, number)
        fate = chance.random()
        if fate < 0.05:
            await ledger.fail_run(
                run.run_id, error_type="ToolError", error_message="no answer in 30 s", at=at
            )
            failed = run.run_id
        elif fate < 0.11:
            await ledger.cancel_run(run.run_id, at=at)
        else:
            await ledger.complete_run(run.run_id, at=at)
    return failed


async def _steps(
    ledger: RunLedger, chance: random.Random, run_id: str, at: datetime, number: int
) -> datetime:
    provider, model = _MODELS[number % len(_MODELS)]
    prompt, cached = chance.randint(900, 2_400), 0
    asked = {"role": "user", "content": "Where is order W4680753? It should be here by now."}
    await ledger.record_messages(run_id, [asked], at=at)
    for step in range(chance.randint(2, 9)):
        took = chance.lognormvariate(0.9 + number * 0.6, 0.7)
        at += timedelta(seconds=took)
        tool = chance.choice(_TOOLS)
        call = f"call-{step}"
        said: dict[str, Any] = {"role": "assistant", "content": "I look that up."}
        said["tool_calls"] = [{"id": call, "function": {"name": tool, "arguments": '{"id": 468}'}}]
        await ledger.record_step(
            run_id,
            provider=provider,
            model=model,
            prompt_tokens=prompt + cached,
            completion_tokens=chance.randint(40, 400),
            prompt_tokens_details={"cached_tokens": cached},
            step_ns=int(took * 1e9),
            messages=[said],
            at=at,
        )
        cached, prompt = cached + prompt, chance.randint(200, 900)
        at += timedelta(seconds=chance.uniform(0.2, 4))
        back = {"tool_call_id": call, "status": "success", "func_response": '{"state": "sent"}'}
        given = {"role": "tool", "tool_call_id": call, "tool_returns": [back]}
        await ledger.record_messages(run_id, [given], at=at)
    return at


def planted_bug(folder: Path) -> Path:
    """Return a folder of read models in which failed runs are called completed."""
    shutil.copytree(ROOT / "runs", folder / "runs")
    apply = folder / "runs" / "apply.sql"
    text = apply.read_text(encoding="utf-8")
    if _ENDED not in text:
        raise SystemExit(f"{apply}: expected {_ENDED}, to plant a bug there")
    wrong = text.replace(_ENDED, f"replace({_ENDED}, 'failed', 'completed')")
    apply.write_text(wrong, encoding="utf-8")
    return folder


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve the month; yield the address and the id of a failed run."""
    ready = threading.Event()
    told: dict[str, Any] = {}

    async def run() -> None:
        sockets = bind(None, 0)
        port = sockets[0].getsockname()[1]
        ledger = RunLedger.open(f"sqlite:///{folder}/runs.db", folder / "runs.duckdb")
        async with ledger:
            failed = await make_month(ledger)
            await ledger.list_runs()
            os.environ.pop(BESIDE)
            services = Services(ledger, operations_folder=folder / "operations")
            application = Application(services, BrowserRules({port}), log=AccessLog(quiet=True))
            mount_page(application)
            serving = Serving(application)
            told.update(address=f"http://127.0.0.1:{port}", failed=failed, serving=serving)
            told["loop"] = asyncio.get_running_loop()
            await serving.run_on(sockets, ready.set)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    if not ready.wait(300):
        raise SystemExit("the server did not start within 300 s")
    try:
        yield told["address"], told["failed"]
    finally:
        told["loop"].call_soon_threadsafe(told["serving"].stop)
        thread.join(30)


def main() -> None:
    """Write the pictures."""
    from playwright.sync_api import sync_playwright

    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as name, sync_playwright() as started:
        os.environ[BESIDE] = str(planted_bug(Path(name) / "wrong"))
        chromium = shutil.which("chromium")
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with served(Path(name)) as (address, failed):
            size: Any = {"width": 1280, "height": 860}
            light = browser.new_page(viewport=size, color_scheme="light", timezone_id="UTC")
            light.goto(f"{address}/operations")
            light.get_by_role("button", name="Replay", exact=True).click()
            light.get_by_text("rows differ").wait_for()
            light.set_viewport_size({"width": 1280, "height": 1180})
            light.screenshot(path=PICTURES / "difference.png")
            light.set_viewport_size(size)
            light.get_by_role("button", name="Switch to generation 2").click()
            light.get_by_text("was made the live one").wait_for()
            views = (
                ("overview", "/overview"),
                ("runs", "/runs?start_date=2026-01-05"),
                ("run", f"/runs/{failed}"),
            )
            for picture, path in views:
                light.goto(address + path)
                light.screenshot(path=PICTURES / f"{picture}.png")
        browser.close()


if __name__ == "__main__":
    main()
