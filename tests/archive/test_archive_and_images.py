"""Images are not in an archive: messages are shown without their bytes."""

import asyncio
import base64
from contextlib import closing
from pathlib import Path

from projections.archive.writer import archive
from runledger import RunLedger
from runledger.store import open_store

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 40).decode()


def test_a_page_of_messages_shows_the_reference_to_an_image(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    source = {"type": "base64", "media_type": "image/png", "data": PNG}

    async def record() -> str:
        async with RunLedger.open(url) as ledger, ledger.run(agent_id="agent-a") as run:
            content = [{"type": "text", "text": "see"}, {"type": "image", "source": source}]
            await run.messages({"role": "user", "content": content})
            return run.run_id

    async def sources(at: str, run_id: str) -> list[str]:
        async with RunLedger.open(at) as ledger:
            [page] = await ledger.get_run_messages(run_id)
            return [part.source.type for part in page.content if part.type == "image"]

    run_id = asyncio.run(record())
    with closing(open_store(url)) as store:
        archive(store, tmp_path / "a")
    assert asyncio.run(sources(url, run_id)) == ["base64"]
    assert asyncio.run(sources(f"archive:{tmp_path}/a", run_id)) == ["blob"]
