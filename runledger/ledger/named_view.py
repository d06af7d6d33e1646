"""The text of a saved view that is used by its name, beside another condition."""

from typing import Protocol

from projections.queries.where.translation import both
from runledger.errors import InvalidArgument
from runledger.events import ViewKind
from runledger.records import SavedView
from runledger.run import Actor


class _Views(Protocol):
    """A ledger, on this machine or another one."""

    async def get_view(self, name: str, *, actor: Actor | None = None) -> SavedView: ...


async def condition(
    ledger: _Views, view: str | None, where: str | None, actor: Actor | None = None
) -> str | None:
    """Return the condition of a view and another one, joined; None without any.

    Parameters:
        ledger: has the view.
        view: the name of a saved condition, None for none.
        where: a condition in the filter language, None for none.
        actor: acts instead of the ledger's own actor; the view is of its organization.

    Raises:
        NotFound: if there is no such view.
        InvalidArgument: if the view is a question in SQL.
    """
    if view is None:
        return where
    return both(await text_of(ledger, view, "runs", actor), where)


async def text_of(ledger: _Views, view: str, kind: ViewKind, actor: Actor | None = None) -> str:
    """Return the text of a view of a kind; raise InvalidArgument for one of the other kind."""
    saved = await ledger.get_view(view, actor=actor)
    if saved.kind != kind:
        raise InvalidArgument(
            f"view {view!r}: expected one of the kind {kind}, found one of the kind {saved.kind}"
        )
    return saved.text
