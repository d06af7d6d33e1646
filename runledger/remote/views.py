"""The saved views of a remote ledger."""

from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter

from runledger.events import ViewKind
from runledger.records import SavedView
from runledger.remote.part import RemotePart
from runledger.run import Actor


class _Removed(BaseModel):
    removed: bool


_VIEW: Final = TypeAdapter(SavedView)
_VIEWS: Final = TypeAdapter(list[SavedView])
_REMOVED: Final = TypeAdapter(_Removed)


class RemoteViews(RemotePart):
    """The methods of runledger.ledger.views; see there."""

    async def save_view(
        self, name: str, text: str, *, kind: ViewKind = "runs", actor: Actor | None = None
    ) -> SavedView:
        """Save a condition on runs, or a SELECT, under a name."""
        body = {"text": text, "kind": kind}
        return await self._connection.command("PUT", _path(name), _VIEW, body, actor=actor)

    async def remove_view(self, name: str, *, actor: Actor | None = None) -> bool:
        """Remove a view; return whether there was one."""
        answer = await self._connection.command("DELETE", _path(name), _REMOVED, actor=actor)
        return answer.removed

    async def list_views(self, *, actor: Actor | None = None) -> list[SavedView]:
        """Return the views of the organization, by their names."""
        return await self._connection.ask("views", _VIEWS, actor=actor)

    async def get_view(self, name: str, *, actor: Actor | None = None) -> SavedView:
        """Return a view."""
        return await self._connection.ask(_path(name), _VIEW, actor=actor)


def _path(name: str) -> str:
    return f"views/{quote(name, safe='')}"
