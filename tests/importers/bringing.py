"""What tests of importers share: a ledger, and an import into it."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from runledger import RunLedger
from runledger.command_handling.handler import CommandHandler
from runledger.importers.report import ImportReport
from runledger.run import Actor
from runledger.store import Store


class Importing(Protocol):
    async def run(self, paths: Sequence[Path]) -> ImportReport: ...


Importer = Callable[[Store, CommandHandler, Actor], Importing]


async def bring(
    importer: Importer, ledger: RunLedger, *paths: Path, organization: str | None = None
) -> ImportReport:
    actor = Actor(organization) if organization else Actor()
    return await importer(ledger.store, ledger.handler, actor).run(paths)


def in_ledger(
    open_ledger: Callable[[], RunLedger], question: Callable[[RunLedger], Awaitable[Any]]
) -> Any:
    async def answered() -> Any:
        async with open_ledger() as ledger:
            return await question(ledger)

    return asyncio.run(answered())


def write_lines(path: Path, lines: Sequence[Any]) -> Path:
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def write_document(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path
