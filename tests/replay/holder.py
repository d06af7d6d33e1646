"""A process that holds the read models, as an agent server does: python holder.py URL PATH.

It answers a line on stdin with what it counts, until stdin ends.
"""

import asyncio
import sys

from runledger import RunLedger


async def main() -> None:
    """Hold the read models and answer."""
    async with RunLedger.open(sys.argv[1], sys.argv[2]) as ledger:
        while True:
            _, ((total,),) = await ledger.sql("SELECT sum(cache_read_tokens)::BIGINT FROM runs")
            print(total, flush=True)
            if not await asyncio.to_thread(sys.stdin.readline):
                return


if __name__ == "__main__":
    asyncio.run(main())
