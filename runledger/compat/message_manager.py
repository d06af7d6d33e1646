"""MessageManager: the part of the replaced server's message manager that a run manager needs."""

from itertools import groupby
from typing import Any

from runledger.compat.argument_types import enforce_types
from runledger.compat.enums import MessageRole
from runledger.compat.errors import LettaInvalidArgumentError, NoResultFound
from runledger.compat.manager import Manager
from runledger.compat.message import Message, ToolIds
from runledger.compat.records import actor_of
from runledger.ledger import RunLedger


class MessageManager(Manager):
    """Records and lists the messages of runs; `tool_ids` returns the id of a tool by its name."""

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
        """Record messages, each in its own run; return them."""
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

    @enforce_types
    async def list_messages(
        self,
        actor: Any,
        agent_id: str | None = None,  # noqa: ARG002
        after: str | None = None,
        before: str | None = None,
        roles: list[MessageRole] | None = None,
        limit: int | None = 50,
        ascending: bool = True,
        run_id: str | None = None,
    ) -> list[Message]:
        """Return stored messages of a run; `before` is older and `after` newer, in either order.

        The page is next to its cursor; with two cursors it begins at the first in the order. The
        agent is the run's; `limit` counts the messages that pass `roles`.
        """
        if run_id is None:
            raise LettaInvalidArgumentError("run_id: expected a run's id, found None", "run_id")
        if limit is not None and limit < 0:
            raise LettaInvalidArgumentError(f"limit: expected 0 or more, found {limit}", "limit")
        whose = actor_of(actor)
        async with self._ledger() as ledger:
            run = await ledger.get_run_by_id(run_id, actor=whose)
            stored = await ledger.get_stored_messages(run_id, actor=whose)
        places = {message.id: place for place, message in enumerate(stored)}
        for cursor in filter(None, (after, before)):
            if cursor not in places:
                raise NoResultFound("Message", cursor)
        window = stored[places[after] + 1 if after else 0 : places[before] if before else None]
        found = [
            Message.of(message, run)
            for message in (window if ascending else window[::-1])
            if not roles or message.role in roles
        ]
        towards_cursor = bool(before and not after) if ascending else bool(after and not before)
        if limit is None:
            return found
        return found[max(0, len(found) - limit) :] if towards_cursor else found[:limit]
