"""What --view means: the text of a saved view, beside the other conditions."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runledger import RunLedger
    from runledger.events import ViewKind


async def condition(ledger: "RunLedger", view: str | None, where: str | None) -> str | None:
    """Return the condition of a view and another one, joined; None without any.

    Raises:
        NotFound: if there is no such view.
        InvalidArgument: if the view is a question in SQL.
    """
    if view is None:
        return where
    from projections.queries.where.translation import both

    return both(await text_of(ledger, view, "runs"), where)


async def text_of(ledger: "RunLedger", view: str, kind: "ViewKind") -> str:
    """Return the text of a view of a kind; raise InvalidArgument for one of the other kind."""
    from runledger.errors import InvalidArgument

    saved = await ledger.get_view(view)
    if saved.kind != kind:
        raise InvalidArgument(
            f"view {view!r}: expected one of the kind {kind}, found one of the kind {saved.kind}"
        )
    return saved.text
