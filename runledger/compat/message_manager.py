"""MessageManager: as much of the replaced server's as a run manager needs beside it."""

from itertools import groupby
from typing import Any

from runledger.compat.argument_types import enforce_types
from runledger.compat.errors import LettaInvalidArgumentError
from runledger.compat.manager import Manager
from runledger.compat.message import Message, ToolIds
from runledger.compat.records import actor_of
from runledger.ledger import RunLedger


class MessageManager(Manager):
    """Records the messages of runs; `tool_ids` gives the id of a tool by its name."""

    def __init__(self, ledger: RunLedger | None = None, *, tool_ids: ToolIds | None = None) -> None:
        super().__init__(ledger)
        self._tool_ids = tool_ids

    @enforce_types
    async def create_many_messages_async(
        self,
        pydantic_msgs: list[Message],
        actor: Any,
        project_id: str | None = None,  # noqa: ARG002
        template_id: str | None = None,  # noqa: ARG002
    ) -> list[Message]:
        """Record messages, each in the run that it names; return them."""
        for message in pydantic_msgs:
            if message.run_id is None:
                raise LettaInvalidArgumentError(
                    f"message {message.id!r}: expected a run_id, found None", "run_id"
                )
        async with self._ledger() as ledger:
            for run_id, group in groupby(pydantic_msgs, key=lambda message: message.run_id):
                stored = [message.stored(self._tool_ids) for message in group]
                await ledger.record_messages(str(run_id), stored, actor=actor_of(actor))
        return pydantic_msgs

    @enforce_types
    async def create_message_async(self, pydantic_msg: Message, actor: Any) -> Message:
        """Record one message."""
        await self.create_many_messages_async([pydantic_msg], actor)
        return pydantic_msg
