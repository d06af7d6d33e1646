"""An agent loop as a process: runs with steps, some of them on runs that other writers share.

Arguments: the URL of the store or of a server, the file of its claims, the receiver's URL, a
mutation or "none". Runs of a server have no callbacks: it sends none to a plain address.
"""

import asyncio
import random
import sys
from pathlib import Path
from uuid import uuid4

from runledger import LedgerError, RunLedger
from runledger.callbacks import CallbackSettings
from runledger.errors import Conflict
from runledger.remote import RemoteLedger
from scripts.torture.claims import ClaimsFile, Deed
from scripts.torture.mutations import mutate_writer

Ledger = RunLedger | RemoteLedger
TASKS = 4
SETTINGS = CallbackSettings(dispatch=False, allow_http=True, allow_private_callbacks=True)
SHARED = [f"run-00000000-0000-4000-8000-{n:012d}" for n in range(3)]


def opened(url: str) -> Ledger:
    """Return the ledger at a store or behind a server."""
    return (
        RunLedger.open(url) if url.startswith("http") else RunLedger.open(url, callbacks=SETTINGS)
    )


class Writer:
    """Tasks that write to one ledger; what is not known to be recorded is sent again."""

    def __init__(self, claims: ClaimsFile, receiver: str) -> None:
        self._claims = claims
        self._receiver = receiver

    async def write(self, url: str) -> None:
        """Write for ever; open the ledger again whenever it gives up."""
        while True:
            try:
                async with opened(url) as ledger:
                    print("ready", flush=True)
                    await asyncio.gather(*(self._runs(ledger) for _ in range(TASKS)))
            except LedgerError as e:
                print(f"{type(e).__name__}: {e}", flush=True)
                await asyncio.sleep(0.1)

    async def _runs(self, ledger: Ledger) -> None:
        while True:
            run_id = f"run-{uuid4()}"
            remote = isinstance(ledger, RemoteLedger)
            await self._create(ledger, run_id, None if remote else f"{self._receiver}/{run_id}")
            for _ in range(random.randrange(4)):
                await self._step(ledger, run_id)
            await self._complete(ledger, run_id)
            shared = random.choice(SHARED)
            await self._create(ledger, shared, None)
            await self._step(ledger, shared)

    async def _create(self, ledger: Ledger, run_id: str, callback_url: str | None) -> None:
        deed = Deed(run_id, "created")
        self._claims.begin(deed)
        await ledger.create_run("agent-a", run_id=run_id, callback_url=callback_url)
        self._claims.acknowledge(deed)

    async def _step(self, ledger: Ledger, run_id: str) -> None:
        deed = Deed(run_id, f"step-{uuid4()}")
        self._claims.begin(deed)
        for _ in range(50):
            try:
                await ledger.record_step(run_id, step_id=deed.what, prompt_tokens=1)
            except Conflict as e:
                print(f"{type(e).__name__}: {e}", flush=True)
                continue
            self._claims.acknowledge(deed)
            return

    async def _complete(self, ledger: Ledger, run_id: str) -> None:
        deed = Deed(run_id, "completed")
        self._claims.begin(deed)
        await ledger.complete_run(run_id)
        self._claims.acknowledge(deed)


def main() -> None:
    """Write until the process is killed."""
    url, claims, receiver, mutation = sys.argv[1:]
    mutate_writer(mutation)
    asyncio.run(Writer(ClaimsFile(Path(claims)), receiver).write(url))


if __name__ == "__main__":
    main()
