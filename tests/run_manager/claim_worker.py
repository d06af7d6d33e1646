"""A process that races for conversations: prints the ids of the runs that it could start."""

import asyncio
import sys

from runledger import RunLedger
from runledger.errors import ConversationBusy

TASKS = 8


async def race(url: str, agent: str, conversations: list[str]) -> list[str]:
    started: list[str] = []
    async with RunLedger.open(url) as ledger:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

        async def task(offset: int) -> None:
            for step in range(len(conversations)):
                conversation = conversations[(step * 7 + offset) % len(conversations)]
                try:
                    run = await ledger.create_run(
                        agent, conversation_id=conversation, hold_conversation=True
                    )
                except ConversationBusy:
                    continue
                started.append(run.run_id)

        await asyncio.gather(*map(task, range(TASKS)))
    return started


if __name__ == "__main__":
    _, url, agent, *conversations = sys.argv
    print("\n".join(asyncio.run(race(url, agent, conversations))), flush=True)
