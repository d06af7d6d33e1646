"""The holder of the read models as a process: it asks for lists, for which they catch up.

Arguments: the store's URL, the file of the read models, a mutation or "none".
"""

import asyncio
import sys

from runledger import LedgerError, RunLedger
from scripts.torture.mutations import mutate_reader


async def project(url: str, read_models: str) -> None:
    """Ask for ever; open the ledger again whenever it gives up."""
    while True:
        try:
            async with RunLedger.open(url, read_models) as ledger:
                print("ready", flush=True)
                while True:
                    await ledger.list_runs(limit=5)
                    await asyncio.sleep(0.02)
        except LedgerError as e:
            print(f"{type(e).__name__}: {e}", flush=True)
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    mutate_reader(sys.argv[3])
    asyncio.run(project(sys.argv[1], sys.argv[2]))
